/** The runs of an experiment: each in a folder of its own, trained, scored, and gathered into results.json. */
import { join } from 'node:path';
import { allLabelPrompts, buildVocabulary, encodeJpegVolume, greyToValues, LABELS, loadTokenizer, readCsv, readScores, valueToHu, voxelCount, type CohortScan } from '../data/index.ts';
import { presets } from '../model/index.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { armConfig, CHECKPOINT_FILE, collectResults, decodeCheckpoint, disposeState, encodeResults, evaluateLabels, finishedRun, isPhantom, METRICS_FILE, parseMetrics, planRuns, scoreScans, STAGES, studentQuality, teacherArm, train, VolumeStore, type Arm, type ExperimentResults, type FinishedRun, type InputQuality, type MeasuredInput, type PlannedRun, type RunRecord, type RunState, type StepRecord, type TrainConfig, type TrainerHost } from '../train/index.ts';
import { CompressedVolumes } from './compressed-volumes.ts';
import type { CohortSession, OpenedEngine } from './cohort-session.ts';
import { SCORES_FILE, TRUTHS_FILE, writeScores } from './eval-output.ts';
import type { ExperimentRecord } from './experiment.ts';
import { removeLeftovers } from './run-folder.ts';
import type { ScoredPart } from './scored-model.ts';

const RESULT_FILE = 'result.json';
const RESULTS_FILE = 'results.json';
/** Test scans over which the bytes of a volume are averaged: they differ little. */
const SCANS_MEASURED = 32;

export interface RunnerSource {
  out: string;
  record: ExperimentRecord;
  opened: OpenedEngine;
  session: CohortSession;
}

type RunHost = Pick<TrainerHost, 'onStep' | 'onNote' | 'stopRequested'>;

export class ExperimentRunner {
  private readonly source: RunnerSource;
  private readonly volumes: VolumeStore;
  private readonly vocabulary: string;
  private readonly finished: FinishedRun[] = [];
  private readonly inputs = new Map<InputQuality, MeasuredInput>();

  private constructor(source: RunnerSource) {
    this.source = source;
    const { cohort, volumes, pool } = source.session;
    const { shape } = presets[source.record.config.preset].grid;
    const compressed = new CompressedVolumes((values, quality, { id }) => pool.compress({ name: id, values, shape, quality }));
    // Scans are decoded and kept by the session's store; this one only adds what JPEG made of them.
    this.volumes = new VolumeStore((scan) => volumes.raw(scan), shape, 0, (...volume) => compressed.get(...volume));
    const reports = cohort.scans.filter(({ split }) => split === 'train').map(({ report }) => report);
    this.vocabulary = buildVocabulary([...reports, ...allLabelPrompts()], { minCount: 1 });
  }

  /** Reads the runs that are done. */
  static async open(source: RunnerSource): Promise<ExperimentRunner> {
    const runner = new ExperimentRunner(source);
    for (const run of planRuns(source.record.config)) {
      const read = await runner.readFinished(run);
      if (read) runner.finished.push(read);
    }
    return runner;
  }


  isFinished({ arm, seed }: PlannedRun): boolean {
    return this.finished.some((run) => run.arm === arm.id && run.seed === seed);
  }

  /** Trains a run, or goes on with it, and measures it. null where it was asked to stop before its end. */
  async run(run: PlannedRun, host: RunHost): Promise<FinishedRun | null> {
    const { engine } = this.source.opened;
    const folder = this.folderOf(run.arm.id, run.seed);
    await nodeFiles.makeDirectory(folder);
    await removeLeftovers(folder);
    engine.device.resetPeakMemory();
    const state = await this.openState(run, folder);
    try {
      const outcome = await train(engine, state, this.source.session.cohort, { files: nodeFiles, folder, volumes: this.volumes, ...host });
      if (outcome === 'interrupted') return null;
      await this.measure(run, state, folder);
    } finally {
      disposeState(state);
    }
    const finished = (await this.readFinished(run))!;
    this.finished.push(finished);
    await this.writeResults();
    return finished;
  }

  async writeResults(): Promise<ExperimentResults> {
    const { out, record: { config, ...record }, session: { cohort } } = this.source;
    const { shape } = presets[config.preset].grid;
    const arms = planRuns(config).map(({ arm }) => arm).filter(({ id }) => this.finished.some(({ arm }) => arm === id));
    for (const arm of arms) if (!this.inputs.has(inputOf(arm))) this.inputs.set(inputOf(arm), await this.measureInput(inputOf(arm)));
    const results = collectResults({ config, run: { ...record, updatedAt: new Date().toISOString() }, cohort, measuredInput: (arm) => this.inputs.get(inputOf(arm))!, rawBytesPerVolume: rawBytes(shape), finished: this.finished });
    await nodeFiles.writeFile(join(out, RESULTS_FILE), new TextEncoder().encode(encodeResults(results)));
    return results;
  }

  private folderOf(arm: string, seed: number): string {
    return join(this.source.out, 'runs', `${arm.replace('@', '-q')}-seed${seed}`);
  }

