import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bootstrapMetrics } from '../../../src/train/bootstrap.ts';
import { evaluateLabels } from '../../../src/train/metrics.ts';
import { renderReport, type ReportAssets, type ReportData } from '../../../src/train/report.ts';
import { dataUri, escapeHtml, formatBytes, formatDuration } from '../../../src/train/report-html.ts';

const EVIL = `<script>alert("1")</script> & 'x'`;
/** Whatever the text is, it must not end an element or an attribute. */
const ASSETS: ReportAssets = { uPlotScript: 'window.uPlot=class{};/* </script> */', uPlotStyle: '.uplot{}' };

const validation = { scores: Float64Array.from([0.9, 0.3, 0.1, 0.2, 0.8, 0.1]), truths: Uint8Array.from([1, 0, 0, 0, 1, 1]) };
const test = { scores: Float64Array.from([0.7, 0.3, 0.2, 0.9, 0.4, 0.6]), truths: Uint8Array.from([1, 0, 0, 0, 1, 0]) };
const labels = ['Cardiomegaly', EVIL];

function data(changes: Partial<ReportData> = {}): ReportData {
  return {
    title: `Run ${EVIL}`,
    warnings: [`warning ${EVIL}`],
    run: {
      version: '0.1.0', command: `node train.js --out ${EVIL}`, startedAt: '2026-01-02T03:04:05Z', seconds: 75, preset: 'tiny', stages: ['teacher', EVIL],
      seed: 3, steps: 20, batch: 4, parameters: 106553, volumesPerSecond: 12.5, peakGpuBytes: 5e7,
    },
    adapter: { line: `adapter: ${EVIL}`, kind: 'software' },
    cohort: {
      name: EVIL, scans: { train: 5, validation: 3, test: 3 }, patients: { train: 5, validation: 3, test: 3 },
      skipped: [{ id: `bad.nii.gz ${EVIL}`, reason: `spacing ${EVIL}` }],
    },
    losses: [{ title: `Teacher ${EVIL}`, steps: [1, 2, 3], series: [{ name: EVIL, values: [3, null, 1.5] }] }],
    validation: { steps: [10, 20], auroc: [0.5, null] },
    distillation: [{ scans: 3, quality: 75, losses: { fast: 0.0123456 } }, { scans: 3, quality: 75, losses: { fast: 0.0111 } }],
    evaluation: { split: EVIL, metrics: evaluateLabels(labels, validation, test, EVIL), intervals: bootstrapMetrics(2, test, ['a', 'b', 'c'], [null, null], { seed: 1 }) },
    slices: [{
      id: EVIL, raw: { mime: 'image/png', bytes: Uint8Array.from([1, 2, 250]) }, jpeg: { mime: 'image/jpeg', bytes: Uint8Array.from([255, 216]) },
      shape: [16, 64, 64], spacingMm: [22.5, 5.625, 5.625], quality: 75, rawFileBytes: 40_000_000, gridBytes: 131_072, jpegBytes: 16_384, psnrDb: 36.25,
    }],
    config: { note: EVIL },
    ...changes,
  };
}
const report = renderReport(data(), ASSETS);
/** The text without the library, the style and the drawing script. */
const bodyOf = (text: string) => text.replace(/<style>.*?<\/style>/s, '').replace(/<script>.*?<\/script>/gs, '');
const body = bodyOf(report);

