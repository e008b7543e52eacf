/** An evaluation as one HTML file that asks for nothing outside itself and needs no script. */
import type { Interval } from './bootstrap.ts';
import type { Comparison } from './compare.ts';
import { measureOf, type EvaluationResult } from './evaluation-tables.ts';
import type { Measure } from './label-measures.ts';
import type { LabelMetrics } from './metrics.ts';
import { differencePlot, forestPlot, reliabilityFigure, rocFigure } from './report-charts.ts';
import { formatMeasure, html, inlineStyle, type Markup } from './report-html.ts';
import { EVALUATION_STYLE, REPORT_STYLE } from './report-style.ts';
import type { DirectionResult } from './retrieval.ts';

const POLICY = "default-src 'none'; style-src 'unsafe-inline'";
const COLUMNS: [Measure, string][] = [
  ['averagePrecision', 'Average precision'], ['weightedF1', 'Weighted F1'], ['accuracy', 'Accuracy'], ['precision', 'Precision'], ['brier', 'Brier'], ['ece', 'ECE'],
];

const range = (interval: Interval | null | undefined): string => (interval ? `${formatMeasure(interval.low)}–${formatMeasure(interval.high)}` : '–');
const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`;
const signedRange = (low: number, high: number): string => `${signed(low)} to ${signed(high)}`;

/** A p-value to two digits, never as 0. */
export function formatP(p: number | null): string {
  if (p === null) return '–';
  return p < 0.0001 ? '< 0.0001' : p.toPrecision(2);
}

function figure(value: number | null, interval: Interval | null | undefined): Markup {
  return html`<td>${formatMeasure(value)}${value !== null && html`<small>${range(interval)}</small>`}</td>`;
}

function tile(name: string, value: string, under: string): Markup {
  return html`<div class="tile"><dt>${name}</dt><dd><div class="value">${value}</div><div class="under">${under}</div></dd></div>`;
}

function tiles({ metrics, intervals, comparison, retrieval }: EvaluationResult): Markup {
  const { mean, labels } = metrics;
  const { measures } = intervals;
  const cells = [tile('Mean AUROC', formatMeasure(mean.auroc), `95 % interval ${range(measures.auroc.mean)} · ${mean.aurocLabels} of ${labels.length} labels`)];
  if (comparison?.mean.test) {
    const { test, bootstrap } = comparison.mean;
    cells.push(tile('Difference of mean AUROC', signed(test.difference), `over patients ${bootstrap ? signedRange(bootstrap.low, bootstrap.high) : '–'} · DeLong p ${formatP(test.p)}`));
  }
  cells.push(tile('Mean average precision', formatMeasure(mean.averagePrecision), `95 % interval ${range(measures.averagePrecision.mean)}`));
  cells.push(mean.classification
    ? tile('Mean weighted F1', formatMeasure(mean.classification.weightedF1), `accuracy ${formatMeasure(mean.classification.accuracy)} · precision ${formatMeasure(mean.classification.precision)}`)
    : tile('Mean weighted F1', '–', 'no validation split to fit thresholds on'));
  cells.push(tile('Calibration error', formatMeasure(mean.ece), mean.ece === null ? 'the scores are no probabilities' : `mean ECE · Brier ${formatMeasure(mean.brier)}`));
  const recall = retrieval?.volumeToReport.recalls.find(({ k }) => k === 10) ?? retrieval?.volumeToReport.recalls[0];
  if (recall) cells.push(tile(`Volume → report R@${recall.k}`, formatMeasure(recall.recall), `95 % interval ${range(recall.interval)} · chance ${formatMeasure(recall.chance)}`));
  return html`<dl class="tiles first">${cells}</dl>`;
}

function labelRow(label: LabelMetrics, at: number, { intervals: { measures } }: EvaluationResult): Markup {
  const head = html`<th scope="row">${label.label}</th><td>${label.positives}</td><td>${label.negatives}</td>`;
  if (label.auroc === null) return html`<tr>${head}<td class="reason" colspan="${COLUMNS.length + 3}">not measurable, and in no mean: ${label.reason}</td></tr>`;
  const interval = measures.auroc.labels[at] ?? null;
  return html`<tr>${head}${figure(label.auroc, interval)}<td class="forest">${forestPlot(label.auroc, interval)}</td>${
    COLUMNS.map(([measure]) => figure(measureOf(label, measure), measures[measure].labels[at]))}<td>${label.threshold === null ? html`<span title="${label.thresholdReason ?? ''}">–</span>` : label.threshold === Infinity ? '∞' : Number(label.threshold.toPrecision(3))}</td></tr>`;
}

function labelSection(result: EvaluationResult): Markup {
  const { metrics, intervals, split } = result;
  const { mean, labels } = metrics;
  const skips = intervals.measures.auroc.labels.reduce((sum, interval) => sum + (interval?.skipped ?? 0), 0);
  const unfitted = labels.filter(({ auroc, threshold }) => auroc !== null && threshold === null);
  return html`<section class="long"><h2>By label, ${split}</h2>
