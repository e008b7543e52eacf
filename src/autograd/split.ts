import accumulateSource from '../../kernels/accumulate.wgsl';
import castSource from '../../kernels/cast.wgsl';
import { bytesPerElement, check, defineKernel, floats, storageAlignment, type AxisLayout, type BufferView, type Device, type DType, type Kernel, type Params, type SplitAxis } from '../engine/index.ts';
import { copyRows, copyView } from './block-copy.ts';

type Views = Record<string, BufferView>;
type Constants = Record<string, number> | undefined;

const accumulateKernel = defineKernel({
  label: 'accumulate',
  source: accumulateSource,
  inputs: ['x'],
  outputs: ['y'],
  elements: floats('x', 'y'),
  params: { count: 'u32' },
  constants: { WORKGROUP_SIZE: 64, RUN: 1 },
  workgroups: ({ count }, { WORKGROUP_SIZE, RUN }) => Math.ceil(count! / (WORKGROUP_SIZE! * RUN!)),
  slab: { param: 'count', bindings: ['x', 'y'] },
});

const castKernel = defineKernel({
  ...accumulateKernel,
  label: 'cast',
  source: castSource,
});

/** y = x, each in its own type, f32 or f16. */
export function castView(device: Device, x: BufferView, y: BufferView): void {
  runPieces(device, castKernel, { x, y }, { count: x.bytes / elementBytes(x) });
}

/** y += x, of f32 or f16 each. */
export function addInto(device: Device, x: BufferView, y: BufferView): void {
  runPieces(device, accumulateKernel, { x, y }, { count: x.bytes / elementBytes(x) });
}

/**
 * `device.run` for bindings of any size. Where one is larger than the device binds, the dispatch is cut along an axis that the kernel
 * names, and pieces that are still too large along further axes. A piece's part of a binding is bound in place where it is one
 * stretch that starts at an aligned offset, else copied out and, of outputs, back. Pieces follow each other in a fixed order: the
 * same device gives the same bits. Throws OutOfMemoryError where no axis makes an oversized binding smaller.
 */
export function runPieces(device: Device, kernel: Kernel, views: Views, params: Params, constants?: Constants): void {
  if (canBind(device, views)) return device.run(kernel, views, params, constants);
  const large = Object.keys(views).filter((name) => views[name]!.bytes > device.bindingLimit);
  const axis = chooseAxis(kernel, views, params, large);
  if (!axis) return runAligned(device, kernel, views, params, constants);
  const rounded = [...(axis.sums ?? []), ...(axis.resumes ?? [])].filter((name) => views[name]!.dtype === 'f16');
  if (rounded.length) return runWidened(device, kernel, views, rounded, params, constants);
  const count = piecePositions(axis, views, large, device.bindingLimit);
  for (let first = 0; first < axis.extent; first += count) {
    runPiece(device, kernel, views, params, constants, axis, first, Math.min(count, axis.extent - first));
  }
}

/** With f32 in place of the listed outputs, which are f16 and would be rounded with every piece that adds to them. */
function runWidened(device: Device, kernel: Kernel, views: Views, names: readonly string[], params: Params, constants: Constants): void {
  withLoans(device, (lend) => {
    const wide = { ...views };
    for (const name of names) {
      wide[name] = lend({ bytes: (views[name]!.bytes / bytesPerElement.f16) * bytesPerElement.f32 });
      castView(device, views[name]!, wide[name]); // a kernel may write only some of it
    }
    runPieces(device, kernel, wide, params, constants);
    for (const name of names) castView(device, wide[name]!, views[name]!);
  });
}

/** Of a view's type; bytes (u8) are bound as words. */
function elementBytes({ dtype }: BufferView): number {
  return dtype === 'f16' ? bytesPerElement.f16 : bytesPerElement.f32;
}

/** The ordinary case, decided before anything is allocated for the others. */
function canBind(device: Device, views: Views): boolean {
  for (const name in views) {
    const { bytes, offset } = views[name]!;
    if (bytes > device.bindingLimit || offset % storageAlignment !== 0) return false;
  }
  return true;
}

/** The axis that the most oversized bindings have; of equals one whose parts are single stretches; of those the first. */
function chooseAxis(kernel: Kernel, views: Views, params: Params, large: string[]): SplitAxis | null {
  const rank = (axis: SplitAxis): number => {
    const left = large.filter((name) => !isCut(axis, views, name)).length;
    const copies = Object.keys(axis.bindings).some((name) => isCut(axis, views, name) && rowsOf(axis, views, name).rows > 1);
    return left === large.length ? Infinity : 2 * left + Number(copies);
  };
  let best: SplitAxis | null = null;
  for (const axis of axesOf(kernel, params)) {
    if (axis.extent > (axis.unit ?? 1) && rank(axis) < (best ? rank(best) : Infinity)) best = axis;
  }
  return best;
}

function axesOf({ slab, split }: Kernel, params: Params): SplitAxis[] {
  const axes = split ? [...split(params as Record<string, number>)] : [];
  if (slab) axes.unshift({ extent: params[slab.param] as number, bindings: Object.fromEntries(slab.bindings.map((name) => [name, {}])), params: (_, count) => ({ [slab.param]: count }) });
  return axes;
}

function isCut({ bindings, extent }: SplitAxis, views: Views, name: string): boolean {
  const layout = bindings[name];
  if (!layout) return false;
  return views[name]!.bytes > elementBytes(views[name]!) || (layout.outer ?? 1) * (layout.extent ?? extent) * (layout.inner ?? 1) === 1;
}

