/** Parts of a plot as SVG: scales, axes, marks, legend and the file around them. Strings without a DOM; light and dark by the reader's setting. */
import { html, type Markup } from '../report-html.ts';
import { DARK, LIGHT } from '../report-style.ts';

/** A value to its place in pixels. */
export interface Scale {
  (value: number): number;
  ticks: number[];
}

/** Sides of the plotting area in pixels. */
export interface Area {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const STEPS = [1, 2, 5, 10];

/** Round ticks at about `count` places, 1, 2 or 5 times a power of ten apart, that enclose [low, high]. */
export function niceTicks(low: number, high: number, count: number): number[] {
  const span = high > low ? high - low : Math.abs(low) || 1;
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = STEPS.map((factor) => factor * power).find((each) => span / each <= count)!;
  const [first, last] = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)];
  // Multiples, not sums: 0.1 added up misses 0.3.
  return Array.from({ length: Math.max(2, last - first + 1) }, (_, n) => Number(((first + n) * step).toPrecision(12)));
}

/** From the first to the last of its round ticks. */
export function linearScale([low, high]: readonly [number, number], [from, to]: readonly [number, number], count = 6): Scale {
  const ticks = niceTicks(low, high, count);
  const [first, last] = [ticks[0]!, ticks.at(-1)!];
  return Object.assign((value: number) => from + ((value - first) / (last - first)) * (to - from), { ticks });
}

