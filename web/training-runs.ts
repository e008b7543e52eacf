/** Runs of the training loop in a worker: begun, paused, resumed, and carried over a lost device from the last checkpoint. */
import type { Engine } from '../src/autograd/index.ts';
import type { CohortScan, FileSystem } from '../src/data/index.ts';
import { openPrivateFiles } from '../src/platform/browser-files.ts';
import { browserTuningStore } from '../src/platform/browser-tuning-store.ts';
import { decodeCheckpoint, encodeCheckpoint, globalStepOf, isTunedByDefault, totalSteps, train, type RunState, type VolumeStore } from '../src/train/index.ts';
import packageJson from '../package.json';
import { checkpointBytes } from './checkpoint-source.ts';
import { isLost, openBrowserEngine, type OpenedEngine } from './open-engine.ts';
import type { RunOutcome, TrainingEvent, TrainingMethods } from './protocol.ts';
import { checkpointPath, createRun, holdRun, readCohort, readMetrics, readRunConfig, runFolder, writeCohort, type RunConfig, type StoredCohort } from './run-store.ts';
import { requireSpace } from './storage-space.ts';
import { cohortPath, findCohort, readCohortInto, storedVolumes } from './training-cohort.ts';
import { writeTrainingReport } from './training-report.ts';
import { fineTuningState, freshState, newModelConfig } from './training-start.ts';

/** Losses of the device without a new checkpoint between them before the run gives up. */
const mostLosses = 3;

/** Records that the page gets of a run that goes on: more than a chart has pixels. */
const mostRecords = 2000;

interface ActiveRun {
  id: string;
  files: FileSystem;
  config: RunConfig;
  cohort: StoredCohort;
  volumes: VolumeStore;
  started: number;
}

type Begin = TrainingMethods['begin']['args'];
type StopWish = 'pause' | 'stop';

export class TrainingRuns {
  private readonly emit: (event: TrainingEvent) => void;
  private wish: StopWish | null = null;

  constructor(emit: (event: TrainingEvent) => void) {
    this.emit = emit;
  }

  /** Asks the run in progress to end after its step: `pause` saves, `stop` also evaluates and writes the report. */
  ask(wish: StopWish): void {
    this.wish = wish;
  }

  async begin(args: Begin): Promise<RunOutcome> {
    this.wish = null;
    const id = new Date().toISOString().replace(/\..*$/, '').replaceAll(':', '-');
    return holdRun(id, async () => {
      const files = await openPrivateFiles();
      // The browser then asks before it clears the page's storage for space; it may say no, and nothing depends on it.
      await navigator.storage.persist?.().catch(() => false);
      const started = performance.now();
      try {
        return await this.drive(await this.prepare(files, id, args, started));
      } catch (error) {
        // What has no cohort yet cannot go on.
        if (!(await files.exists(`${runFolder(id)}/cohort.json`).catch(() => true))) await files.remove(runFolder(id)).catch(() => {});
        throw error;
      }
    });
  }

  async resume(id: string): Promise<RunOutcome> {
    this.wish = null;
    return holdRun(id, async () => {
      const files = await openPrivateFiles();
      const config = await readRunConfig(files, id);
      const run = { id, files, config, cohort: await readCohort(files, id), volumes: storedVolumes(files, id, config.train.preset), started: performance.now() };
      return this.drive(run);
    });
  }

  /** Reads the cohort and writes everything that the run needs to go on by itself. */
  private async prepare(files: FileSystem, id: string, { cohort: choice, start, settings }: Begin, started: number): Promise<ActiveRun> {
    const found = await findCohort(choice, settings.seed);
    await files.makeDirectory(runFolder(id));
    const onPhantoms = choice.kind === 'phantom';
    const config: RunConfig = {
      version: packageJson.version, command: 'fine-tuned in a browser', startedAt: new Date().toISOString(),
      source: { data: cohortPath(choice, settings.seed) }, phantom: onPhantoms,
      train: start.kind === 'new' ? newModelConfig(start.preset, settings, onPhantoms) : await this.writeFirstCheckpoint(files, id, await checkpointBytes(start), settings, onPhantoms),
    };
    await requireSpace(found.cohort.scans.length, config.train.preset);
    await createRun(files, id, config);
    const title = onPhantoms ? 'Drawing chests' : 'Reading scans';
    const cohort = await readCohortInto(files, id, found, config.train.preset, {
      onProgress: (done, total) => this.emit({ kind: 'progress', title, done, total }),
      onNote: (text) => this.emit({ kind: 'note', text }),
      checkStop: () => {
        if (this.wish) throw new Error('Stopped before the first step; nothing was trained.');
      },
    });
    await writeCohort(files, id, cohort);
    return { id, files, config, cohort, volumes: storedVolumes(files, id, config.train.preset), started };
  }

