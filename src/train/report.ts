/** The run's report: one HTML file that asks for nothing outside itself. */
import type { Interval, MetricIntervals } from './bootstrap.ts';
import type { EvaluationMetrics, LabelMetrics } from './metrics.ts';
import { CHART_SCRIPT, chartPlace, forestPlot, rocFigure, type StepChart } from './report-charts.ts';
import {
  dataUri, formatBytes, formatDuration, formatMeasure, html, inlineJson, inlineScript, inlineStyle, type Markup,
} from './report-html.ts';
import { REPORT_STYLE } from './report-style.ts';
import type { DistillationMeasure } from './validate.ts';

export interface ReportImage {
  mime: 'image/png' | 'image/jpeg';
  bytes: Uint8Array;
}

/** One scan, raw beside JPEG. */
export interface SliceExample {
  id: string;
  /** The middle axial slice before and after JPEG, in the same window and size. */
  raw: ReportImage;
  jpeg: ReportImage;
  /** [D, Y, X] of the model input and its spacing [z, y, x] in mm. */
  shape: [number, number, number];
  spacingMm: [number, number, number];
  quality: number;
  /** Bytes of the scan's own file. */
  rawFileBytes: number;
  /** Bytes of the model's input as 16-bit integers, without compression. */
  gridBytes: number;
  /** Bytes of the JPEG volume. */
  jpegBytes: number;
  /** Peak signal-to-noise ratio of the JPEG volume against the model's input, over the 2000 HU window, in dB; null where equal. */
  psnrDb: number | null;
}

export interface ReportData {
  title: string;
  /** Printed in a banner: for example that the cohort is drawn, not scanned. */
  warnings: string[];
  run: {
    /** Version of this software. */
    version: string;
    command: string;
    /** ISO 8601. */
    startedAt: string;
    seconds: number;
    preset: string;
    stages: string[];
    seed: number;
    /** Optimiser steps over all stages. */
    steps: number;
    batch: number;
    parameters: number;
    volumesPerSecond: number | null;
    peakGpuBytes: number | null;
  };
  adapter: {
    /** As describeAdapter gives it. */
    line: string;
    kind: 'hardware' | 'software';
  };
  cohort: {
    name: string;
    scans: { train: number; validation: number; test: number };
    patients: { train: number; validation: number; test: number };
    skipped: { id: string; reason: string }[];
  };
  /** One chart a stage: the loss first, then its terms. */
  losses: StepChart[];
  /** Mean AUROC on validation during the run; null where it was never measured. */
  validation: { steps: number[]; auroc: (number | null)[] } | null;
  /** FAST on the same validation scans before and after its stage, as far as the run got. */
  distillation: DistillationMeasure[];
  /** null where the run did not evaluate. */
  evaluation: { split: string; metrics: EvaluationMetrics; intervals: MetricIntervals } | null;
  slices: SliceExample[];
  /** The run's configuration, printed as JSON. */
  config: unknown;
}

/** The text of the uplot package's files dist/uPlot.iife.min.js and dist/uPlot.min.css. */
export interface ReportAssets {
  uPlotScript: string;
  uPlotStyle: string;
}

function formatInterval(interval: Interval | null): string {
  return interval ? `${formatMeasure(interval.low)}–${formatMeasure(interval.high)}` : '–';
}

function tile(name: string, value: string, under: string): Markup {
  return html`<div class="tile"><dt>${name}</dt><dd><div class="value">${value}</div><div class="under">${under}</div></dd></div>`;
}