/** Logarithmic over [low, high]; ticks at 1, 2 and 5 times the powers of ten within. */
export function logScale([low, high]: readonly [number, number], [from, to]: readonly [number, number]): Scale {
  const [first, last] = [Math.log10(low), Math.log10(high)];
  const ticks: number[] = [];
  for (let power = Math.floor(first); power <= Math.ceil(last); power++) {
    for (const factor of [1, 2, 5]) {
      const tick = Number(`${factor}e${power}`);
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  return Object.assign((value: number) => from + ((Math.log10(value) - first) / (last - first || 1)) * (to - from), { ticks });
}

/** As many decimals as the distance of the ticks needs. */
export function tickFormat(ticks: readonly number[]): (tick: number) => string {
  const step = ticks.length > 1 ? Math.abs(ticks[1]! - ticks[0]!) : 1;
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return (tick) => signed(tick.toFixed(decimals));
}

/** With a true minus sign, and no minus before zero. */
export function signed(text: string): string {
  return /^-[0.]+$/.test(text) ? text.slice(1) : text.replace('-', '−');
}

const px = (value: number): string => value.toFixed(1);

export function axisLeft(scale: Scale, { left, right, top, bottom }: Area, title: string): Markup {
  const format = tickFormat(scale.ticks);
  const middle = (top + bottom) / 2;
  return html`<g>${scale.ticks.map((tick) => html`<line class="grid" x1="${left}" x2="${right}" y1="${px(scale(tick))}" y2="${px(scale(tick))}"/><text x="${left - 8}" y="${px(scale(tick) + 4)}" text-anchor="end">${format(tick)}</text>`)}
<text class="axis" transform="translate(${left - 60} ${middle}) rotate(-90)" text-anchor="middle">${title}</text></g>`;
}

/** Ticks and title below the area; `guides` draws lines through it at the ticks. */
export function axisBottom(scale: Scale, { left, right, top, bottom }: Area, title: string, format: (tick: number) => string = tickFormat(scale.ticks), guides = false): Markup {
  return html`<g>${scale.ticks.map((tick) => html`<line class="${guides ? 'grid' : 'line'}" x1="${px(scale(tick))}" x2="${px(scale(tick))}" y1="${guides ? top : bottom}" y2="${bottom + 4}"/><text x="${px(scale(tick))}" y="${bottom + 18}" text-anchor="middle">${format(tick)}</text>`)}
<line class="line" x1="${left}" x2="${right}" y1="${bottom}" y2="${bottom}"/><text class="axis" x="${(left + right) / 2}" y="${bottom + 38}" text-anchor="middle">${title}</text></g>`;
}

/** Series are told apart by shape too. */
const SHAPES = ['circle', 'square', 'triangle', 'diamond', 'cross'] as const;

/** Colour and shape of a series; the sixth begins again. */
export function mark(series: number, x: number, y: number): Markup {
  const style = `fill s${(series % 6) + 1}`;
  switch (SHAPES[series % SHAPES.length]!) {
    case 'circle':
      return html`<circle class="${style}" cx="${px(x)}" cy="${px(y)}" r="4.5"/>`;
    case 'square':
      return html`<rect class="${style}" x="${px(x - 4)}" y="${px(y - 4)}" width="8" height="8"/>`;
    case 'triangle':
      return html`<path class="${style}" d="M${px(x)} ${px(y - 5)}l5 9h-10z"/>`;
    case 'diamond':
      return html`<path class="${style}" d="M${px(x)} ${px(y - 5.5)}l5.5 5.5l-5.5 5.5l-5.5 -5.5z"/>`;
    case 'cross':
      return html`<path class="stroke s${(series % 6) + 1}" d="M${px(x - 4)} ${px(y - 4)}l8 8m0 -8l-8 8"/>`;
  }
}

/** An interval, upright, with short ends. */
export function whisker(series: number, x: number, low: number, high: number): Markup {
  return html`<path class="whisker s${(series % 6) + 1}" d="M${px(x)} ${px(low)}V${px(high)}M${px(x - 3)} ${px(low)}h6M${px(x - 3)} ${px(high)}h6"/>`;
}

export function polyline(series: number, points: readonly (readonly [number, number])[]): Markup {
  return html`<path class="curve s${(series % 6) + 1}" d="M${points.map(([x, y]) => `${px(x)} ${px(y)}`).join('L')}"/>`;
}

export interface LegendEntry {
  name: string;
  /** Null: a reference line, dashed or dotted. */
  series: number | null;
  dots?: boolean;
}

/** Mean width of a character of the legend's and axes' fonts: generous, as the reader's font is not known. */
const CHARACTER = 6.9;

/** Entries side by side, in as many rows as they need; `height` of all rows. */
export function legend(entries: readonly LegendEntry[], left: number, right: number, top: number): { markup: Markup; height: number } {
  const rowHeight = 20;
  let [x, row] = [left, 0];
  const places = entries.map(({ name }) => {
    const width = 30 + name.length * CHARACTER;
    if (x > left && x + width > right) [x, row] = [left, row + 1];
    const place = { x, y: top + row * rowHeight };
    x += width + 8;
    return place;
  });
  const markup = html`<g>${entries.map(({ name, series, dots }, at) => {
    const { x: from, y } = places[at]!;
    const key = series === null ? html`<line class="reference${dots ? ' dots' : ''}" x1="${from}" x2="${from + 18}" y1="${y}" y2="${y}"/>` : mark(series, from + 9, y);
    return html`${key}<text class="ink" x="${from + 24}" y="${y + 4}">${name}</text>`;
  })}</g>`;
  return { markup, height: entries.length ? (row + 1) * rowHeight : 0 };
}

/** Labels above the area at given places, in rows so that none covers another; a line leads down from each. Gives the height of the rows. */
export function labelsAbove(labels: readonly { x: number; text: string }[], top: number, bottom: number): { markup: Markup; rows: number } {
  const ends: number[] = [];
  const placed = [...labels].sort((a, b) => a.x - b.x).map(({ x, text }) => {
    const half = (text.length * CHARACTER) / 2;
    let row = ends.findIndex((end) => x - half > end);
    if (row < 0) row = ends.length;
    ends[row] = x + half + 4;
    return { x, text, row };
  });
  const markup = html`<g>${placed.map(({ x, text, row }) => html`<line class="guide" x1="${px(x)}" x2="${px(x)}" y1="${top - 4 - row * 15}" y2="${bottom}"/><text x="${px(x)}" y="${top - 8 - row * 15}" text-anchor="middle">${text}</text>`)}</g>`;
  return { markup, rows: ends.length };
}

const STYLE = `
.ct-plot { ${LIGHT} }
@media (prefers-color-scheme: dark) { .ct-plot { ${DARK} } }
.ct-plot text { fill: var(--soft); font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; font-variant-numeric: tabular-nums; }
.ct-plot .title { fill: var(--ink); font-size: 16px; font-weight: 650; }
.ct-plot .ink { fill: var(--ink); }
.ct-plot .axis { fill: var(--ink); font-size: 13px; }
.ct-plot .source { fill: var(--faint); font-size: 11px; }
.ct-plot .paper { fill: var(--card); }
.ct-plot .grid { stroke: var(--grid); } .ct-plot .line { stroke: var(--faint); } .ct-plot .guide { stroke: var(--line); stroke-dasharray: 2 3; }
.ct-plot .reference { stroke: var(--soft); stroke-dasharray: 5 4; stroke-width: 1.5; } .ct-plot .dots { stroke-dasharray: 1 4; stroke-linecap: round; stroke-width: 2; } .ct-plot .band { fill: var(--faint); opacity: 0.16; }
.ct-plot .curve { fill: none; stroke-width: 2; stroke-linejoin: round; } .ct-plot .whisker { fill: none; stroke-width: 1.5; } .ct-plot .stroke { fill: none; stroke-width: 2.5; }
.ct-plot .fill { stroke: var(--card); stroke-width: 1; } .ct-plot .small { opacity: 0.45; }
${[1, 2, 3, 4, 5, 6].map((n) => `.ct-plot .s${n} { stroke: var(--series-${n}); } .ct-plot .fill.s${n} { fill: var(--series-${n}); stroke: var(--card); }`).join('\n')}
.ct-plot .none { stroke: var(--soft); } .ct-plot .fill.none { fill: var(--soft); stroke: var(--card); }`;

export interface PlotFile {
  width: number;
  /** Lower edge of the plotting area; axis, source and margin come below it. */
  bottom: number;
  title: string;
  subtitle: string;
  /** Where the numbers are from: the last lines. */
  source: string;
  /** What a reader who does not see the picture should know. */
  description: string;
  body: Markup;
}

/** Left edge of title, legend and source. */
export const MARGIN = 20;

const SOURCE_CHARACTER = 6.1;
const SOURCE_LINE = 15;
/** Tick labels and title of the axis below the area. */
const AXIS_HEIGHT = 66;

/** A whole SVG file. */
export function plotFile({ width, bottom, title, subtitle, source, description, body }: PlotFile): string {
  const lines = wrap(source, Math.floor((width - 2 * MARGIN) / SOURCE_CHARACTER));
  const height = Math.ceil(bottom + AXIS_HEIGHT + lines.length * SOURCE_LINE);
  return `${html`<svg xmlns="http://www.w3.org/2000/svg" class="ct-plot" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${title}. ${description}">
`.text}<style>${STYLE}</style>
${html`<rect class="paper" width="${width}" height="${height}" rx="8"/>
<text class="title" x="${MARGIN}" y="30">${title}</text><text x="${MARGIN}" y="50">${subtitle}</text>
${body}
${lines.map((line, at) => html`<text class="source" x="${MARGIN}" y="${bottom + AXIS_HEIGHT + at * SOURCE_LINE}">${line}</text>`)}
</svg>
`.text}`;
}

/** Words in lines of at most `most` characters, a longer word alone. */
function wrap(text: string, most: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    if (lines.length && lines.at(-1)!.length + 1 + word.length <= most) lines[lines.length - 1] += ` ${word}`;
    else lines.push(word);
  }
  return lines;
}
