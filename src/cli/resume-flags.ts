/** Flags beside `--resume`: a run goes on with its own settings, so a flag that says otherwise is refused by name. */
import { resolve } from 'node:path';
import { STAGES, totalSteps } from '../train/index.ts';
import type { RunConfig } from './run-folder.ts';
import type { TrainFlags } from './train.ts';

/** Flags that may differ: --learning-rate by design (a diverged run goes on with less), --adapter since another machine may finish, --memory since it changes rounding alone, --profile since it only watches. */
type FreeFlag = 'resume' | 'learningRate' | 'adapter' | 'memory' | 'profile';
type BoundFlag = Exclude<keyof TrainFlags, FreeFlag | 'tune' | 'deterministic'>;

const none = 'none';

/** Numbers of patients of a phantom run, which stand in its folder's name; null for other runs. */
export function phantomSizes({ phantom, source }: RunConfig): { patients: number; validationPatients: number } | null {
  const sizes = phantom ? /(\d+)\+(\d+)$/.exec(source.data) : null;
  return sizes && { patients: Number(sizes[1]), validationPatients: Number(sizes[2]) };
}

/** What the run has of each flag, as the flag would be given. */
function settingsOf(config: RunConfig, folder: string): Record<BoundFlag, string | number | boolean> {
  const { train, source, phantom } = config;
  const stages = STAGES.filter((stage) => train.stages[stage]);
  const sizes = phantomSizes(config);
  return {
    out: folder,
    data: phantom ? none : source.data,
    reports: source.reports ?? none,
    labels: source.labels ?? none,
    columns: source.columns ?? none,
    labelMap: source.labelMap ?? none,
    vocab: config.vocab ?? none,
    init: config.init ?? none,
    preset: train.preset,
    stage: stages.length === STAGES.length ? 'all' : stages.join('+'),
    train: train.trainable ?? 'all',
    head: train.head,
    textTower: config.textTower?.folder ?? none,
    freezeText: config.textTower?.frozen ?? false,
    textCache: config.textCache ?? none,
    teacher: config.teacher?.file ?? none,
    targets: config.teacher?.targets ?? none,
    text: train.text.unit,
    labelPrompts: train.text.labelPrompts ?? false,
    seed: train.seed,
    steps: totalSteps(train),
    batch: train.batch,
    virtualBatch: train.virtualBatch ?? train.batch,
    precision: train.precision ?? 'f32',
    quality: train.quality,
    patients: sizes?.patients ?? none,
    validationPatients: sizes?.validationPatients ?? none,
  };
}

const paths: readonly string[] = ['out', 'data', 'reports', 'labels', 'columns', 'labelMap', 'vocab', 'init', 'textTower', 'textCache', 'teacher', 'targets'] satisfies BoundFlag[];

/**
 * @param given whether a flag stood on the command line: defaults say nothing
 * @throws Error naming each flag that contradicts the run, what the run has, what was given and the remedy
 */
export function refuseContradictions(flags: TrainFlags, given: (flag: keyof TrainFlags) => boolean, config: RunConfig, folder: string): void {
  const contradictions: string[] = [];
  for (const [name, has] of Object.entries(settingsOf(config, folder)) as [BoundFlag, string | number | boolean][]) {
    if (!given(name)) continue;
    const got = flags[name]!;
    const same = paths.includes(name) && has !== none ? resolve(String(has)) === resolve(String(got)) : has === got;
    if (!same) contradictions.push(contradiction(name, got, has));
  }
  if (given('tune') && !config.tune) contradictions.push('--tune was given where the run takes the fixed plans');
  if (given('deterministic') && config.tune) contradictions.push('--deterministic was given where the run is tuned');
  if (contradictions.length === 0) return;
  const moved = (['data', 'reports', 'labels'] as const).some(given) ? `; where the data have moved, change "source" in ${folder}/config.json` : '';
  throw new Error(`train: ${folder}: the run goes on with its own settings, but ${contradictions.join('; ')}. Leave ${contradictions.length > 1 ? 'these flags' : 'this flag'} out, or start a new run (--init ${folder} gives it this one's models)${moved}`);
}

function contradiction(name: BoundFlag, got: string | number | boolean, has: string | number | boolean): string {
  const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  if (typeof got === 'boolean') return `--${got ? '' : 'no-'}${flag} was given where the run has --${has ? '' : 'no-'}${flag}`;
  return `--${flag} ${got} was given where the run has ${has}`;
}
