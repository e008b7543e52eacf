/** The paper's claims as this experiment can test them, each held, not held, or not decidable by its interval. */
import { BASELINE } from './arms.ts';
import { meanDifference, type MeasuredRun } from './arm-statistics.ts';
import type { ArmResult, ClaimResult, Estimate, Verdict } from './results.ts';

/** Arms that the claims speak of. */
const CT_LITE = 'ct-lite';
const JPEG = 'jpeg';
/** "Within 5 %" and "almost half" as bounds. */
const MOST_LOSS = 0.05;
const MOST_HEADS = 0.52;
/** With fewer, what seeds do to the figures is not known: nothing is decided. */
const LEAST_SEEDS = 3;

const percent = (value: number): string => `${value < 0 ? '−' : ''}${Math.abs(100 * value).toFixed(1)} %`;
const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`;
const range = ({ interval }: Estimate, format: (value: number) => string): string => (interval ? `[${format(interval.low)}, ${format(interval.high)}]` : '[no interval]');

/** Held where the whole interval lies below `bound`, not held where it lies above. */
function verdictBelow({ interval }: Estimate, bound: number): Verdict {
  if (!interval) return 'not decidable';
  return interval.high <= bound ? 'held' : interval.low > bound ? 'not held' : 'not decidable';
}

/** @param measured runs of each arm by its id; claims about arms that were not run are not decidable, and say so */
export function testClaims(arms: readonly ArmResult[], measured: ReadonlyMap<string, readonly MeasuredRun[]>, bootstrapSeed: number): ClaimResult[] {
  const ctLite = arms.find(({ arm }) => arm === CT_LITE);
  const jpeg = arms.find(({ arm }) => arm === JPEG);
  const dense = arms.find(({ head }) => head === 'dense');
  const open = (what: string): Pick<ClaimResult, 'verdict' | 'numbers'> => ({ verdict: 'not decidable', numbers: `${what} has no finished run` });

  /** A verdict by AUROC, if as many seeds as that takes have run in both arms. */
  const decided = (other: string, verdict: Verdict, numbers: string): Pick<ClaimResult, 'verdict' | 'numbers'> => {
    const others = measured.get(other) ?? [];
    const seeds = (measured.get(CT_LITE) ?? []).filter(({ seed }) => others.some((run) => run.seed === seed)).length;
    const told = `${numbers}, ${seeds} ${seeds === 1 ? 'seed' : 'seeds'}`;
    return seeds < LEAST_SEEDS ? { verdict: 'not decidable', numbers: `${told} of at least ${LEAST_SEEDS}` } : { verdict, numbers: told };
  };

  const within = (): Pick<ClaimResult, 'verdict' | 'numbers'> => {
    if (!ctLite?.relativeLoss) return open(ctLite ? 'the baseline of its seeds' : CT_LITE);
    const { relativeLoss } = ctLite;
    return decided(BASELINE, verdictBelow(relativeLoss, MOST_LOSS), `relative loss ${percent(relativeLoss.value)} ${range(relativeLoss, percent)}`);
  };
  const better = (): Pick<ClaimResult, 'verdict' | 'numbers'> => {
    if (!ctLite || !jpeg) return open(ctLite ? JPEG : CT_LITE);
    const difference = meanDifference(measured.get(CT_LITE)!, measured.get(JPEG)!, bootstrapSeed);
    if (!difference) return open('a seed that both have');
    const worse = { value: -difference.value, interval: difference.interval && { low: -difference.interval.high, high: -difference.interval.low } };
    // "Excludes zero": an interval that ends at zero does not.
    const verdict = difference.interval && difference.interval.low <= 0 && difference.interval.high >= 0 ? 'not decidable' : verdictBelow(worse, 0);
    return decided(JPEG, verdict, `difference of mean AUROC ${signed(difference.value)} ${range(difference, signed)}`);
  };
  const smaller = (): Pick<ClaimResult, 'verdict' | 'numbers'> => {
    if (!ctLite || !dense) return open(ctLite ? 'an arm with dense heads' : CT_LITE);
    const kept = ctLite.parameters.heads / dense.parameters.heads;
    return { verdict: kept <= MOST_HEADS ? 'held' : 'not held', numbers: `${ctLite.parameters.heads.toLocaleString('en')} of ${dense.parameters.heads.toLocaleString('en')} parameters, ${percent(kept)}` };
  };
  return [
    { id: 'within-5-percent', claim: 'CT-Lite is within 5 % (relative mean AUROC) of the uncompressed baseline', ...within() },
    { id: 'better-than-jpeg', claim: 'CT-Lite is better than JPEG input without FAST and with dense heads, with an interval that excludes zero', ...better() },
    { id: 'heads-at-most-52-percent', claim: 'The projection heads have at most 52 % of the dense heads\' parameters', ...smaller() },
  ];
}