<p class="hint">Small: 95 % intervals, percentiles of ${intervals.resamples} bootstrap resamples of ${intervals.patients} patients, seed ${intervals.seed}${skips > 0 && html`; ${skips} times a label lacked a class in a resample and was left out of it`}. Thresholds: the point of the validation ROC curve nearest to (0, 1), never fitted on ${split}; ∞: nothing is called present. Calibration: ten bins of equal width.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Figures by label"><table><caption>${labels.length} labels; with and without: scans by the truths.</caption>
<thead><tr><th scope="col">Label</th><th scope="col">With</th><th scope="col">Without</th><th scope="col">AUROC</th><th scope="col" class="forest">0 · chance · 1</th>${COLUMNS.map(([, name]) => html`<th scope="col">${name}</th>`)}<th scope="col">Threshold</th></tr></thead>
<tbody>${labels.map((label, at) => labelRow(label, at, result))}
<tr class="mean"><th scope="row" colspan="3">Mean of ${mean.aurocLabels} labels${mean.classificationLabels !== mean.aurocLabels && html`<small>F1, accuracy, precision: ${mean.classificationLabels}</small>`}</th>${figure(mean.auroc, intervals.measures.auroc.mean)}<td class="forest">${mean.auroc !== null && forestPlot(mean.auroc, intervals.measures.auroc.mean)}</td>${
    COLUMNS.map(([measure]) => figure(measureOf(mean, measure), intervals.measures[measure].mean))}<td></td></tr></tbody></table></div>
${unfitted.length > 0 && html`<p class="banner">No threshold for ${unfitted.map(({ label }) => label).join(', ')}: ${unfitted[0]!.thresholdReason}.</p>`}</section>`;
}

function comparisonRow({ label, test, adjustedP, bootstrap }: Comparison['labels'][number]): Markup {
  if (!test) return html`<tr><th scope="row">${label}</th><td class="reason" colspan="7">fewer than two scans of a class</td></tr>`;
  return html`<tr><th scope="row">${label}</th><td>${formatMeasure(test.a)}</td><td>${formatMeasure(test.b)}</td><td>${signed(test.difference)}<small>${bootstrap ? signedRange(bootstrap.low, bootstrap.high) : '–'}</small></td><td class="forest">${differencePlot(test.difference, bootstrap)}</td><td>${signedRange(test.low, test.high)}</td><td>${formatP(test.p)}</td><td>${formatP(adjustedP)}</td></tr>`;
}

function comparisonSection({ comparison }: EvaluationResult): Markup {
  if (!comparison) return html``;
  const { a, b, labels, mean, resamples, patients } = comparison;
  return html`<section class="long"><h2>${a} against ${b}</h2>
