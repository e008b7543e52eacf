/** `npm run bench`: every kernel family, forward and backward, at the shapes that CT-Lite uses. See docs/PERFORMANCE.md. */
import { createProgress } from '../src/platform/progress.ts';
import { CaseChild } from './case-child.ts';
import type { CaseReply, CaseRequest } from './case-process.ts';
import { cases } from './cases.ts';
import { describeCeiling, describeOutcome, describeTotals, outcomeHeader, totalsOf } from './describe.ts';
import { secondsToMeasure, type Outcome } from './harness.ts';
import { readOptions } from './options.ts';
import { mergeResults, resultsFile } from './results-file.ts';
import { runCases, type Answer, type CaseRunner, type Limits, type Missed } from './run-cases.ts';
import { describeTuned, type TunedOutcome } from './tuned.ts';

/** In seconds; the second ones with --all. */
const usualLimits: Limits = { seconds: 3600, caseSeconds: 120 };
const limitsOfAll: Limits = { seconds: 6 * 3600, caseSeconds: 1800 };

const usage = `npm run bench -- [--adapter NAME] [--filter TEXT] [--quick] [--tune] [--all] [--seconds N] [--case-seconds N] [--json]
  --filter        only families and names that contain TEXT
  --quick         two runs a case
  --tune          what the tuner chooses for each case, against the fixed plans in turn; --json writes <adapter>.tuned.json
  --all           also what takes minutes on a software adapter
  --seconds       the run ends after so many; cases that were not begun are named (default ${usualLimits.seconds}, with --all ${limitsOfAll.seconds})
  --case-seconds  a case that is not done after so many is cut, and named (default ${usualLimits.caseSeconds}, with --all ${limitsOfAll.caseSeconds})
  --json          writes bench/results/<adapter>.json after each case; cases that were not measured stay as they were`;

const options = readOptions('bench', usage, {
  adapter: { type: 'string' },
  filter: { type: 'string', default: '' },
  quick: { type: 'boolean', default: false },
  tune: { type: 'boolean', default: false },
  all: { type: 'boolean', default: false },
  seconds: { type: 'string' },
  'case-seconds': { type: 'string' },
  json: { type: 'boolean', default: false },
});

type Result = Outcome | TunedOutcome;
type Ready = Extract<CaseReply, { kind: 'ready' }>;

function fail(message: string): never {
  process.stderr.write(`bench: ${message}\n`);
  process.exit(1);
}

function secondsOf(flag: 'seconds' | 'case-seconds', usual: number): number {
  const given = options[flag];
  if (given === undefined) return usual;
  const seconds = Number(given);
  return seconds > 0 ? seconds : fail(`--${flag}: must be a positive number of seconds, got "${given}"`);
}

/** Opens a process on the adapter; `known` is what an earlier one found. */
async function openChild(seconds: number, known?: Ready): Promise<{ child: CaseChild; ready: Ready }> {
  const child = new CaseChild();
  const reply = await child.ask({ kind: 'open', adapter: options.adapter, ceiling: known?.ceiling }, seconds);
  if (reply !== 'late' && reply.kind === 'ready') return { child, ready: reply };
  child.stop();
  throw new Error(reply === 'late' ? `the adapter was not ready after ${Math.round(seconds)} s; --case-seconds gives more` : reply.kind === 'failed' ? reply.message : 'the adapter answered out of turn');
}

/** Cases of the list, in a process. */
function runnerOf(child: CaseChild, list: readonly number[]): CaseRunner<Result> {
  return {
    async run(at, seconds): Promise<Answer<Result>> {
      const request: CaseRequest = { kind: options.tune ? 'tune' : 'run', at: list[at]!, options: { quick: options.quick, all: options.all, seconds } };
      const reply = await child.ask(request, seconds);
      if (reply === 'late') return { isLate: true };
      if (reply.kind === 'outcome' || reply.kind === 'tuned') return { result: reply.outcome };
      return { died: reply.kind === 'failed' ? reply.message : 'answered out of turn' };
    },
    stop: () => child.stop(),
  };
}

const usual = options.all ? limitsOfAll : usualLimits;
const limits: Limits = { seconds: secondsOf('seconds', usual.seconds), caseSeconds: secondsOf('case-seconds', usual.caseSeconds) };

/** After each case, since a long run may be cut short. A case that was not run replaces none that was measured. */
async function writeResult(result: Result | Missed): Promise<void> {
  const entry = { ...result, date: new Date().toISOString() };
  const key = ({ family, name }: Result | Missed): string => `${family} ${name}`;
  const replaces = (after: Result | Missed, before: Result | Missed): boolean => !('skipped' in after) || 'skipped' in before;
  const lastRun = { date: began, filter: options.filter, quick: options.quick, ...limits, took: Math.round(performance.now() / 1000), ...totalsOf(results, list.length) };
  const about = { adapter: ready.adapter, node: process.version, quick: options.quick, ...(options.tune ? {} : { ceiling: ready.ceiling }), lastRun };
  await mergeResults<Result | Missed>(resultsFile(ready.adapter, options.tune ? 'tuned' : undefined), about, 'cases', [entry], key, replaces);
}

const list = cases.flatMap(({ family, name }, at) => (`${family} ${name}`.includes(options.filter) ? [at] : []));
if (!list.length) fail(`--filter: no family and name contain "${options.filter}"`);
const began = new Date().toISOString();
const first = await openChild(limits.caseSeconds).catch((error: Error) => fail(error.message));
const { ready } = first;
const expected = list.map((at) => secondsToMeasure(cases[at]!, ready.ceiling, { quick: options.quick, all: options.all, seconds: limits.caseSeconds }, ready.isSoftware));
const expectedOf = (count: number): number => expected.slice(0, count).reduce((sum, seconds) => sum + seconds, 0);
/** On a terminal a bar over the seconds that are expected, with the time that is left; elsewhere the lines of the cases are enough. */
const progress = process.stdout.isTTY ? createProgress({ title: 'bench, expected s:', total: expectedOf(list.length), stream: process.stdout }) : null;
const print = (line: string): void => (progress ? progress.note(line) : void process.stdout.write(`${line}\n`));
const stageOf = (at: number): string => (at < list.length ? `case ${at + 1} of ${list.length}: ${cases[list[at]!]!.family} ${cases[list[at]!]!.name}` : `${list.length} cases`);
print(ready.line);
print(describeCeiling(ready.ceiling));
print(`${list.length} cases; a case gets ${limits.caseSeconds} s at most, the run ${limits.seconds} s`);
if (!options.tune) print(outcomeHeader);
progress?.update(0, { stage: stageOf(0) });

const results: (Result | Missed)[] = [];
let runner: CaseRunner<Result> | null = runnerOf(first.child, list);
await runCases<Result>(list.map((at) => cases[at]!), {
  limits,
  async open(seconds) {
    const taken = runner ?? runnerOf((await openChild(seconds, ready)).child, list);
    runner = null;
    return taken;
  },
  async onResult(result, at) {
    results.push(result);
    for (const line of 'changed' in result ? describeTuned(result) : describeOutcome(result)) print(line);
    if (options.json) await writeResult(result);
    progress?.update(expectedOf(at + 1), { stage: stageOf(at + 1) });
  },
});
progress?.stop();
for (const line of describeTotals(totalsOf(results, list.length))) process.stdout.write(`${line}\n`);
process.exit(results.some((result) => 'failed' in result) ? 1 : 0);
