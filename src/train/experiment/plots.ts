/** The plots of an experiment's report, each a whole SVG file as a string. */
import { formatBytes, html, type Markup } from '../report-html.ts';
import { HIGHER_IS_BETTER, PATCH_ARMS, patchInputName, type PatchArm, type PatchFastResult, type PatchInput, type PatchMeasure } from '../patch-fast-result.ts';
import type { ArmResult, Estimate, ExperimentResults } from './results.ts';
import { axisBottom, axisLeft, labelsAbove, legend, linearScale, logScale, MARGIN, mark, plotFile, polyline, signed, whisker, type Area, type LegendEntry, type Scale } from './plot-parts.ts';

const WIDTH = 760;
const RIGHT = WIDTH - 28;
const LEFT = 84;
/** Below title and subtitle. */
const LEGEND_TOP = 76;
const PLOT_HEIGHT = 300;
/** Series that meet at one place stand beside each other. */
const DODGE = 9;

/** Core arms over all inputs: one series a name before the @. */
const SERIES = [
  { arm: 'jpeg', name: 'JPEG alone' },
  { arm: 'jpeg-fast', name: 'JPEG + FAST' },
  { arm: 'jpeg-sfp', name: 'JPEG + SFP' },
  { arm: 'ct-lite', name: 'CT-Lite: JPEG + FAST + SFP' },
] as const;

const baseName = ({ arm }: ArmResult): string => arm.split('@')[0]!;

interface Series {
  name: string;
  /** Colour and shape. */
  index: number;
  arms: ArmResult[];
}

function seriesOf({ arms }: ExperimentResults): Series[] {
  return SERIES.map(({ arm, name }, index) => ({ name, index, arms: arms.filter((each) => baseName(each) === arm && each.quality !== null).sort((a, b) => a.quality! - b.quality!) })).filter((series) => series.arms.length > 0);
}

/** Lowest and highest value or end of an interval. */
function reach(estimates: readonly Estimate[]): [number, number] {
  const all = estimates.flatMap(({ value, interval }) => (interval ? [value, interval.low, interval.high] : [value]));
  return [Math.min(...all), Math.max(...all)];
}

function point(series: number, x: number, { value, interval }: Estimate, y: Scale): Markup {
  return html`${interval && whisker(series, x, y(interval.low), y(interval.high))}${mark(series, x, y(value))}`;
}

function source({ name, runs, arms, cohort, adapter }: ExperimentResults): string {
  const seeds = Math.max(0, ...arms.map(({ seeds: each }) => each.length));
  return `Experiment “${name}”: ${runs.done} of ${runs.planned} runs, up to ${seeds} seeds; ${cohort.scans.test} test scans of ${cohort.patients.test} ${cohort.phantom ? 'phantoms (drawn, no patients)' : 'patients'}; ${adapter.kind} adapter.`;
}

const INTERVALS = 'Mean AUROC over labels and seeds; whiskers are 95 % bootstrap intervals over patients.';

function require(results: ExperimentResults, plot: string): void {
  if (!results.arms.length) throw new Error(`${plot}: the experiment has no finished arm yet; run it first`);
}

/** Mean AUROC against the bytes of a volume: what a byte buys. The horizontal axis is logarithmic. */
export function plotAurocByBytes(results: ExperimentResults): string {
  require(results, 'plotAurocByBytes');
  const baseline = results.arms.find(({ arm }) => arm === 'baseline');
  const grey = results.arms.find(({ arm }) => arm === 'grey');
  const single = [{ name: 'Uncompressed 16-bit HU (baseline)', arm: baseline }, { name: '8 bits without JPEG', arm: grey }];
  const series: Series[] = [...seriesOf(results), ...single.flatMap(({ name, arm }, n) => (arm ? [{ name, index: SERIES.length + n, arms: [arm] }] : []))];
  const shown = series.flatMap(({ arms }) => arms);
  const key = legend(series.map(({ name, index }) => ({ name, series: index })), MARGIN, RIGHT, LEGEND_TOP);
  const bytes = shown.map(({ bytesPerVolume }) => bytesPerVolume);
  const inputs = new Map(shown.map((arm) => [arm.bytesPerVolume, arm.quality !== null ? `JPEG ${arm.quality}` : arm.arm === 'grey' ? '8 bits' : 'HU']));
  const top = LEGEND_TOP + key.height + 34;
  const area: Area = { left: LEFT, right: RIGHT, top, bottom: top + PLOT_HEIGHT };
  const x = logScale([Math.min(...bytes) / 1.25, Math.max(...bytes) * 1.25], [area.left, area.right]);
  const y = linearScale(reach(shown.map(({ meanAuroc }) => meanAuroc)), [area.bottom, area.top]);
  const above = labelsAbove([...inputs].map(([value, text]) => ({ x: x(value), text })), area.top, area.bottom);
  const marks = series.map(({ index, arms }, n) => {
    const places = arms.map((arm) => x(arm.bytesPerVolume) + dodge(n, meeting(series, ({ bytesPerVolume }) => bytesPerVolume === arm.bytesPerVolume)));
    return html`${arms.length > 1 && polyline(index, arms.map(({ meanAuroc }, at) => [places[at]!, y(meanAuroc.value)]))}${arms.map(({ meanAuroc }, at) => point(index, places[at]!, meanAuroc, y))}`;
  });
  return plotFile({
    width: WIDTH, bottom: area.bottom, title: 'AUROC against the size of a volume', subtitle: INTERVALS, source: source(results),
    description: shown.map(({ title, bytesPerVolume, meanAuroc }) => `${title}: ${formatBytes(Math.round(bytesPerVolume))}, ${meanAuroc.value.toFixed(3)}`).join('; '),
    body: html`${key.markup}${axisLeft(y, area, 'mean AUROC')}${axisBottom(x, area, 'bytes of a volume as the model reads it (logarithmic)', formatBytes)}${above.markup}${marks}`,
  });
}

