/** The report's charts: uPlot for what runs over steps, inline SVG for ROC curves and intervals. */
import type { Interval } from './bootstrap.ts';
import type { LabelMetrics, RocCurve } from './metrics.ts';
import { formatMeasure, html, type Markup } from './report-html.ts';

export interface StepSeries {
  name: string;
  /** One a step of the chart; null where there is none. */
  values: (number | null)[];
}

export interface StepChart {
  title: string;
  /** Rising step numbers. */
  steps: number[];
  series: StepSeries[];
  /** Fixed ends of the vertical axis, for measures in [0, 1]. */
  range?: [number, number];
}

function formatLoss(value: number): string {
  return Number(value.toPrecision(4)).toString();
}

/** First, lowest, highest and last value: what a chart shows, for those who can't see it. */
function summaryTable({ title, steps, series }: StepChart): Markup {
  const rows = series.map(({ name, values }) => {
    const known = values.flatMap((value, at) => (value === null ? [] : [{ value, step: steps[at]! }]));
    if (known.length === 0) return html`<tr><th scope="row">${name}</th><td class="reason" colspan="4">no value</td></tr>`;
    const lowest = known.reduce((a, b) => (b.value < a.value ? b : a));
    const highest = known.reduce((a, b) => (b.value > a.value ? b : a));
    const cells = [known[0]!, lowest, highest, known.at(-1)!].map(({ value, step }) => html`<td>${formatLoss(value)} at ${step}</td>`);
    return html`<tr><th scope="row">${name}</th>${cells}</tr>`;
  });
  return html`<details><summary class="hint">In numbers</summary><div class="scroll"><table><caption>${title}: value at step</caption>
<thead><tr><th scope="col">Series</th><th scope="col">first</th><th scope="col">lowest</th><th scope="col">highest</th><th scope="col">last</th></tr></thead>
<tbody>${rows}</tbody></table></div></details>`;
}

/** The place of a chart; CHART_SCRIPT draws into it. */
export function chartPlace(chart: StepChart, at: number): Markup {
  const names = chart.series.map(({ name }) => name).join(', ');
  return html`<div class="chart"><h3 id="chart-${at}-title">${chart.title}</h3>
<div class="plot" id="chart-${at}" role="img" aria-label="Line chart over steps: ${chart.title} (${names}). The numbers follow.">
<noscript><p class="hint">The curve needs JavaScript; its numbers are below.</p></noscript></div>${summaryTable(chart)}</div>`;
}

/**
 * Draws every chart of the JSON in #chart-data with the global uPlot; again when the width, the colour scheme or the medium changes,
 * since a canvas keeps its colours. Plain JavaScript: it runs in the reader's browser.
 */
export const CHART_SCRIPT = `
(() => {
  const charts = JSON.parse(document.getElementById('chart-data').textContent);
  const drawn = [];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const short = (value) => value == null ? '–' : Number(value.toPrecision(4)).toString();
  const font = '12px system-ui, sans-serif';
  function draw(chart, at) {
    const place = document.getElementById('chart-' + at);
    place.querySelector('.uplot')?.remove();
    const axis = { stroke: colour('--soft'), font, labelFont: font, grid: { stroke: colour('--grid'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 } };
    drawn[at] = new uPlot({
      width: place.clientWidth,
      height: 240,
      scales: { x: { time: false }, y: chart.range ? { range: chart.range } : {} },
      axes: [{ ...axis, label: 'step', labelSize: 22, size: 34 }, { ...axis, size: 56 }],
      series: [{ label: 'step' }, ...chart.series.map((series, n) => ({
        label: series.name,
        stroke: series.name === 'chance' ? colour('--faint') : colour('--series-' + (n % 6 + 1)),
        dash: series.name === 'chance' ? [4, 4] : n >= 6 ? [8, 4] : undefined,
        width: n === 0 ? 2 : 1.5,
        spanGaps: true,
        points: { show: chart.steps.length <= 40 && series.name !== 'chance' },
        value: (_, value) => short(value),
      }))],
      cursor: { y: false },
    }, [chart.steps, ...chart.series.map((series) => series.values)], place);
  }
  const drawAll = () => charts.forEach(draw);
  drawAll();
  new ResizeObserver(() => drawn.forEach((plot, at) => {
    const width = document.getElementById('chart-' + at).clientWidth;
    if (width !== plot.width) plot.setSize({ width, height: 240 });
  })).observe(document.querySelector('main'));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
  addEventListener('beforeprint', () => { document.documentElement.dataset.theme = 'light'; drawAll(); });
  addEventListener('afterprint', () => { delete document.documentElement.dataset.theme; drawAll(); });
})();
`;

const SIDE = 160;

