/** What `npm run bench` prints. */
import type { Ceiling } from './ceiling.ts';
import type { Outcome, Timing } from './harness.ts';
import type { Missed, Named } from './run-cases.ts';

/** How a run went, in its file of results too: the cases that are missing by name. */
export interface Totals {
  cases: number;
  measured: number;
  failed: string[];
  /** Begun, and ended by a limit of time. */
  cut: string[];
  /** Not begun, since the run's time was used up; after a run that was killed, what it did not come to is in none of these. */
  leftOut: string[];
  /** Too slow on a software adapter, or not possible on this one. */
  skipped: string[];
}

export function totalsOf(results: readonly (Named | Outcome | Missed)[], cases: number): Totals {
  const totals: Totals = { cases, measured: 0, failed: [], cut: [], leftOut: [], skipped: [] };
  for (const result of results) {
    const label = `${result.family} ${result.name}`;
    if ('failed' in result) totals.failed.push(label);
    else if (!('skipped' in result)) totals.measured += 1;
    else if (result.because === 'cut') totals.cut.push(label);
    else if (result.because === 'left out') totals.leftOut.push(label);
    else totals.skipped.push(label);
  }
  return totals;
}

export function describeTotals({ measured, failed, cut, leftOut, skipped }: Totals): string[] {
  const named = (what: string, names: readonly string[]): string[] => (names.length ? [`${what}: ${names.join('; ')}`] : []);
  return [
    `${measured} cases measured, ${failed.length} failed, ${skipped.length} skipped, ${cut.length} cut, ${leftOut.length} left out`,
    ...named('failed', failed),
    ...named('cut by the limit of time', cut),
    ...named('left out, since the time of the run was used up', leftOut),
  ];
}

export function describeCeiling({ flops, bandwidth, plan }: Ceiling): string {
  return `ceiling: ${(flops / 1e9).toFixed(1)} GFLOP/s (matmul, plan ${plan}), ${(bandwidth / 1e9).toFixed(1)} GB/s (copy)`;
}

const nameWidth = 60;

export const outcomeHeader = `${'family'.padEnd(20)}${'case'.padEnd(nameWidth)}${'pass'.padEnd(9)}${'ms'.padStart(10)}${'±'.padStart(6)}${'gpu ms'.padStart(10)}${'GFLOP/s'.padStart(9)}${'GB/s'.padStart(8)}${'share'.padStart(7)}  error`;

/** A line for each pass. */
export function describeOutcome(outcome: Outcome | Missed): string[] {
  const label = `${outcome.family.padEnd(20)}${`${outcome.name} `.padEnd(nameWidth)}`;
  if ('skipped' in outcome) return [`${label}${/^(cut|left out):/.test(outcome.skipped) ? '' : 'skipped: '}${outcome.skipped}`];
  if ('failed' in outcome) return [`${label}FAILED: ${outcome.failed}`];
  return outcome.timings.map((timing) => label + columns(timing));
}

function columns({ pass, milliseconds, spread, gpuMilliseconds, gflops, gigabytes, share, bound, error, cut }: Timing): string {
  return [
    pass.padEnd(9),
    milliseconds.toFixed(2).padStart(10),
    `${(100 * spread).toFixed(0)}%`.padStart(6),
    (gpuMilliseconds === null ? '–' : gpuMilliseconds.toFixed(2)).padStart(10),
    (gflops ? gflops.toFixed(1) : '–').padStart(9),
    (gigabytes ? gigabytes.toFixed(1) : '–').padStart(8),
    `${(100 * share).toFixed(0)}%${bound === 'memory' ? 'm' : 'a'}`.padStart(7),
    `  ${error.toExponential(0)}`,
    cut ? `  (${cut})` : '',
  ].join('');
}