/** Numbers of the series that have a point there. */
const meeting = (series: readonly Series[], there: (arm: ArmResult) => boolean): number[] => series.flatMap(({ arms }, n) => (arms.some(there) ? [n] : []));

/** Shift of series n among those that meet at one place. */
function dodge(n: number, those: readonly number[]): number {
  return (those.indexOf(n) - (those.length - 1) / 2) * DODGE;
}

/** Mean AUROC against JPEG quality, with the baseline and 8 bits without JPEG as lines across. */
export function plotAurocByQuality(results: ExperimentResults): string {
  require(results, 'plotAurocByQuality');
  const series = seriesOf(results);
  if (!series.length) throw new Error('plotAurocByQuality: no finished arm reads JPEG; run one of them first');
  const references = [{ arm: 'baseline', name: 'uncompressed HU, dense heads (band: its interval)' }, { arm: 'grey', name: '8 bits without JPEG' }].flatMap(({ arm, name }, n) => {
    const found = results.arms.find((each) => each.arm === arm);
    return found ? [{ found, entry: { name, series: null, dots: n === 1 } satisfies LegendEntry }] : [];
  });
  const entries: LegendEntry[] = [...series.map(({ name, index }) => ({ name, series: index })), ...references.map(({ entry }) => entry)];
  const key = legend(entries, MARGIN, RIGHT, LEGEND_TOP);
  const top = LEGEND_TOP + key.height + 10;
  const area: Area = { left: LEFT, right: RIGHT, top, bottom: top + PLOT_HEIGHT };
  const qualities = [...new Set(series.flatMap(({ arms }) => arms.map(({ quality }) => quality!)))].sort((a, b) => a - b);
  const shown = series.flatMap(({ arms }) => arms);
  const margin = qualities.length > 1 ? 0.08 * (qualities.at(-1)! - qualities[0]!) : 5;
  const x: Scale = Object.assign((quality: number) => area.left + ((quality - qualities[0]! + margin) / (qualities.at(-1)! - qualities[0]! + 2 * margin)) * (area.right - area.left), { ticks: qualities });
  const y = linearScale(reach([...shown, ...references.map(({ found }) => found)].map(({ meanAuroc }) => meanAuroc)), [area.bottom, area.top]);
  const across = references.map(({ found: { meanAuroc }, entry }) => {
    const at = y(meanAuroc.value).toFixed(1);
    const { interval } = meanAuroc;
    return html`${!entry.dots && interval && html`<rect class="band" x="${area.left}" width="${area.right - area.left}" y="${y(interval.high).toFixed(1)}" height="${(y(interval.low) - y(interval.high)).toFixed(1)}"/>`}<line class="reference${entry.dots ? ' dots' : ''}" x1="${area.left}" x2="${area.right}" y1="${at}" y2="${at}"/>`;
  });
  const marks = series.map(({ index, arms }, n) => {
    const places = arms.map((arm) => x(arm.quality!) + dodge(n, meeting(series, ({ quality }) => quality === arm.quality)));
    return html`${arms.length > 1 && polyline(index, arms.map(({ meanAuroc }, at) => [places[at]!, y(meanAuroc.value)]))}${arms.map(({ meanAuroc }, at) => point(index, places[at]!, meanAuroc, y))}`;
  });
  return plotFile({
    width: WIDTH, bottom: area.bottom, title: 'AUROC against JPEG quality', subtitle: INTERVALS, source: source(results),
    description: shown.map(({ title, meanAuroc }) => `${title}: ${meanAuroc.value.toFixed(3)}`).join('; '),
    body: html`${key.markup}${axisLeft(y, area, 'mean AUROC')}${axisBottom(x, area, 'JPEG quality of training and test', String)}${across}${marks}`,
  });
}