<p class="hint">Differences of AUROC, first minus second, on the same scans. Small, and drawn: 95 % interval of ${resamples} paired resamples of ${patients} patients. DeLong's test takes scans as independent, so read the interval over patients where patients have several scans. Holm: p adjusted for testing ${labels.filter(({ test }) => test).length} labels.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Comparison by label"><table><thead><tr><th scope="col">Label</th><th scope="col">${a}</th><th scope="col">${b}</th><th scope="col">Difference</th><th scope="col" class="forest">second · equal · first better</th><th scope="col">DeLong 95 %</th><th scope="col">DeLong p</th><th scope="col">p, Holm</th></tr></thead>
<tbody>${labels.map(comparisonRow)}${mean.test && html`<tr class="mean"><th scope="row">Mean of ${mean.labels} labels</th><td>${formatMeasure(mean.test.a)}</td><td>${formatMeasure(mean.test.b)}</td><td>${signed(mean.test.difference)}<small>${mean.bootstrap ? signedRange(mean.bootstrap.low, mean.bootstrap.high) : '–'}</small></td><td class="forest">${differencePlot(mean.test.difference, mean.bootstrap)}</td><td>${signedRange(mean.test.low, mean.test.high)}</td><td>${formatP(mean.test.p)}</td><td></td></tr>`}</tbody></table></div></section>`;
}

function retrievalSection({ retrieval }: EvaluationResult): Markup {
  if (!retrieval) return html``;
  const rows = (name: string, { queries, candidates, recalls, leftOut, medianRank }: DirectionResult): Markup[] => [
    ...recalls.map(({ k, recall, interval, chance }, at) => html`<tr>${at === 0 && html`<th scope="rowgroup" rowspan="${recalls.length}">${name}<small>${queries} queries, ${candidates} candidates, median rank ${medianRank}${leftOut.length > 0 && `; R@${leftOut.join(', R@')} would be 1 for any model`}</small></th>`}<td>R@${k}</td>${figure(recall, interval)}<td class="forest">${forestPlot(recall, interval, chance)}</td><td>${formatMeasure(chance)}</td></tr>`),
    ...(recalls.length === 0 ? [html`<tr><th scope="row">${name}</th><td class="reason" colspan="4">${candidates} candidates are too few: R@5 would be 1 for any model</td></tr>`] : []),
  ];
  return html`<section class="long"><h2>Retrieval</h2>
<p class="hint">Recall at k by cosine similarity. Reconstructions of a scan share their report, and reports of the same words are one candidate. A query's rank is that of its best match; candidates that score as much stand before it, so ties count against the model. Intervals resample the queries by patient and keep the candidates.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Retrieval"><table><thead><tr><th scope="col">Direction</th><th scope="col">Depth</th><th scope="col">Recall</th><th scope="col" class="forest">0 · dashed: chance · 1</th><th scope="col">Chance</th></tr></thead>
<tbody>${rows('Volume → report', retrieval.volumeToReport)}</tbody><tbody>${rows('Report → volume', retrieval.reportToVolume)}</tbody></table></div></section>`;
}

/** @returns a whole HTML document; all text is escaped */
export function renderEvaluation(result: EvaluationResult): string {
  const { name, split, metrics, scans, patients, facts, notes, version, madeAt } = result;
  const calibrated = metrics.labels.filter(({ reliability }) => reliability);
  const counts = (key: 'validation' | 'test'): string => `${scans[key]} scans of ${patients[key]} patients`;
  const listed: [string, string][] = [...facts, ['Evaluated', `${split}: ${counts('test')}`], ['Thresholds', scans.validation > 0 ? `validation: ${counts('validation')}` : 'none fitted: no validation split'], ['Made', madeAt], ['Software', `ct-lite ${version}`]];
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Evaluation of ${name}</title>
<style>${inlineStyle(REPORT_STYLE)}${inlineStyle(EVALUATION_STYLE)}</style></head><body><main>
<header><h1>Evaluation of ${name}</h1><p class="lead">${split} · ${counts('test')}</p>
<p class="banner"><b>Not a medical device.</b> For research only; not for diagnosis or treatment.${notes.map((note) => html`<br>${note}`)}</p></header>
${tiles(result)}${labelSection(result)}${comparisonSection(result)}
<section class="long"><h2>ROC curves</h2><p class="hint">True positive rate (up) over false positive rate (right), both from 0 to 1. Dashed: chance. Dot: the validation threshold on this split.</p><div class="rocs">${metrics.labels.map(rocFigure)}</div></section>
${calibrated.length > 0 && html`<section class="long"><h2>Calibration</h2><p class="hint">Share of scans with the finding (up) over the mean score of the bin (right), both from 0 to 1. Dashed: a score means what it says. Area of a dot: scans in the bin. Number: expected calibration error.</p><div class="rocs">${calibrated.map(reliabilityFigure)}</div></section>`}
${retrievalSection(result)}
<section><h2>What was evaluated</h2><dl class="facts">${listed.map(([term, value]) => html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl></section>
<footer>Made by ct-lite ${version}. Not a medical device.</footer></main></body></html>
`.text;
}
