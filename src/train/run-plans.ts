/**
 * The tuned kernel plans of a run. Each stage takes the plans that it began with for one step, which shows what there is to tune;
 * what the tuner then finds is written down before the next step and holds from there on, in a resumed run from the same step. So
 * the unbroken and the resumed run compute the same bits, though the tuner may decide otherwise another time.
 */
import { tuningIdentity, type Engine, type PlanChoices, type TuningIdentity } from '../autograd/index.ts';
import type { FileSystem } from '../data/index.ts';
import type { TuningStore } from '../engine/index.ts';
import { STAGES, type StageName } from './config.ts';

export const PLANS_FILE = 'plans.json';
const format = 'ct-lite-run-plans';

export interface RunTuning {
  /** Where results outlive the run; null keeps them in its folder alone. */
  store: TuningStore | null;
  /** Most seconds a stage. */
  seconds?: number;
}

interface StageRecord {
  stage: StageName;
  /** Steps of the stage that were done before these plans held. */
  afterStep: number;
  plans: PlanChoices;
}

interface RunPlansHost {
  files: FileSystem;
  folder: string;
  onNote: (text: string) => void;
}

export class RunPlans {
  private readonly engine: Engine;
  private readonly host: RunPlansHost;
  private readonly tuning: RunTuning;
  private readonly identity: TuningIdentity;
  private stages: StageRecord[] = [];

  private constructor(engine: Engine, host: RunPlansHost, tuning: RunTuning) {
    this.engine = engine;
    this.host = host;
    this.tuning = tuning;
    this.identity = tuningIdentity(engine.device);
  }

  /** Pins what the run had found by this position, where it ran on this adapter with these kernels. */
  static async open(engine: Engine, host: RunPlansHost, tuning: RunTuning, position: { stage: StageName; step: number }): Promise<RunPlans> {
    const run = new RunPlans(engine, host, tuning);
    engine.plans.reset();
    await run.read();
    for (const { stage, afterStep, plans } of run.stages) {
      const isPast = STAGES.indexOf(stage) < STAGES.indexOf(position.stage) || (stage === position.stage && afterStep <= position.step);
      if (isPast) engine.plans.pin(plans);
    }
    return run;
  }

  /** Whether `stepEnds` of this stage's step in progress will tune: nothing may be on the GPU then. */
  tunesAfter(stage: StageName): boolean {
    return !this.stages.some((record) => record.stage === stage);
  }

  /** Before each step: listens where the stage has not been tuned. */
  stepBegins(stage: StageName): void {
    this.engine.plans.isNoting = this.tunesAfter(stage);
  }

  /** After each step, `step` of the stage being submitted: tunes after the first of a stage, or takes what the run had found at this step. */
  async stepEnds(stage: StageName, step: number): Promise<void> {
    const { engine, host } = this;
    const known = this.stages.find((record) => record.stage === stage);
    if (known) {
      if (known.afterStep === step) engine.plans.pin(known.plans);
      return;
    }
    engine.plans.isNoting = false;
    const { choices, tuned, left, busy, seconds, warnings } = await engine.tune({ store: this.tuning.store, ...(this.tuning.seconds !== undefined && { seconds: this.tuning.seconds }) });
    this.stages.push({ stage, afterStep: step, plans: choices });
    await host.files.writeFile(host.files.join(host.folder, PLANS_FILE), new TextEncoder().encode(`${JSON.stringify({ format, ...this.identity, stages: this.stages }, null, 1)}\n`));
    const others = tuned.filter(({ plan, fixed }) => plan !== fixed);
    host.onNote(`tuned ${tuned.length} kernel plans in ${seconds.toFixed(1)} s: ${others.length} other than the fixed ones${left ? `; ${left} left as they were` : ''}${busy ? `; ${busy} not decided, since other programs were busy` : ''}`);
    for (const warning of warnings) host.onNote(warning);
  }

  /** Ends listening, where a run ends in the middle of a step. */
  close(): void {
    this.engine.plans.isNoting = false;
  }

  private async read(): Promise<void> {
    const { files, folder, onNote } = this.host;
    const path = files.join(folder, PLANS_FILE);
    if (!(await files.exists(path))) return;
    try {
      const record = JSON.parse(new TextDecoder().decode(await files.readFile(path))) as { format?: unknown; stages?: StageRecord[] } & Partial<TuningIdentity>;
      if (record.format !== format || !Array.isArray(record.stages)) throw new Error(`its format must be "${format}"`);
      if (record.adapter === this.identity.adapter && record.kernels === this.identity.kernels) this.stages = record.stages;
      else onNote(`the run was tuned ${record.adapter === this.identity.adapter ? 'with other kernels' : `on another adapter (${record.adapter})`}: it is tuned again here, and its losses differ in the last digits`);
    } catch (error) {
      onNote(`${path}: cannot be read: ${(error as Error).message}; the run is tuned again, and its losses may differ in the last digits`);
    }
  }
}