/** The curve as an SVG path; points in the middle of a straight run are left out. */
function rocPath({ falsePositiveRate: x, truePositiveRate: y }: RocCurve): string {
  const kept: string[] = [];
  for (let at = 0; at < x.length; at += 1) {
    const straight = at > 0 && at + 1 < x.length && ((x[at - 1] === x[at] && x[at] === x[at + 1]) || (y[at - 1] === y[at] && y[at] === y[at + 1]));
    if (!straight) kept.push(`${(x[at]! * SIDE).toFixed(1)} ${((1 - y[at]!) * SIDE).toFixed(1)}`);
  }
  return `M${kept.join('L')}`;
}

/** The ROC point that the threshold reaches on the evaluated split: the last one whose score is still at or above it. */
function pointAt({ thresholds, falsePositiveRate, truePositiveRate }: RocCurve, threshold: number): { x: number; y: number } {
  let at = 0;
  while (at + 1 < thresholds.length && thresholds[at + 1]! >= threshold) at += 1;
  return { x: falsePositiveRate[at]! * SIDE, y: (1 - truePositiveRate[at]!) * SIDE };
}

/** One label's ROC curve, with the point of the validation threshold. */
export function rocFigure({ label, auroc, roc, threshold }: LabelMetrics): Markup {
  if (!roc) return html``;
  const path = rocPath(roc);
  const mark = threshold === null ? null : pointAt(roc, threshold);
  const alt = `ROC curve of ${label}, AUROC ${formatMeasure(auroc)}${
    mark ? `; at the threshold: false positive rate ${(mark.x / SIDE).toFixed(2)}, true positive rate ${(1 - mark.y / SIDE).toFixed(2)}` : ''
  }`;
  return html`<figure class="roc"><figcaption><span>${label}</span><b>${formatMeasure(auroc)}</b></figcaption>
<svg viewBox="-2 -2 ${SIDE + 4} ${SIDE + 4}" role="img" aria-label="${alt}"><path class="under-curve" d="${path}L${SIDE} ${SIDE}Z"/><rect class="frame" width="${SIDE}" height="${SIDE}"/>
<path class="chance" d="M0 ${SIDE}L${SIDE} 0"/><path class="curve" d="${path}"/>${mark && html`<circle class="mark" cx="${mark.x.toFixed(1)}" cy="${mark.y.toFixed(1)}" r="4.5"/>`}</svg></figure>`;
}

const FOREST = { width: 160, height: 22, pad: 6 };
const forestX = (value: number) => (FOREST.pad + value * (FOREST.width - 2 * FOREST.pad)).toFixed(1);

/** A measure and its interval on a scale from 0 to 1, with chance dashed. The numbers stand in the cells beside it. */
export function forestPlot(value: number, interval: Interval | null, chance = 0.5): Markup {
  const middle = FOREST.height / 2;
  return html`<svg viewBox="0 0 ${FOREST.width} ${FOREST.height}" aria-hidden="true"><line class="chance" x1="${forestX(chance)}" x2="${forestX(chance)}" y1="0" y2="${FOREST.height}"/>
${interval && html`<line class="whisker" x1="${forestX(interval.low)}" x2="${forestX(interval.high)}" y1="${middle}" y2="${middle}"/>`}<circle class="point" cx="${forestX(value)}" cy="${middle}" r="4"/></svg>`;
}

/** A difference and its interval on a scale from −0.25 to 0.25, larger ones at the edge. */
export function differencePlot(difference: number, interval: Interval | null): Markup {
  const place = (value: number): number => Math.min(1, Math.max(0, 0.5 + 2 * value));
  return forestPlot(place(difference), interval && { ...interval, low: place(interval.low), high: place(interval.high) });
}

/** One label's reliability curve: observed share over mean score of each filled bin. */
export function reliabilityFigure({ label, ece, reliability }: LabelMetrics): Markup {
  const filled = (reliability ?? []).filter(({ count }) => count > 0);
  if (filled.length === 0) return html``;
  const most = Math.max(...filled.map(({ count }) => count));
  const points = filled.map(({ count, meanScore, observed }) => ({ x: (meanScore * SIDE).toFixed(1), y: ((1 - observed) * SIDE).toFixed(1), r: Math.max(1.5, 7 * Math.sqrt(count / most)).toFixed(1) }));
  const alt = `Reliability curve of ${label}, calibration error ${formatMeasure(ece)}: ${filled.map(({ count, meanScore, observed }) => `${count} scans scored about ${meanScore.toFixed(2)}, ${observed.toFixed(2)} of them with the finding`).join('; ')}`;
  return html`<figure class="roc"><figcaption><span>${label}</span><b>${formatMeasure(ece)}</b></figcaption>
<svg viewBox="-8 -8 ${SIDE + 16} ${SIDE + 16}" role="img" aria-label="${alt}"><rect class="frame" width="${SIDE}" height="${SIDE}"/><path class="chance" d="M0 ${SIDE}L${SIDE} 0"/>
<path class="curve" d="M${points.map(({ x, y }) => `${x} ${y}`).join('L')}"/>${points.map(({ x, y, r }) => html`<circle class="point" cx="${x}" cy="${y}" r="${r}"/>`)}</svg></figure>`;
}
