/** `npm run bench`: every kernel family, forward and backward, at the shapes that CT-Lite uses. See docs/PERFORMANCE.md. */
import { parseArgs } from 'node:util';
import { Engine } from '../src/autograd/index.ts';
import { Device } from '../src/engine/index.ts';
import { describeAdapter, requestNodeAdapter } from '../src/platform/node-adapter.ts';
import { cases } from './cases.ts';
import { measureCeiling, type Ceiling } from './ceiling.ts';
import { mostSeconds, runCase, secondsExpected, type Outcome, type Timing } from './harness.ts';
import { mergeResults, resultsFile } from './results-file.ts';
import { describeTuned, tuneCase } from './tuned.ts';

const usage = `npm run bench -- [--adapter NAME] [--filter TEXT] [--quick] [--tune] [--all] [--json]
  --filter  only families and names that contain TEXT
  --quick   two runs a case
  --tune    what the tuner chooses for each case, against the fixed plans in turn; --json writes <adapter>.tuned.json
  --all     also what takes minutes on a software adapter
  --json    writes bench/results/<adapter>.json ; cases that did not run stay as they were`;

const { values: options } = parseArgs({
  options: {
    adapter: { type: 'string' },
    filter: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    tune: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const print = (line: string): void => void process.stdout.write(`${line}\n`);
if (options.help) {
  print(usage);
  process.exit(0);
}

const chosen = await requestNodeAdapter(options.adapter === undefined ? {} : { adapter: options.adapter });
const engine = new Engine(await Device.open(chosen.adapter, { collectGarbage: chosen.collectGarbage }));
print(describeAdapter(chosen));
const ceiling = await measureCeiling(engine);
print(describeCeiling(ceiling));
if (options.tune) {
  await tuneAll();
  process.exit(0);
}
print(`${'family'.padEnd(20)}${'case'.padEnd(46)}${'pass'.padEnd(9)}${'ms'.padStart(10)}${'±'.padStart(6)}${'gpu ms'.padStart(10)}${'GFLOP/s'.padStart(9)}${'GB/s'.padStart(8)}${'share'.padStart(7)}  error`);
const outcomes: Outcome[] = [];
for (const bench of cases.filter(({ family, name }) => `${family} ${name}`.includes(options.filter))) {
  const outcome = await runCase(engine, bench, ceiling, options);
  outcomes.push(outcome);
  for (const line of describe(outcome)) print(line);
  if (options.json) await writeResult(outcome);
}
const failed = outcomes.filter((outcome) => 'failed' in outcome);
const skipped = outcomes.filter((outcome) => 'skipped' in outcome);
print(`${outcomes.length - failed.length - skipped.length} cases measured, ${failed.length} failed, ${skipped.length} skipped`);
process.exit(failed.length ? 1 : 0);

async function tuneAll(): Promise<void> {
  for (const bench of cases.filter(({ family, name }) => `${family} ${name}`.includes(options.filter))) {
    const seconds = secondsExpected(bench, ceiling);
    if (engine.device.isSoftware && !options.all && seconds > mostSeconds) continue;
    const outcome = await tuneCase(engine, bench);
    for (const line of describeTuned(outcome)) print(line);
    if (options.json) await mergeResults(resultsFile(chosen.name, 'tuned'), { adapter: chosen.name, node: process.version }, 'cases', [{ ...outcome, date: new Date().toISOString() }], ({ family, name }) => `${family} ${name}`);
  }
}

function describeCeiling({ flops, bandwidth, plan }: Ceiling): string {
  return `ceiling: ${(flops / 1e9).toFixed(1)} GFLOP/s (matmul, plan ${plan}), ${(bandwidth / 1e9).toFixed(1)} GB/s (copy)`;
}

function describe(outcome: Outcome): string[] {
  const label = `${outcome.family.padEnd(20)}${outcome.name.padEnd(46)}`;
  if ('skipped' in outcome) return [`${label}skipped: ${outcome.skipped}`];
  if ('failed' in outcome) return [`${label}FAILED: ${outcome.failed}`];
  return outcome.timings.map((timing) => label + columns(timing));
}

function columns({ pass, milliseconds, spread, gpuMilliseconds, gflops, gigabytes, share, bound, error }: Timing): string {
  return [
    pass.padEnd(9),
    milliseconds.toFixed(2).padStart(10),
    `${(100 * spread).toFixed(0)}%`.padStart(6),
    (gpuMilliseconds === null ? '–' : gpuMilliseconds.toFixed(2)).padStart(10),
    (gflops ? gflops.toFixed(1) : '–').padStart(9),
    (gigabytes ? gigabytes.toFixed(1) : '–').padStart(8),
    `${(100 * share).toFixed(0)}%${bound === 'memory' ? 'm' : 'a'}`.padStart(7),
    `  ${error.toExponential(0)}`,
  ].join('');
}

/** After each case, since a long run may be cut short. */
async function writeResult(outcome: Outcome): Promise<void> {
  const about = { adapter: chosen.name, node: process.version, quick: options.quick, ceiling };
  await mergeResults(resultsFile(chosen.name), about, 'cases', [{ ...outcome, date: new Date().toISOString() }], ({ family, name }) => `${family} ${name}`);
}
