/** One prediction as one HTML file that asks for nothing outside itself: thumbnails, warnings, scores, heat map. */
import { encode as encodePng } from 'fast-png';
import { LABELS, PLANE_EDGES, thumbnail } from '../data/index.ts';
import type { CtVolume, Plane } from '../data/index.ts';
import { dataUri, html, inlineStyle, type Markup } from '../train/report-html.ts';
import { REPORT_STYLE } from '../train/report-style.ts';

export interface PredictionReport {
  /** The scan as the user named it. */
  scan: string;
  volume: CtVolume;
  warnings: readonly string[];
  /** One for each of LABELS. */
  scores: readonly number[];
  /** PNG of the attention over the model's input; null for a model that has none to show. */
  heatMap: Uint8Array | null;
  /** Pairs for people: checkpoint, model, format, version. */
  facts: readonly (readonly [string, string])[];
}

const WINDOWS = [
  ['lung window, −1350 to 150 HU', [-1350, 150]],
  ['mediastinal window, −160 to 240 HU', [-160, 240]],
] as const satisfies readonly (readonly [string, readonly [number, number]])[];
/** Axial slices from the top down, then the middle of the other planes. */
const VIEWS: readonly (readonly [Plane, number])[] = [['axial', 0.7], ['axial', 0.5], ['axial', 0.3], ['coronal', 0.5], ['sagittal', 0.5]];
const SIDE = 320;

const STYLE = `
h3 + .views { margin-top: 6px; } .views + h3 { margin-top: 18px; }
.views { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 14px; margin-top: 14px; }
.view { margin: 0; position: relative; break-inside: avoid; }
.view .frame { position: relative; background: #000; border-radius: 6px; display: flex; align-items: center; justify-content: center; aspect-ratio: 1; overflow: hidden; }
.view img { max-width: 100%; max-height: 100%; display: block; }
.view b { position: absolute; color: #ffd75e; font: 600 12px system-ui, sans-serif; text-shadow: 0 0 3px #000; }
.view .l { left: 5px; top: calc(50% - 8px); } .view .r { right: 5px; top: calc(50% - 8px); }
.view .t { top: 3px; left: calc(50% - 4px); } .view .u { bottom: 3px; left: calc(50% - 4px); }
.view figcaption { font-size: 13px; color: var(--soft); margin-top: 4px; }
.bar { display: inline-block; height: 10px; background: var(--series-1); border-radius: 2px; vertical-align: baseline; }
.scroll td.bars { text-align: left; width: 45%; }
.heat { max-width: 100%; margin-top: 12px; border-radius: 6px; }`;

export function renderPrediction({ scan, volume, warnings, scores, heatMap, facts }: PredictionReport): string {
  const { shape, spacingMm } = volume;
  const all = [['Voxels, S × P × L', shape.join(' × ')], ['Spacing, mm', spacingMm.map((size) => Number(size.toFixed(3))).join(' × ')], ...facts] as const;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${scan}: CT-Lite prediction</title>
<style>${inlineStyle(REPORT_STYLE + STYLE)}</style></head><body><main>
<header><h1>${scan}</h1><p class="lead">Scores of the 18 findings by a research model.</p>
<p class="banner"><b>Not a medical device.</b> Not calibrated; not for diagnosis or treatment.</p>
${warnings.map((warning) => html`<p class="banner">${warning}</p>`)}</header>
<section><h2>What was read</h2><p class="hint">Check that the letters fit: R and L are the patient's right and left, A front, P back, S head, I feet.</p>
${WINDOWS.map(([name, window]) => html`<h3>${name}</h3><div class="views">${VIEWS.map(([plane, place]) => view(volume, plane, place, window))}</div>`)}
<dl class="facts">${all.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl></section>
<section><h2>Scores</h2><div class="scroll"><table><thead><tr><th>Finding</th><th>Score</th><th></th></tr></thead><tbody>
${LABELS.map((label, index) => html`<tr><th>${label}</th><td>${scores[index]!.toFixed(3)}</td><td class="bars"><span class="bar" style="width:${Math.round(100 * scores[index]!)}%"></span></td></tr>`)}
</tbody></table></div></section>
${heatMap && html`<section><h2>What the model attended to</h2><p class="hint">Slices of the model's input from the feet up; red where the pooling's attention is above its mean. It says where the model looked, not why.</p>
<img class="heat" alt="attention over slices" src="${dataUri('image/png', heatMap)}"></section>`}
</main></body></html>
`;
  return page.text;
}

function view(volume: CtVolume, plane: Plane, place: number, window: readonly [number, number]): Markup {
  const { grey, width, height } = thumbnail(volume, plane, place, window, SIDE);
  const [left, right, top, bottom] = PLANE_EDGES[plane];
  const png = encodePng({ width, height, channels: 1, depth: 8, data: grey });
  const where = plane === 'axial' ? `axial, ${Math.round(100 * place)} % from the feet up` : plane;
  return html`<figure class="view"><div class="frame"><img alt="${where}" src="${dataUri('image/png', png)}"><b class="l">${left}</b><b class="r">${right}</b><b class="t">${top}</b><b class="u">${bottom}</b></div><figcaption>${where}</figcaption></figure>`;
}
