import { sizeOf, type AxisLayout, type Params, type SplitAxis } from '../engine/index.ts';

/** The last axis of the listed bindings, counted by one param. */
export function innermost(param: string, extent: number, ...bindings: string[]): SplitAxis {
  return { extent, bindings: layouts(bindings, { inner: 1 }), params: (_, count) => ({ [param]: count }) };
}

/** The same layout for several bindings. */
export function layouts(bindings: readonly string[], layout: AxisLayout): Record<string, AxisLayout> {
  return Object.fromEntries(bindings.map((name) => [name, layout]));
}

/** The layout of partial sums, one for each `unit` positions of the axis. */
export function chunksOf(unit: number, chunks: number, outer = 1): AxisLayout {
  return { outer, extent: chunks, window: (first, count) => [first / unit, Math.ceil(count / unit)] };
}

/**
 * The positions that a window operation reads along one axis for outputs `first` to `first + count`: output o reads
 * o·stride + base + t·step for t below `taps`. Clamped to 0..extent and never empty.
 */
export function readWindow(first: number, count: number, extent: number, { stride, base, step, taps }: { stride: number; base: number; step: number; taps: number }): readonly [number, number] {
  const reach = Math.max(taps - 1, 0) * step;
  const low = first * stride + base + Math.min(reach, 0);
  const high = (first + count - 1) * stride + base + Math.max(reach, 0);
  const start = Math.min(Math.max(low, 0), extent - 1);
  return [start, Math.max(Math.min(high, extent - 1), start) - start + 1];
}

/** A volume that a kernel holds a part of: from `<name>_first` on, `<name>_count` positions along each axis. */
interface VolumePart {
  name: 'in' | 'out';
  binding: string;
}

/**
 * The spatial axes of a kernel over volumes [rows, D, Y, X], cut by what it writes. `reads` gives the first and last position of the
 * other volume, counted in the whole one, that positions `first` to `last` of the written one read; it may overshoot.
 */
export function volumeAxes(
  params: Record<string, number>,
  written: VolumePart,
  read: VolumePart,
  reads: (first: number, last: number, axis: number, params: Record<string, number>) => readonly [number, number],
): SplitAxis[] {
  const vector = ({ name }: VolumePart, field: 'first' | 'count'): number[] => params[`${name}_${field}`] as unknown as number[];
  const replaced = (part: VolumePart, field: 'first' | 'count', axis: number, value: number): Params => ({
    [`${part.name}_${field}`]: vector(part, field).map((component, k) => (k === axis ? value : component)),
  });
  return [0, 1, 2].map((axis) => {
    const start = vector(read, 'first')[axis]!;
    const extent = vector(read, 'count')[axis]!;
    const origin = vector(written, 'first')[axis]!;
    const window = (first: number, count: number): readonly [number, number] => {
      const [low, high] = reads(origin + first, origin + first + count - 1, axis, params);
      const from = Math.min(Math.max(low - start, 0), extent - 1);
      return [from, Math.max(Math.min(high - start, extent - 1), from) - from + 1];
    };
    const outer = (part: VolumePart): number => params.rows! * sizeOf(vector(part, 'count').slice(0, axis));
    return {
      extent: vector(written, 'count')[axis]!,
      bindings: { [written.binding]: { outer: outer(written) }, [read.binding]: { outer: outer(read), extent, window } },
      params: (first, count) => ({
        ...replaced(written, 'first', axis, origin + first),
        ...replaced(written, 'count', axis, count),
        ...replaced(read, 'first', axis, start + window(first, count)[0]),
        ...replaced(read, 'count', axis, window(first, count)[1]),
      }),
    };
  });
}

/** The strides of an operand of which `count` of `extent` positions at distance `inner` are taken out: those of the axes outside shrink. */
export function narrowedStrides(strides: readonly number[], inner: number, extent: number, count: number): number[] {
  return strides.map((stride) => (stride >= inner * extent ? (stride / extent) * count : stride));
}