const ROW = 24;
/** Wider than the others: names on the left, numbers on the right. */
const FOREST_WIDTH = 820;
const FOREST_LEFT = 304;
const FOREST_RIGHT = FOREST_WIDTH - 184;

/** AUROC of an arm less the baseline's, label by label, the greatest loss on top. Colours say where the interval excludes zero. */
export function plotLabelForest(results: ExperimentResults, armId = 'ct-lite'): string {
  const arm = results.arms.find((each) => each.arm === armId);
  const baseline = results.arms.find((each) => each.arm === 'baseline');
  if (!arm || !baseline) throw new Error(`plotLabelForest: "${armId}" and "baseline" must both be finished, got ${results.arms.map((each) => each.arm).join(', ') || 'none'}`);
  const rows = results.labels.flatMap(({ label, positives, negatives }, at) => {
    const difference = arm.labels[at]?.difference;
    return difference ? [{ label, positives, negatives, difference }] : [];
  }).sort((a, b) => a.difference.value - b.difference.value);
  if (!rows.length) throw new Error(`plotLabelForest: no label of "${armId}" can be measured; the test split needs both classes of one`);
  const [low, high] = reach(rows.map(({ difference }) => difference));
  const area: Area = { left: FOREST_LEFT, right: FOREST_RIGHT, top: 108, bottom: 108 + rows.length * ROW + 10 };
  const x = linearScale([Math.min(0, low), Math.max(0, high)], [area.left, area.right], 5);
  const mean = arm.meanAuroc.value - baseline.meanAuroc.value;
  const key = legend([{ name: 'loss', series: 1 }, { name: 'gain', series: 2 }, { name: 'interval holds zero', series: 0 }, { name: `mean of labels, ${withSign(mean)}`, series: null }], MARGIN, FOREST_WIDTH - MARGIN, LEGEND_TOP);
  const body = rows.map(({ label, positives, negatives, difference: { value, interval } }, row) => {
    const y = area.top + 17 + row * ROW;
    const series = interval && interval.high < 0 ? 1 : interval && interval.low > 0 ? 2 : 0;
    const line = interval && html`<path class="whisker s${series + 1}" d="M${x(interval.low).toFixed(1)} ${y}H${x(interval.high).toFixed(1)}"/>`;
    const numbers = `${withSign(value)}${interval ? ` [${withSign(interval.low)}, ${withSign(interval.high)}]` : ''}`;
    return html`<text class="ink" x="${MARGIN}" y="${y + 4}">${label}</text><text x="${area.left - 10}" y="${y + 4}" text-anchor="end">${positives}/${positives + negatives}</text>${line}${mark(series, x(value), y)}<text class="ink" x="${FOREST_WIDTH - MARGIN}" y="${y + 4}" text-anchor="end">${numbers}</text>`;
  });
  const line = (value: number, style: string): Markup => html`<line class="${style}" x1="${x(value).toFixed(1)}" x2="${x(value).toFixed(1)}" y1="${area.top}" y2="${area.bottom}"/>`;
  return plotFile({
    width: FOREST_WIDTH, bottom: area.bottom, title: `AUROC by finding: ${arm.title} less the baseline`,
    subtitle: '95 % intervals over patients and seeds, paired by scan; grey: scans with the finding among those tested.', source: source(results),
    description: rows.map(({ label, difference }) => `${label} ${withSign(difference.value)}`).join('; '),
    body: html`${key.markup}${axisBottom(x, area, 'difference in AUROC (left: worse than the baseline)', undefined, true)}${line(0, 'line')}${line(mean, 'reference')}${body}`,
  });
}

const withSign = (value: number): string => signed(`${value > 0 && value.toFixed(3) !== '0.000' ? '+' : ''}${value.toFixed(3)}`);

const MEASURES: Record<PatchMeasure, { title: string; axis: string }> = {
  featureCosine: { title: 'Feature cosine to the teacher', axis: 'cosine of tokens' },
  centredCosine: { title: 'Centred feature cosine to the teacher', axis: 'centred cosine of tokens' },
  pooledCosine: { title: "Cosine of the pooled features to the teacher's", axis: 'centred cosine' },
  gram: { title: 'Gram distance to the teacher', axis: 'relative squared distance' },
  position: { title: 'Distance of position attention to the teacher', axis: 'squared distance' },
  channel: { title: 'Distance of channel attention to the teacher', axis: 'squared distance' },
  alignment: { title: 'Masked feature distance to the teacher', axis: 'masked squared distance' },
};

