/** `ct-lite experiment`: the comparison of the arms in a config file, resumed where it stopped. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { presets } from '../model/index.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { createProgress } from '../platform/progress.ts';
import { armSteps, configDifferences, isPhantom, parseExperiment, planRuns, type ExperimentConfig, type PlannedRun } from '../train/index.ts';
import { openCohortSession, openNodeEngine, type CohortSession, type CohortSource, type OpenedEngine } from './cohort-session.ts';
import { ExperimentRunner } from './experiment-runner.ts';
import { Interrupted, interruptSignal } from './interrupt.ts';
import { writePhantomCohort } from './phantom-cohort.ts';
import { print, say } from './terminal.ts';
import { packageVersion } from './versions.ts';

export interface ExperimentFlags {
  quick?: boolean;
  out?: string;
  adapter?: string;
}

/** What an experiment was begun with, experiment.json in its folder. */
export interface ExperimentRecord {
  software: string;
  command: string;
  startedAt: string;
  adapter: { line: string; kind: 'hardware' | 'software' };
  config: ExperimentConfig;
}

const RECORD_FILE = 'experiment.json';
/** Keys on which no run depends: they may change, and the runs that are done stay. */
const FREE_KEYS = ['arms', 'seeds', 'resamples'] as const;

export function experimentCommand(): Command {
  return new Command('experiment')
    .description('compare inputs, FAST and projection heads as a config file says (docs/EXPERIMENT.md): every arm and seed trained and measured alike; run again to go on')
    .argument('[config]', 'JSON file; default experiments/phantom.json of this package, which takes hours on a software GPU')
    .option('--quick', 'experiments/quick.json in place of it: the five core arms in about 20 minutes')
    .option('--out <folder>', 'folder of the runs and results.json; default runs/experiment- and the name')
    .option('--adapter <name>', 'swiftshader, lavapipe, or a part of the adapter\'s name')
    .action(runExperiment);
}

async function runExperiment(given: string | undefined, flags: ExperimentFlags): Promise<void> {
  if (given !== undefined && flags.quick) throw new Error(`experiment: --quick is a config of its own, got ${given} beside it; leave one of them out`);
  const signal = interruptSignal();
  const file = given ?? packagedConfig(flags.quick ? 'quick' : 'phantom');
  const config = parseExperiment(await readConfig(file), file);
  const out = flags.out ?? join('runs', `experiment-${config.name}`);
  const opened = await openNodeEngine(flags.adapter);
  say(opened.line);
  try {
    const record = await openRecord(out, config, opened, file);
    const session = await openCohort(config, dirname(file), out, signal);
    try {
      await runAll(out, record, opened, session, signal);
    } finally {
      await session.pool.close();
    }
  } finally {
    opened.engine.destroy();
  }
}

/** A config that comes along, as seen from here. */
function packagedConfig(name: string): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const file = join(folder, 'experiments', `${name}.json`);
    if (existsSync(file)) return relative('', file) || file;
    if (folder === dirname(folder)) throw new Error(`experiment: the package's experiments/${name}.json is missing; give a config`);
  }
}

async function readConfig(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new Error(`experiment: ${file}: cannot be read (${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}); give a config such as experiments/quick.json`, { cause });
  }
}