/** A binding as rows that each hold the axis once: their number, and the bytes of one position. */
function rowsOf(axis: SplitAxis, views: Views, name: string): { rows: number; bytes: number; extent: number } {
  const { outer, inner, extent = axis.extent }: AxisLayout = axis.bindings[name]!;
  const { bytes: whole } = views[name]!;
  const rows = inner === undefined ? (outer ?? 1) : whole / (elementBytes(views[name]!) * inner * extent);
  const bytes = whole / (rows * extent);
  check(Number.isInteger(rows) && Number.isInteger(bytes), 'split', () => `binding "${name}" of ${whole} bytes is not [${outer ?? '*'}, ${extent}, ${inner ?? '*'}]`);
  return { rows, bytes, extent };
}

function partBytes(axis: SplitAxis, views: Views, name: string, first: number, count: number): number {
  const { rows, bytes } = rowsOf(axis, views, name);
  const { window } = axis.bindings[name]!;
  return rows * bytes * (window ? window(first, count)[1] : count);
}

/** Positions of a piece: as many as keep within the limit every oversized binding that this axis can bring there. */
function piecePositions(axis: SplitAxis, views: Views, large: string[], limit: number): number {
  const { extent, unit = 1 } = axis;
  const inMiddle = (name: string, count: number): number => partBytes(axis, views, name, Math.floor((extent - count) / 2 / unit) * unit, count);
  const cut = large.filter((name) => isCut(axis, views, name) && inMiddle(name, unit) <= limit);
  let [fits, tooMany] = [1, Math.ceil(extent / unit)];
  while (cut.length && tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (cut.every((name) => inMiddle(name, middle * unit) <= limit)) fits = middle;
    else tooMany = middle;
  }
  const step = alignedPositions(axis, views);
  return fits * unit >= step ? Math.floor((fits * unit) / step) * step : fits * unit;
}

/** The least number of positions after which every single-stretch part starts at an aligned offset. */
function alignedPositions(axis: SplitAxis, views: Views): number {
  let step = axis.unit ?? 1;
  for (const name of Object.keys(axis.bindings)) {
    if (!isCut(axis, views, name) || axis.bindings[name]!.window) continue;
    const { rows, bytes } = rowsOf(axis, views, name);
    while (rows === 1 && (step * bytes) % storageAlignment !== 0) step *= 2;
  }
  return step;
}

function runPiece(device: Device, kernel: Kernel, views: Views, params: Params, constants: Constants, axis: SplitAxis, first: number, count: number): void {
  for (const name of Object.keys(axis.bindings)) check(name in views, kernel.label, () => `splits "${name}", which it does not bind`);
  withLoans(device, (lend) => {
    const part: Views = { ...views };
    const after: (() => void)[] = [];
    for (const name of Object.keys(axis.bindings)) {
      if (!isCut(axis, views, name)) continue;
      const { view, paste } = takePart(device, axis, views, name, first, count, lend);
      part[name] = view;
      if (paste && kernel.outputs.includes(name)) after.push(paste);
    }
    for (const name of first > 0 ? (axis.sums ?? []) : []) {
      const summand = (part[name] = lend(views[name]!));
      after.push(() => addInto(device, summand, views[name]!));
    }
    runPieces(device, kernel, part, { ...params, ...axis.params(first, count) }, constants);
    for (const finish of after) finish();
  });
}

/**
 * One piece's part of a binding: in place where it is a single stretch, else a copy and how to put it back. Parts of outputs hold
 * their values too: a kernel may write only some of its part, or add to it.
 */
function takePart(device: Device, axis: SplitAxis, views: Views, name: string, first: number, count: number, lend: Lend): { view: BufferView; paste?: () => void } {
  const view = views[name]!;
  const { rows, bytes, extent } = rowsOf(axis, views, name);
  const [start, length] = axis.bindings[name]!.window?.(first, count) ?? [first, count];
  const offset = view.offset + start * bytes;
  if (rows === 1) return { view: { ...view, offset, bytes: length * bytes } };
  const copy = lend({ bytes: rows * length * bytes, dtype: view.dtype });
  const inPlace = { buffer: view.buffer, offset, stride: extent * bytes };
  const compact = { buffer: copy.buffer, offset: 0, stride: length * bytes };
  copyRows(device, inPlace, compact, rows, length * bytes);
  return { view: copy, paste: () => copyRows(device, compact, inPlace, rows, length * bytes) };
}

/** Runs a kernel on views that may start anywhere: those at offsets that cannot be bound are copied. */
function runAligned(device: Device, kernel: Kernel, views: Views, params: Params, constants: Constants): void {
  const astray = Object.keys(views).filter((name) => views[name]!.offset % storageAlignment !== 0);
  withLoans(device, (lend) => {
    const bound = { ...views };
    for (const name of astray) {
      bound[name] = lend(views[name]!);
      copyView(device, views[name]!, bound[name]!);
    }
    device.run(kernel, bound, params, constants);
    for (const name of astray) if (kernel.outputs.includes(name)) copyView(device, bound[name]!, views[name]!);
  });
}

type Lend = (like: { bytes: number; dtype?: DType | undefined }) => BufferView;

/** Runs `work` with buffers of the pool that go back when it ends: what was recorded with them runs before what others record later. */
function withLoans(device: Device, work: (lend: Lend) => void): void {
  const lent: BufferView[] = [];
  try {
    work(({ bytes, dtype }) => {
      const view = { buffer: device.pool.allocate(bytes, device.currentOp), offset: 0, bytes, ...(dtype && { dtype }) };
      lent.push(view);
      return view;
    });
  } finally {
    for (const { buffer } of lent) device.pool.release(buffer);
  }
}
