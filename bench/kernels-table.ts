/** The kernels' own benches as tables of docs/PERFORMANCE.md, one an adapter, made of bench/results/<adapter>.json. */
import { adapterTitle, dateRange, markdownTable, numberRange, threeDigits } from './document-tables.ts';
import type { Ceiling } from './ceiling.ts';
import type { Outcome, Timing } from './harness.ts';

/** A file that `npm run bench -- --json` wrote. */
export interface KernelResults {
  adapter: string;
  node: string;
  ceiling: Ceiling;
  cases: (Outcome & { date: string })[];
}

/** Whether a JSON file of bench/results is one of these. */
export function isKernelResults(json: object): json is KernelResults {
  return 'ceiling' in json && 'cases' in json && Array.isArray(json.cases);
}

function cellsOf(timing: Timing | undefined): string[] {
  if (!timing) return ['–', '–'];
  const { milliseconds, spread, runs, share, bound } = timing;
  return [`${threeDigits(milliseconds)} ${runs === 1 ? '(one run)' : `±${(100 * spread).toFixed(0)} %`}`, `${(100 * share).toFixed(0)} % ${bound === 'memory' ? 'copy' : 'product'}`];
}

function lineOf(outcome: Outcome): string[] {
  const { family, name } = outcome;
  if ('skipped' in outcome) return [family, name, 'not run', '', '', ''];
  if ('failed' in outcome) return [family, name, 'FAILED', '', '', ''];
  const of = (pass: Timing['pass']): Timing | undefined => outcome.timings.find((timing) => timing.pass === pass);
  return [family, name, ...cellsOf(of('forward')), ...cellsOf(of('backward'))];
}

function sectionOf({ adapter, node, ceiling, cases }: KernelResults, known: readonly { family: string; name: string }[]): string {
  const found = new Map(cases.map((outcome) => [`${outcome.family} ${outcome.name}`, outcome]));
  const listed = known.flatMap(({ family, name }) => found.get(`${family} ${name}`) ?? []);
  const missing = known.filter(({ family, name }) => !found.has(`${family} ${name}`)).map(({ family, name }) => `${family} ${name}`);
  const reasons = listed.flatMap((outcome) => ('skipped' in outcome ? [`- ${outcome.family} ${outcome.name}: ${outcome.skipped}`] : 'failed' in outcome ? [`- ${outcome.family} ${outcome.name}: FAILED: ${outcome.failed}`] : []));
  const timings = listed.flatMap((outcome) => ('timings' in outcome ? outcome.timings : []));
  return [
    `### ${adapterTitle(adapter)}`,
    `"${adapter}", ${dateRange(cases.map(({ date }) => date))}, Node ${node.replace(/^v/, '')}, ${timings.length ? numberRange(timings.map(({ runs }) => runs)) : 'no'} runs a pass; at best ${threeDigits(ceiling.flops / 1e9)} GFLOP/s in a product, ${threeDigits(ceiling.bandwidth / 1e9)} GB/s in a copy.`,
    markdownTable(['Family', 'Case', 'Forward, ms', 'of the', 'Backward, ms', 'of the'], listed.map(lineOf)),
    reasons.length ? ['Without a time:', ...reasons].join('\n') : '',
    missing.length ? `Never run here: ${missing.join('; ')}.` : '',
  ].filter(Boolean).join('\n\n');
}

/** Of each adapter that has results, in the order given; cases in the order of `known`, and what of it is missing. */
export function kernelsTable(results: readonly KernelResults[], known: readonly { family: string; name: string }[]): string {
  if (!results.length) return 'Nothing was measured: `npm run bench -- --json` has not run.';
  return results.map((each) => sectionOf(each, known)).join('\n\n');
}