function tiles({ evaluation, slices, run }: ReportData): Markup {
  const cells: Markup[] = [];
  if (evaluation) {
    const { metrics: { mean, labels }, intervals } = evaluation;
    const { mean: meanInterval } = intervals.measures.auroc;
    const interval = meanInterval ? `95 % interval ${formatInterval(meanInterval)}` : 'no interval';
    cells.push(tile('Mean AUROC, by prompts', formatMeasure(mean.auroc), `${interval} · ${mean.aurocLabels} of ${labels.length} labels`));
    cells.push(tile('Mean weighted F1', formatMeasure(mean.classification?.weightedF1), `accuracy ${formatMeasure(mean.classification?.accuracy)} · precision ${formatMeasure(mean.classification?.precision)}`));
  }
  if (slices.length > 0) {
    const sum = (key: 'gridBytes' | 'jpegBytes') => slices.reduce((total, slice) => total + slice[key], 0);
    cells.push(tile('JPEG volume', `${(sum('gridBytes') / sum('jpegBytes')).toFixed(1)}× smaller`, `${formatBytes(sum('jpegBytes') / slices.length)} a scan, ${formatBytes(sum('gridBytes') / slices.length)} as 16-bit`));
  }
  const speed = run.volumesPerSecond === null ? '' : ` · ${Number(run.volumesPerSecond.toPrecision(3))} volumes/s`;
  cells.push(tile('Time', formatDuration(run.seconds), `${run.steps} steps${speed}`));
  return html`<dl class="tiles first">${cells}</dl>`;
}

