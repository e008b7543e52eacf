/** Live curves over steps, by uPlot; drawn at most once a frame, and one chart a frame: the first time takes its milliseconds. */
import uPlot from 'uplot';

export interface Curve {
  name: string;
  /** CSS variable of its colour. */
  colour: string;
  /** Its axis: curves of other magnitudes have their own on the right. */
  side: 'left' | 'right';
}

const HEIGHT = 190;

const due = new Set<() => void>();

function drawNext(): void {
  const [draw] = due;
  if (!draw) return;
  due.delete(draw);
  if (due.size > 0) requestAnimationFrame(drawNext);
  draw();
}

function drawSoon(draw: () => void): void {
  if (due.size === 0) requestAnimationFrame(drawNext);
  due.add(draw);
}

export class LiveChart {
  private readonly place: HTMLElement;
  private readonly curves: readonly Curve[];
  private readonly range: [number, number] | null;
  private readonly columns: (number | null)[][];
  private steps: number[] = [];
  private lastStep = 1;
  private plot: uPlot | null = null;

  constructor(place: HTMLElement, curves: readonly Curve[], range: [number, number] | null = null) {
    this.place = place;
    this.curves = curves;
    this.range = range;
    this.columns = curves.map(() => []);
    new ResizeObserver(() => this.fit()).observe(place);
    // A canvas keeps the colours that it was drawn with.
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.redraw());
  }

  /** One point a curve; null where it has none at that step. */
  add(step: number, values: readonly (number | null)[]): void {
    this.steps.push(step);
    values.forEach((value, at) => this.columns[at]!.push(value));
    this.draw();
  }

  /** Empties the chart, for steps 1 to `lastStep`. */
  clear(lastStep: number): void {
    this.lastStep = lastStep;
    this.steps = [];
    for (const column of this.columns) column.length = 0;
    this.draw();
  }

  private draw(): void {
    drawSoon(this.drawNow);
  }

  private readonly drawNow = (): void => {
    this.plot ??= this.make();
    this.plot.setData([this.steps, ...this.columns]);
  };

  private fit(): void {
    const width = this.place.clientWidth;
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  private redraw(): void {
    this.plot?.destroy();
    this.plot = null;
    if (this.steps.length) this.draw();
  }

  private make(): uPlot {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const axis = { stroke: colour('--soft'), font: '12px system-ui, sans-serif', grid: { stroke: colour('--grid'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 } };
    return new uPlot(
      {
        width: Math.max(200, this.place.clientWidth), height: HEIGHT,
        scales: { x: { time: false, range: () => [Math.min(1, this.lastStep - 1), this.lastStep] }, left: this.range ? { range: this.range } : {}, right: {} },
        axes: [
          { ...axis, size: 30, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000] },
          { ...axis, scale: 'left', size: 54 },
          ...(this.curves.some(({ side }) => side === 'right') ? [{ ...axis, scale: 'right', side: 1 as const, size: 60, grid: { show: false } }] : []),
        ],
        series: [{ label: 'step' }, ...this.curves.map(({ name, colour: variable, side }) => ({ label: name, scale: side, stroke: colour(variable), width: 2, spanGaps: false, value: (_: uPlot, value: number | null) => (value === null ? '–' : Number(value.toPrecision(4)).toString()) }))],
        cursor: { y: false },
      },
      [this.steps, ...this.columns],
      this.place,
    );
  }
}