describe('renderReport', () => {
  it('escapes every text it is given', () => {
    expect(body).not.toContain('<script>alert');
    expect(body).not.toContain(`"1")`);
    // Title, warning, command, stages, adapter, cohort, skipped scan twice, chart, series, label, split, slice, config …
    expect(body.split('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;').length).toBeGreaterThan(18);
  });

  it('has as many script ends as scripts: neither the library nor the data ends its element early', () => {
    expect(report.match(/<script\b/g)).toHaveLength(3);
    expect(report.match(/<\/script/g)).toHaveLength(3);
  });

  it('asks for nothing outside itself, and forbids it', () => {
    expect(body).not.toMatch(/\b(src|href|action|data|poster|srcset)\s*=\s*"(?!data:)/);
    expect(report).not.toMatch(/url\(|@import|<link|<iframe|<base/);
    expect(report).toContain(`content="default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;; script-src &#39;unsafe-inline&#39;; img-src data:"`);
  });

  it('works with the real uPlot: its text is in the file, whole', () => {
    const uPlotScript = readFileSync('node_modules/uplot/dist/uPlot.iife.min.js', 'utf8');
    const whole = renderReport(data(), { uPlotScript, uPlotStyle: readFileSync('node_modules/uplot/dist/uPlot.min.css', 'utf8') });
    expect(whole).toContain(uPlotScript);
    expect(whole).not.toMatch(/url\(|@import/);
  });

  it('closes every element it opens', () => {
    const open: string[] = [];
    const withoutText = report.replace(/(<(script|style)[^>]*>).*?(<\/\2>)/gs, '$1$3');
    for (const [, end, name, , selfClosed] of withoutText.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:\s[^<>]*?)?)(\/?)>/g)) {
      if (selfClosed || ['meta', 'img', 'br', 'line', 'circle', 'path', 'rect'].includes(name!)) continue;
      if (end) expect(open.pop()).toBe(name);
      else open.push(name!);
    }
    expect(open).toEqual([]);
  });

  it('carries the charts as JSON, with null for a missing value', () => {
    const json = /<script type="application\/json" id="chart-data">(.*?)<\/script>/s.exec(report)![1]!;
    const charts = JSON.parse(json) as { title: string; steps: number[]; series: { name: string; values: (number | null)[] }[] }[];
    expect(charts).toHaveLength(2);
    expect(charts[0]).toEqual({ title: `Teacher ${EVIL}`, steps: [1, 2, 3], series: [{ name: EVIL, values: [3, null, 1.5] }] });
    expect(charts[1]!.series[0]).toEqual({ name: 'mean AUROC', values: [0.5, null] });
    // Every chart has its place, and numbers for those who can't see it.
    expect(body.match(/id="chart-\d+"/g)).toEqual(['id="chart-0"', 'id="chart-1"']);
    expect(body).toContain('<td>3 at 1</td><td>1.5 at 3</td><td>3 at 1</td><td>1.5 at 3</td>');
  });

  it('shows measures, and names the label that has none, with its reason', () => {
    // Cardiomegaly: positives 0.7 and 0.4 above the negative 0.2 → 1.000; threshold from validation 0.8: both missed.
    expect(body).toMatch(/<th scope="row">Cardiomegaly<\/th><td>2<\/td><td>1<\/td><td>1\.000<\/td><td>1\.000–1\.000<\/td>/);
    expect(body).toContain('not measurable: no positive among the 3 scans of');
    expect(body).toContain('1 of 2 labels can\'t be measured');
    expect(body).toContain('Mean of 1 label<');
    expect(body).toContain('Not a medical device.');
  });

  it('has one ROC figure for each measurable label, and pictures with an alternative text', () => {
    expect(body.match(/<figure class="roc">/g)).toHaveLength(1);
    expect(body).toContain('aria-label="ROC curve of Cardiomegaly, AUROC 1.000; at the threshold: false positive rate 0.00');
    const images = [...body.matchAll(/<img src="([^"]*)" alt="([^"]+)">/g)];
    expect(images.map(([, source]) => source)).toEqual(['data:image/png;base64,AQL6', 'data:image/jpeg;base64,/9g=']);
    expect(body).toContain('16.4 kB as JPEG volume · 131 kB as 16-bit (8.0×) · 40 MB scan file (2441.4×) · PSNR 36.3 dB');
  });

  it('says what FAST was on validation scans, once it was measured twice', () => {
    expect(body).toContain('FAST on 3 validation scans at JPEG 75: 0.01235 before its stage, 0.01110 after it.');
    expect(bodyOf(renderReport(data({ distillation: [{ scans: 3, quality: 75, losses: { fast: 1 } }] }), ASSETS))).not.toContain('before its stage');
  });

  it('does without an evaluation, validation, pictures and losses', () => {
    const bare = bodyOf(renderReport(data({ evaluation: null, validation: null, distillation: [], slices: [], losses: [] }), ASSETS));
    expect(bare).toContain('This run did not evaluate.');
    expect(bare).not.toMatch(/undefined|NaN|\[object/);
    expect(body).not.toMatch(/undefined|NaN|\[object/);
  });
});

describe('the pieces', () => {
  it('escapeHtml', () => expect(escapeHtml(`<a b="c" d='e'>&`)).toBe('&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;'));

  it.each([0, 1, 2, 3, 8191, 8192, 8193])('dataUri keeps %i bytes', (length) => {
    const bytes = Uint8Array.from({ length }, (_, n) => (n * 31) & 255);
    const [head, tail] = dataUri('image/png', bytes).split(',');
    expect(head).toBe('data:image/png;base64');
    expect(new Uint8Array(Buffer.from(tail!, 'base64'))).toEqual(bytes);
  });

  it.each([[0, '0 B'], [999, '999 B'], [1000, '1 kB'], [16384, '16.4 kB'], [98.4e6, '98.4 MB'], [1.77e9, '1.77 GB'], [5e12, '5000 GB']])('formatBytes %d', (bytes, text) =>
    expect(formatBytes(bytes)).toBe(text));

  it.each([[3.14159, '3.14 s'], [59.94, '59.9 s'], [61, '1 min 1 s'], [7322, '2 h 2 min']])('formatDuration %d', (seconds, text) => expect(formatDuration(seconds)).toBe(text));
});