  private async openState({ arm, seed }: PlannedRun, folder: string): Promise<RunState> {
    const { engine } = this.source.opened;
    const file = join(folder, CHECKPOINT_FILE);
    if (await nodeFiles.exists(file)) return decodeCheckpoint(engine, await nodeFiles.readFile(file), file);
    const { config: experiment } = this.source.record;
    const config: TrainConfig = { ...armConfig(arm, seed, experiment), ...(isPhantom(experiment.cohort) && { phantom: true }) };
    const { vocabulary } = this;
    return {
      config, vocabulary, tokenizer: loadTokenizer({ vocabTxt: vocabulary }), position: { stage: STAGES.find((stage) => config.stages[stage])!, step: 0 },
      teacher: arm.fast ? await this.openTeacher(seed) : null, student: null, projectors: null, optimizer: null,
    };
  }

  /** The model that a seed's students learn from. */
  private async openTeacher(seed: number): Promise<RunState['teacher']> {
    const file = join(this.folderOf(teacherArm(this.source.record.config), seed), CHECKPOINT_FILE);
    const { student, teacher, projectors, optimizer, lossScale } = decodeCheckpoint(this.source.opened.engine, await nodeFiles.readFile(file), file);
    for (const unused of [teacher, projectors, optimizer, lossScale]) unused?.dispose();
    return student;
  }

  private async measure({ arm, seed }: PlannedRun, state: RunState, folder: string): Promise<void> {
    const { config, tokenizer, student } = state;
    const { engine } = this.source.opened;
    const steps = parseMetrics(await nodeFiles.readFile(join(folder, METRICS_FILE))).filter((each): each is StepRecord => each.kind === 'step');
    const score = async (split: string): Promise<ScoredPart> => {
      const scans = this.labelled(split);
      const options = { engine, model: student!, tokenizer, volumes: this.volumes, shape: presets[config.preset].grid.shape, batch: config.batch, quality: studentQuality(config) };
      return { ids: scans.map(({ id }) => id), patientIds: scans.map(({ patientId }) => patientId), ...((await scoreScans(scans, options)) as { scores: Float64Array; truths: Uint8Array }) };
    };
    const [validation, test] = [await score('validation'), await score('test')];
    await writeScores(folder, { labels: [...LABELS], validation, test });
    const record: RunRecord = {
      arm: arm.id, seed,
      validationAuroc: validation.ids.length ? evaluateLabels(LABELS, validation, validation, 'validation').mean.auroc : null,
      steps: steps.length,
      secondsAStep: secondsAStep(steps),
      peakGpuBytes: Math.max(...steps.map(({ gpuBytes }) => gpuBytes)),
      parameters: { encoder: student!.vision.parameterCount, heads: student!.imageHead.parameterCount + student!.textHead.parameterCount },
    };
    // Last: with it the run is finished.
    await nodeFiles.writeFile(join(folder, RESULT_FILE), new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`));
  }

  private async readFinished({ arm, seed }: PlannedRun): Promise<FinishedRun | null> {
    const folder = this.folderOf(arm.id, seed);
    const [result, scores, truths] = [RESULT_FILE, SCORES_FILE, TRUTHS_FILE].map((name) => join(folder, name)) as [string, string, string];
    if (!(await nodeFiles.exists(result))) return null;
    const record = JSON.parse(new TextDecoder().decode(await nodeFiles.readFile(result))) as RunRecord;
    const table = readScores(readCsv(await nodeFiles.readFile(scores), scores), readCsv(await nodeFiles.readFile(truths), truths));
    const rows = table.splits.flatMap((split, row) => (split === 'test' ? [row] : []));
    const pick = (values: ArrayLike<number>): number[] => rows.flatMap((row) => Array.from({ length: LABELS.length }, (_, label) => values[row * LABELS.length + label]!));
    return finishedRun(record, { scores: Float64Array.from(pick(table.scores)), truths: Uint8Array.from(pick(table.truths)) }, rows.map((row) => table.patientIds[row]!), this.source.record.config);
  }

  private labelled(split: string): CohortScan[] {
    return this.source.session.cohort.scans.filter((scan) => scan.split === split && scan.labels);
  }

  private async measureInput(quality: InputQuality): Promise<MeasuredInput> {
    const { grid } = presets[this.source.record.config.preset];
    const scans = this.labelled('test').slice(0, SCANS_MEASURED);
    let [bytes, squares] = [0, 0];
    for (const scan of scans) {
      const raw = await this.volumes.raw(scan);
      bytes += quality === null ? rawBytes(grid.shape) : quality === 'grey' ? voxelCount(grid.shape) : (await encodeJpegVolume(raw, grid, { quality, source: scan.id })).length;
      const read = await this.volumes.batch([scan], quality);
      const values = read instanceof Uint8Array ? greyToValues(read) : read;
      squares += values.reduce((sum, value, at) => sum + (value - raw[at]!) ** 2, 0) / raw.length;
    }
    return { bytesPerVolume: bytes / scans.length, errorHu: valueToHu(Math.sqrt(squares / scans.length)) };
  }
}

/** A volume in 16-bit HU. */
const rawBytes = (shape: readonly number[]): number => 2 * voxelCount(shape);

const inputOf = ({ input, quality }: Arm): InputQuality => (input === 'jpeg' ? quality : input === 'grey' ? 'grey' : null);

/** Medians, since other work on the machine makes single steps long. */
function secondsAStep(steps: readonly StepRecord[]): number {
  const sums = STAGES.map((stage) => {
    const seconds = steps.filter((step) => step.stage === stage).map((step) => step.seconds).sort((a, b) => a - b);
    return seconds.length ? seconds.length * seconds[Math.floor(seconds.length / 2)]! : 0;
  });
  return sums.reduce((sum, seconds) => sum + seconds, 0) / steps.length;
}
