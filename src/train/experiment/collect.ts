/** From finished runs to the results of an experiment. */
import { LABELS, type Cohort } from '../../data/index.ts';
import { encoderMacs, headMacs, presets } from '../../model/index.ts';
import type { ScoredSplit } from '../metrics.ts';
import { armOf, BASELINE, TEACHER, type Arm } from './arms.ts';
import { labelEstimates, meanEstimate, measureRun, relativeLoss, spreadOf, type MeasuredRun } from './arm-statistics.ts';
import { testClaims } from './claims.ts';
import { isPhantom, type ExperimentConfig } from './experiment-config.ts';
import { RESULTS_FORMAT, RESULTS_VERSION, type ArmResult, type ExperimentResults } from './results.ts';

/** Of resamples and of the seeds drawn in them: the same for every experiment, so that results of one cohort can be compared. */
const BOOTSTRAP_SEED = 0;

/** What a run leaves beside its scores, result.json in its folder. */
export interface RunRecord {
  arm: string;
  seed: number;
  validationAuroc: number | null;
  steps: number;
  /** Median seconds of a step: of each stage, then their mean weighted by the stages' steps. */
  secondsAStep: number;
  peakGpuBytes: number;
  parameters: { encoder: number; heads: number };
}

export interface FinishedRun extends RunRecord {
  measured: MeasuredRun;
}

export function finishedRun(record: RunRecord, test: ScoredSplit, patientIds: readonly string[], { resamples }: ExperimentConfig): FinishedRun {
  return { ...record, measured: measureRun(record.seed, test, LABELS.length, patientIds, { seed: BOOTSTRAP_SEED, resamples }) };
}

/** A run of the experiment. */
export interface PlannedRun {
  arm: Arm;
  seed: number;
}

/**
 * The runs in their order: the core arms of all seeds first, then the other groups as the config has them, each seed by seed with the baseline
 * and the teacher, which the others of its seed learn from, before them. So whatever is done when somebody looks can be compared.
 */
export function planRuns({ arms: ids, seeds, quality }: ExperimentConfig): PlannedRun[] {
  const arms = ids.map((id) => armOf(id, quality));
  const rank = ({ id }: Arm): number => (id === BASELINE ? 0 : id === TEACHER ? 1 : 2);
  const groups = [...new Set(arms.map(({ group }) => group))].sort((a, b) => Number(b === 'core') - Number(a === 'core'));
  return groups.flatMap((group) => {
    const own = arms.filter((arm) => arm.group === group).sort((a, b) => rank(a) - rank(b));
    return seeds.flatMap((seed) => own.map((arm) => ({ arm, seed })));
  });
}

/** Volumes as an arm reads them, means over test scans. */
export interface MeasuredInput {
  bytesPerVolume: number;
  /** Root mean squared difference from the uncompressed volume. */
  errorHu: number;
}

export interface CollectSource {
  config: ExperimentConfig;
  run: Pick<ExperimentResults, 'software' | 'command' | 'startedAt' | 'updatedAt' | 'adapter'>;
  cohort: Pick<Cohort, 'name' | 'scans'>;
  measuredInput: (arm: Arm) => MeasuredInput;
  rawBytesPerVolume: number;
  finished: readonly FinishedRun[];
}

export function collectResults({ config, run, cohort, measuredInput, rawBytesPerVolume, finished }: CollectSource): ExperimentResults {
  const measured = new Map<string, MeasuredRun[]>();
  for (const each of finished) measured.set(each.arm, [...(measured.get(each.arm) ?? []), each.measured]);
  const baseline = measured.get(BASELINE) ?? [];
  const arms = config.arms.map((id) => armOf(id, config.quality)).filter(({ id }) => measured.has(id));
  const results = arms.map((arm) => armResult(arm, config, finished.filter((each) => each.arm === arm.id), measured.get(arm.id)!, baseline, measuredInput(arm)));
  const of = (split: string): Cohort['scans'] => cohort.scans.filter((scan) => scan.split === split);
  const bySplit = (count: (scans: Cohort['scans']) => number): ExperimentResults['cohort']['scans'] => ({ train: count(of('train')), validation: count(of('validation')), test: count(of('test')) });
  return {
    format: RESULTS_FORMAT,
    version: RESULTS_VERSION,
    name: config.name,
    ...run,
    config,
    runs: { done: finished.length, planned: config.arms.length * config.seeds.length },
    cohort: { name: cohort.name, phantom: isPhantom(config.cohort), scans: bySplit((scans) => scans.length), patients: bySplit((scans) => new Set(scans.map(({ patientId }) => patientId)).size) },
    rawBytesPerVolume,
    labels: LABELS.map((label, at) => {
      const count = (truth: number): number => of('test').filter(({ labels }) => labels?.[at] === truth).length;
      return { label, positives: count(1), negatives: count(0) };
    }),
    arms: results,
    claims: testClaims(results, measured, BOOTSTRAP_SEED),
  };
}

function armResult(arm: Arm, config: ExperimentConfig, records: readonly FinishedRun[], runs: readonly MeasuredRun[], baseline: readonly MeasuredRun[], measuredInput: MeasuredInput): ArmResult {
  const { id, title, group, input, quality, fast, head } = arm;
  const preset = presets[config.preset];
  const headConfig = { ...preset.head, kind: head };
  const isBaseline = id === BASELINE;
  const mean = (value: (record: FinishedRun) => number): number => records.reduce((sum, record) => sum + value(record), 0) / records.length;
  return {
    arm: id, title, group, input, quality, fast, head,
    seeds: records.map(({ seed, measured, validationAuroc, steps, secondsAStep, peakGpuBytes }) => ({
      seed, meanAuroc: measured.mean, validationAuroc, labels: Array.from(measured.labels, (value) => (Number.isNaN(value) ? null : value)), steps, secondsAStep, peakGpuBytes,
    })),
    meanAuroc: meanEstimate(runs),
    spread: spreadOf(runs),
    relativeLoss: isBaseline ? null : relativeLoss(runs, baseline, BOOTSTRAP_SEED),
    labels: labelEstimates(runs, isBaseline ? null : baseline, BOOTSTRAP_SEED),
    parameters: records[0]!.parameters,
    macs: { encoder: encoderMacs(preset.encoder), heads: headMacs(preset.encoder.width, headConfig) + headMacs(preset.text.width, headConfig) },
    ...measuredInput,
    secondsAStep: mean(({ secondsAStep }) => secondsAStep),
    peakGpuBytes: Math.max(...records.map(({ peakGpuBytes }) => peakGpuBytes)),
  };
}

/** Rounds every number of the results to six digits that count, as JSON: more would only make files of noise. */
export function encodeResults(results: ExperimentResults): string {
  return `${JSON.stringify(results, (_, value: unknown) => (typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value), 1)}\n`;
}