const PATCH_ARM_NAMES: Record<PatchArm, string> = {
  compression: 'without FAST: the teacher itself on the compressed patch',
  fast: 'with FAST: student from the teacher',
  untrained: 'random student',
  'fast-fresh': 'with FAST: student from random weights',
};

/**
 * What FAST changes on patches of scans that were not trained on: the measure with it less without, by what the patch went through, a series an
 * arm. Taken patch by patch, so that what differs between patches is not in the intervals; faint points are single folds.
 */
export function plotPatchDifference(result: PatchFastResult, measure: PatchMeasure = 'centredCosine', arms: readonly PatchArm[] = ['fast']): string {
  const { title, axis: axisTitle } = MEASURES[measure];
  const shown = result.differences.filter(({ arm }) => arms.includes(arm));
  const series = shown.map(({ arm, cells }) => ({ name: `${PATCH_ARM_NAMES[arm]}, less without`, index: PATCH_ARMS.indexOf(arm), cells: cells.flatMap(({ input, measures }) => (measures[measure] ? [{ input, statistic: measures[measure] }] : [])) })).filter(({ cells }) => cells.length > 0);
  if (!series.length) throw new Error(`plotPatchDifference: the result has no difference in ${measure} of ${arms.join(' or ')}`);
  const { settings: { inputs, shape, spacingMm, steps, style }, folds, scans } = result;
  const key = legend([...series.map(({ name, index }) => ({ name, series: index })), { name: 'no change', series: null }], MARGIN, RIGHT, LEGEND_TOP);
  const top = LEGEND_TOP + key.height + 10;
  const area: Area = { left: LEFT, right: RIGHT, top, bottom: top + PLOT_HEIGHT };
  const slot = (area.right - area.left) / inputs.length;
  const x = (input: PatchInput, n: number): number => area.left + (inputs.indexOf(input) + 0.5) * slot + (n - (series.length - 1) / 2) * 3 * DODGE;
  const values = series.flatMap(({ cells }) => cells.flatMap(({ statistic: { mean, interval, folds: each } }) => [{ value: mean, interval }, ...each.filter((value) => value !== null).map((value) => ({ value, interval: null }))]));
  const y = linearScale(reach([...values, { value: 0, interval: null }]), [area.bottom, area.top]);
  const marks = series.map(({ index, cells }, n) => html`${polyline(index, cells.map(({ input, statistic }) => [x(input, n), y(statistic.mean)]))}${cells.map(({ input, statistic: { mean, interval, folds: each } }) => html`<g class="small">${each.map((value) => value !== null && html`<circle class="fill s${index + 1}" cx="${(x(input, n) + DODGE).toFixed(1)}" cy="${y(value).toFixed(1)}" r="2.5"/>`)}</g>${point(index, x(input, n), { value: mean, interval }, y)}`)}`);
  const axis: Scale = Object.assign((at: number) => area.left + (at + 0.5) * slot, { ticks: inputs.map((_, at) => at) });
  const heldOut = folds.reduce((sum, { patches }) => sum + patches.heldOut, 0);
  const line = html`<line class="reference" x1="${area.left}" x2="${area.right}" y1="${y(0).toFixed(1)}" y2="${y(0).toFixed(1)}"/>`;
  return plotFile({
    width: WIDTH, bottom: area.bottom, title: `What FAST changes: ${title[0]!.toLowerCase()}${title.slice(1)}`,
    subtitle: `${HIGHER_IS_BETTER.includes(measure) ? 'Above' : 'Below'} zero is better. Scans not trained on; whiskers: 95 % intervals over ${result.resampled}, faint points: folds.`,
    source: `${heldOut} patches of ${scans.length} scans, ${shape.join(' × ')} voxels at ${spacingMm.join(' × ')} mm; ${folds.length} folds, ${steps} steps each${style === 'gatys' ? ", Gatys' style term" : ''}; teacher ${result.teacher.name}.`,
    description: series.map(({ name, cells }) => `${name}: ${cells.map(({ input, statistic }) => `${patchInputName(input)} ${statistic.mean.toPrecision(4)}`).join(', ')}`).join('; '),
    body: html`${key.markup}${axisLeft(y, area, `difference in ${axisTitle}`)}${axisBottom(axis, area, 'what the patch went through', (at) => patchInputName(inputs[at]!))}${line}${marks}`,
  });
}