/** Begins the folder, or compares it with what it was begun with. */
async function openRecord(out: string, config: ExperimentConfig, { line, kind }: OpenedEngine, file: string): Promise<ExperimentRecord> {
  const path = join(out, RECORD_FILE);
  const software = packageVersion('ct-lite') ?? 'unknown';
  let record: ExperimentRecord = { software, command: `npx ct-lite experiment ${isAbsolute(file) ? basename(file) : file}`, startedAt: new Date().toISOString(), adapter: { line, kind }, config };
  if (await nodeFiles.exists(path)) {
    const begun = parseRecord(await nodeFiles.readFile(path), path);
    const differences = configDifferences(depended(begun.config), depended(config));
    if (differences.length) throw new Error(`experiment: ${out}: was begun with another config, and its runs could not be compared: ${differences.join(', ')}; choose another --out, or put the old values back`);
    if (begun.adapter.line !== line) throw new Error(`experiment: ${out}: was begun on "${begun.adapter.line}", now "${line}"; give --adapter, or choose another --out`);
    record = { ...begun, config };
  }
  await nodeFiles.makeDirectory(out);
  await nodeFiles.writeFile(path, new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`));
  return record;
}

const depended = (config: ExperimentConfig): object => Object.fromEntries(Object.entries(config).filter(([key]) => !(FREE_KEYS as readonly string[]).includes(key)));

function parseRecord(bytes: Uint8Array, path: string): ExperimentRecord {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as ExperimentRecord;
  } catch (cause) {
    throw new Error(`${path}: is not valid JSON; restore it, or choose another --out`, { cause });
  }
}

async function openCohort({ cohort, preset }: ExperimentConfig, folder: string, out: string, signal: AbortSignal): Promise<CohortSession> {
  let source: CohortSource;
  if (isPhantom(cohort)) {
    const { testPatients, ...options } = cohort;
    source = { data: join(out, 'phantom') };
    const { volumes } = await writePhantomCohort({ out: source.data, validationPatients: testPatients, ...options, signal });
    say(`phantom cohort: ${volumes} drawn volumes in ${source.data} (no patients)`);
  } else {
    source = Object.fromEntries(Object.entries(cohort).map(([key, path]) => [key, resolve(folder, path as string)])) as unknown as CohortSource;
  }
  const session = await openCohortSession(source, presets[preset], isPhantom(cohort) ? cohort.seed : 0, say, { signal });
  const count = (split: string): number => session.cohort.scans.filter((scan) => scan.split === split && scan.labels).length;
  say(`cohort ${session.cohort.name}: ${count('train')} train, ${count('validation')} validation, ${count('test')} test scans with labels`);
  if (session.cohort.splitTooSmall || count('test') === 0) {
    await session.pool.close();
    throw new Error('experiment: the cohort has no labelled test split; arms cannot be compared on scans that they were trained on. Give more patients, or labels');
  }
  return session;
}

async function runAll(out: string, record: ExperimentRecord, opened: OpenedEngine, session: CohortSession, signal: AbortSignal): Promise<void> {
  const { config } = record;
  const runs = planRuns(config);
  const stepsOf = (those: readonly PlannedRun[]): number => those.reduce((sum, { arm }) => sum + armSteps(arm, config), 0);
  const runner = await ExperimentRunner.open({ out, record, opened, session });
  // At once: the statistics may be of another version than those that are there, or arms and seeds may have been changed.
  const finishedSteps = (): number => stepsOf(runs.filter((run) => runner.isFinished(run)));
  if (finishedSteps() > 0) await runner.writeResults();
  const progress = createProgress({ title: 'experiment', total: stepsOf(runs), start: finishedSteps(), intervalMs: 15000 });
  signal.addEventListener('abort', () => progress.note('stopping after this step (Ctrl-C again ends at once)'));
  try {
    for (const [at, run] of runs.entries()) {
      if (runner.isFinished(run)) continue;
      const title = `run ${at + 1} of ${runs.length}, arm ${run.arm.id}, seed ${run.seed}`;
      const before = finishedSteps();
      const finished = await runner.run(run, {
        stopRequested: () => signal.aborted,
        onStep: ({ globalStep, losses, volumesPerSecond, gpuBytes }) => progress.update(before + globalStep, { stage: title, loss: losses.loss!, volumesPerSecond, gpuBytes }),
        onNote: () => {},
      });
      if (!finished) throw new Interrupted(`interrupted; go on with the same command`);
      progress.note(`${title}: mean AUROC ${finished.measured.mean.toFixed(3)}`);
    }
  } finally {
    progress.stop();
  }
  const results = await runner.writeResults();
  for (const { claim, verdict, numbers } of results.claims) print(`${verdict.toUpperCase()}: ${claim} (${numbers})`);
  print(`results: ${join(out, 'results.json')}`);
}