  private async writeFirstCheckpoint(files: FileSystem, id: string, { bytes, name }: { bytes: Uint8Array; name: string }, settings: Begin['settings'], onPhantoms: boolean): Promise<RunConfig['train']> {
    const { engine } = await openBrowserEngine();
    try {
      const state = fineTuningState(engine, bytes, name, settings, onPhantoms);
      await files.writeFile(checkpointPath(id), await encodeCheckpoint(engine, state));
      return state.config;
    } finally {
      engine.destroy();
    }
  }

  /** Trains to the end, to a pause, or until the device is lost too often; each time from the last checkpoint. */
  private async drive(run: ActiveRun): Promise<RunOutcome> {
    let [losses, lastStep] = [0, -1];
    for (;;) {
      const opened = await openBrowserEngine();
      this.emit({ kind: 'adapter', line: opened.line });
      try {
        const state = await this.openState(opened.engine, run);
        const step = globalStepOf(state);
        if (step > lastStep) [losses, lastStep] = [0, step];
        return await this.trainOn(opened, state, run);
      } catch (error) {
        if (!(await isLost(opened.engine))) throw error;
        if (++losses > mostLosses) throw new Error(`The graphics device was lost ${losses} times in a row; the run is safe up to its last checkpoint. Close other pages that use the GPU, update its driver, then go on with the run.`, { cause: error });
        this.emit({ kind: 'lost', message: (error as Error).message });
      } finally {
        opened.engine.destroy();
      }
    }
  }

  private async openState(engine: Engine, { id, files, config, cohort }: ActiveRun): Promise<RunState> {
    const path = checkpointPath(id);
    return (await files.exists(path)) ? decodeCheckpoint(engine, await files.readFile(path), path) : freshState(config.train, cohort);
  }

  private async trainOn(opened: OpenedEngine, state: RunState, run: ActiveRun): Promise<RunOutcome> {
    const { id, files, cohort, volumes } = run;
    const total = totalSteps(state.config);
    const reached = globalStepOf(state);
    const records = (await readMetrics(files, id)).flatMap((record) => (record.kind !== 'distillation' && record.globalStep <= reached ? [record] : []));
    this.emit({ kind: 'begun', id, totalSteps: total, records: thinned(records) });
    const outcome = await train(opened.engine, state, cohort, {
      files, folder: runFolder(id), volumes, ...(isTunedByDefault(state.config) && { tuning: { store: browserTuningStore() } }),
      onStep: (record) => this.emit({ kind: 'step', record, totalSteps: total, stageSteps: state.config.stages[record.stage]!.steps }),
      onValidation: ({ globalStep, stage, meanAuroc }) => this.emit({ kind: 'validation', globalStep, stage, meanAuroc }),
      onNote: (text) => this.emit({ kind: 'note', text }),
      stopRequested: () => this.wish !== null,
    });
    if (outcome === 'interrupted' && this.wish === 'pause') return { id, outcome: 'paused' };
    this.emit({ kind: 'progress', title: 'Evaluating', done: 0, total: 1 });
    await writeTrainingReport({ ...run, opened, state, seconds: (performance.now() - run.started) / 1000, fileBytes: (scan: CohortScan) => cohort.fileBytes[scan.id] ?? 0 });
    return { id, outcome: outcome === 'finished' ? 'finished' : 'stopped' };
  }
}

/** Every n-th record and the last: a hundred thousand at once would hold the page up. Validations, which are few, all stay. */
function thinned<T extends { kind: string }>(records: T[]): T[] {
  const every = Math.ceil(records.length / mostRecords);
  return records.filter(({ kind }, at) => kind === 'validation' || at % every === 0 || at === records.length - 1);
}