function facts(pairs: [string, string | null][]): Markup {
  return html`<dl class="facts">${pairs.map(([name, value]) => value !== null && html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function runSection({ run, adapter, cohort }: ReportData): Markup {
  const counts = (key: 'train' | 'validation' | 'test') => `${cohort.scans[key]} (${cohort.patients[key]} patients)`;
  return html`<section><h2>What ran</h2>${facts([
    ['Preset', run.preset],
    ['Stages', run.stages.join(' → ')],
    ['Parameters', run.parameters.toLocaleString('en')],
    ['Steps × batch', `${run.steps} × ${run.batch}`],
    ['Seed', String(run.seed)],
    ['Started', run.startedAt],
    ['Adapter', adapter.line.replace(/^adapter: /, '')],
    ['Peak GPU memory', run.peakGpuBytes === null ? null : formatBytes(run.peakGpuBytes)],
    ['Cohort', cohort.name],
    ['Scans: training', counts('train')],
    ['Scans: validation', counts('validation')],
    ['Scans: test', counts('test')],
    ['Command', run.command],
    ['Software', `ct-lite ${run.version}`],
  ])}${adapter.kind === 'software' && html`<p class="banner">A software adapter computed this run on the processor. The results are what a GPU would give up to rounding; the times are not: a GPU is far faster.</p>`}</section>`;
}

/** Every chart over steps of the report, in the order of their places. */
function stepCharts({ losses, validation }: ReportData): StepChart[] {
  if (!validation || validation.steps.length === 0) return losses;
  const chance = { name: 'chance', values: validation.steps.map(() => 0.5) };
  const chart: StepChart = { title: 'Validation: mean AUROC', steps: validation.steps, series: [{ name: 'mean AUROC', values: validation.auroc }, chance], range: [0, 1] };
  return [...losses, chart];
}

function learningSection(charts: StepChart[], distillation: DistillationMeasure[]): Markup {
  const [before, after] = distillation.map(({ losses }) => losses.fast!.toPrecision(4));
  return html`<section><h2>Learning</h2><p class="hint">Each stage's loss and its terms at every step as they were, not smoothed. Move over a curve to read it; click a name to hide it.</p>
${before !== undefined && after !== undefined && html`<p>FAST on ${distillation[0]!.scans} validation scans at JPEG ${distillation[0]!.quality}: ${before} before its stage, ${after} after it.</p>`}
<div class="charts">${charts.map(chartPlace)}</div></section>`;
}

function labelRow(metrics: LabelMetrics, interval: Interval | null): Markup {
  const { label, positives, negatives, auroc, reason, threshold, thresholdReason, classification } = metrics;
  const head = html`<th scope="row">${label}</th><td>${positives}</td><td>${negatives}</td>`;
  if (auroc === null) return html`<tr>${head}<td class="reason" colspan="7">not measurable: ${reason}</td></tr>`;
  const rest = classification
    ? html`<td>${threshold!.toPrecision(3)}</td><td>${formatMeasure(classification.weightedF1)}</td><td>${formatMeasure(classification.accuracy)}</td><td>${formatMeasure(classification.precision)}</td>`
    : html`<td class="reason" colspan="4">no threshold: ${thresholdReason}</td>`;
  return html`<tr>${head}<td>${formatMeasure(auroc)}</td><td>${formatInterval(interval)}</td><td class="forest">${forestPlot(auroc, interval)}</td>${rest}</tr>`;
}

function meanRow({ mean }: EvaluationMetrics, interval: Interval | null): Markup {
  const { auroc, aurocLabels, classification, classificationLabels } = mean;
  const counted = `${aurocLabels} label${aurocLabels === 1 ? '' : 's'}`;
  const over = aurocLabels === classificationLabels ? counted : `${counted}; F1, accuracy, precision: ${classificationLabels}`;
  return html`<tr class="mean"><th scope="row" colspan="3">Mean of ${over}</th><td>${formatMeasure(auroc)}</td><td>${formatInterval(interval)}</td><td class="forest">${auroc !== null && forestPlot(auroc, interval)}</td><td></td>
<td>${formatMeasure(classification?.weightedF1)}</td><td>${formatMeasure(classification?.accuracy)}</td><td>${formatMeasure(classification?.precision)}</td></tr>`;
}

function evaluationSections({ evaluation }: ReportData): Markup {
  if (!evaluation) return html`<section><h2>Evaluation</h2><p>This run did not evaluate.</p></section>`;
  const { split, metrics, intervals } = evaluation;
  const unmeasured = metrics.labels.filter(({ auroc }) => auroc === null);
  const { auroc } = intervals.measures;
  const skips = auroc.labels.reduce((sum, interval) => sum + (interval?.skipped ?? 0), 0);
  return html`<section class="long"><h2>AUROC by label, ${split}</h2>
<p class="hint">Zero-shot: “X is present.” against “X is not present.”, softmax over the two. Thresholds: the point of the validation ROC curve nearest to (0, 1). Intervals: ${intervals.resamples} bootstrap resamples of ${intervals.patients} patients, seed ${intervals.seed}, percentiles 2.5 and 97.5${
    skips > 0 ? html`; ${skips} times a label lacked a class in a resample and was left out of it` : ''}.</p>
<div class="scroll"><table><caption>${metrics.labels.length} labels; supports are scans with and without the finding.</caption>
<thead><tr><th scope="col">Label</th><th scope="col">With</th><th scope="col">Without</th><th scope="col">AUROC</th><th scope="col">95 % interval</th><th scope="col" class="forest">0 · chance · 1</th>
<th scope="col">Threshold</th><th scope="col">Weighted F1</th><th scope="col">Accuracy</th><th scope="col">Precision</th></tr></thead>
<tbody>${metrics.labels.map((label, at) => labelRow(label, auroc.labels[at] ?? null))}${meanRow(metrics, auroc.mean)}</tbody></table></div>
${unmeasured.length > 0 && html`<p class="banner">${unmeasured.length} of ${metrics.labels.length} labels can't be measured on this split and are in no mean: ${unmeasured.map(({ label }) => label).join(', ')}.</p>`}</section>
<section class="long"><h2>ROC curves, ${split}</h2><p class="hint">True positive rate (up) over false positive rate (right), both from 0 to 1. Dashed: chance. Dot: the validation threshold on this split.</p>
<div class="rocs">${metrics.labels.map(rocFigure)}</div></section>`;
}

function sliceFigure(slice: SliceExample): Markup {
  const { id, raw, jpeg, shape, spacingMm, quality, rawFileBytes, gridBytes, jpegBytes, psnrDb } = slice;
  const noise = psnrDb === null ? 'no difference' : `PSNR ${psnrDb.toFixed(1)} dB`;
  return html`<figure class="slice"><div class="pair">
<div><img src="${dataUri(raw.mime, raw.bytes)}" alt="Middle axial slice of ${id} before JPEG"><span>raw</span></div>
<div><img src="${dataUri(jpeg.mime, jpeg.bytes)}" alt="The same slice of ${id} after JPEG at quality ${quality}"><span>JPEG, quality ${quality}</span></div></div>
<figcaption><b>${id}</b> · ${shape.join(' × ')} at ${spacingMm.map((mm) => Number(mm.toFixed(3))).join(' × ')} mm<br>
${formatBytes(jpegBytes)} as JPEG volume · ${formatBytes(gridBytes)} as 16-bit (${(gridBytes / jpegBytes).toFixed(1)}×) · ${formatBytes(rawFileBytes)} scan file (${(rawFileBytes / jpegBytes).toFixed(1)}×) · ${noise}</figcaption></figure>`;
}

function sliceSection({ slices }: ReportData): Markup {
  if (slices.length === 0) return html``;
  return html`<section><h2>Raw beside JPEG</h2><p class="hint">Axial, seen from the feet: the front on top, the patient's left on the right. Window −1000…1000 HU. Sizes are of the whole volume at the model's grid.</p>
<div class="slices">${slices.map(sliceFigure)}</div></section>`;
}

function skippedSection({ cohort: { skipped } }: ReportData): Markup {
  if (skipped.length === 0) return html`<section><h2>Skipped scans</h2><p>None.</p></section>`;
  return html`<section class="long"><h2>Skipped scans: ${skipped.length}</h2><ul>${skipped.map(({ id, reason }) => html`<li><b>${id}</b>: ${reason}</li>`)}</ul></section>`;
}

/** What is the paper's and what is ours (MODEL.md). */
const ORIGINS: [string, string][] = [
  ['paper', 'From the abstract of arXiv 2605.00448 (CT-Lite): JPEG-compressed chest CT as input; FAST distillation by Gram-matrix attention style and dual-attention alignment; SFP heads by Block Tensor Train with almost half of the parameters; a SigLIP objective; AUROC on CT-RATE, NIDCH and Rad-ChestCT.'],
  ['cited code', 'Block Tensor Train layout and initialisation (Qiu et al. 2024), SigLIP loss (big_vision), labels, prompts and preprocessing sizes (CT-CLIP).'],
  ['ours', 'Everything the paper does not publish: the teacher, the student encoder and its presets, JPEG quality and window, the four FAST terms and their weights, ranks of the SFP heads, optimiser and schedule. Numbers in this report measure our reading, not the paper’s model.'],
];

function originSection(): Markup {
  return html`<section><h2>What is the paper's, what is ours</h2><ul>${ORIGINS.map(([mark, text]) => html`<li><span class="mark-of">${mark}</span>${text}</li>`)}</ul></section>`;
}

function configSection({ config }: ReportData): Markup {
  return html`<section class="long"><details open><summary>Configuration</summary><pre tabindex="0">${JSON.stringify(config, null, 2)}</pre></details></section>`;
}

/** No request can leave the file: the policy admits what is written in it and nothing else. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/**
 * Renders the report. All text is escaped; pictures and the chart library are written into the file.
 *
 * @returns a whole HTML document
 */
export function renderReport(data: ReportData, assets: ReportAssets): string {
  const { title, run, cohort, warnings } = data;
  const charts = stepCharts(data);
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title>
<style>${inlineStyle(assets.uPlotStyle)}${inlineStyle(REPORT_STYLE)}</style></head><body><main>
<header><h1>${title}</h1><p class="lead">${run.stages.join(' → ')} · preset ${run.preset} · ${cohort.name} · seed ${run.seed} · ${run.steps} steps in ${formatDuration(run.seconds)}</p>
<p class="banner"><b>Not a medical device.</b> For research only; not for diagnosis or treatment.${warnings.map((warning) => html`<br>${warning}`)}</p></header>
${tiles(data)}${evaluationSections(data)}${charts.length > 0 && learningSection(charts, data.distillation)}${sliceSection(data)}${runSection(data)}${skippedSection(data)}${originSection()}${configSection(data)}
<footer>Made by ct-lite ${run.version}. Not a medical device.</footer></main>
<script type="application/json" id="chart-data">${inlineJson(charts)}</script>
<script>${inlineScript(assets.uPlotScript)}</script><script>${inlineScript(CHART_SCRIPT)}</script></body></html>
`.text;
}
