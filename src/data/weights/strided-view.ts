/** Reading a tensor that is a view of its storage: transposed, sliced, with steps. */
import { elementCount } from './element-types.ts';

export interface StridedView {
  /** First element in the storage. */
  offset: number;
  shape: readonly number[];
  /** In elements, ≥ 0. */
  strides: readonly number[];
}

/** Reads elements start … start + count of the storage. */
export type ReadElements = (start: number, count: number) => Promise<Uint8Array>;

/** Elements of the storage read at once. */
const BLOCK_ELEMENTS = 2 ** 20;

/** True where the elements lie one after another in row-major order. */
export function isContiguous({ shape, strides }: StridedView): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] === 1) continue;
    if (strides[axis] !== expected) return shape.includes(0);
    expected *= shape[axis]!;
  }
  return true;
}

interface Axis {
  size: number;
  stride: number;
  /** Step in the row-major result. */
  step: number;
}

/**
 * The view's bytes in row-major order. Walks the axes in the order in which they lie in the storage, so that a transposed matrix
 * is read in large blocks, each once, and scattered into the result.
 */
export async function gatherStrided(view: StridedView, elementBytes: number, read: ReadElements): Promise<Uint8Array<ArrayBuffer>> {
  const result = new Uint8Array(elementCount(view.shape) * elementBytes);
  if (!result.length) return result;
  const axes = axesInStorageOrder(view);
  const spans = spansOf(axes);
  const visit = async (depth: number, from: number, to: number): Promise<void> => {
    if (spans[depth]! <= BLOCK_ELEMENTS) return scatter(await read(from, spans[depth]!), axes.slice(depth), result, to, elementBytes);
    const { size, stride, step } = axes[depth]!;
    // As many positions of this axis at once as fit a block; where one alone is more, each by itself.
    const inner = spans[depth + 1]!;
    const together = inner > BLOCK_ELEMENTS ? 1 : Math.max(1, Math.min(size, Math.floor((BLOCK_ELEMENTS - inner) / Math.max(1, stride)) + 1));
    for (let first = 0; first < size; first += together) {
      const count = Math.min(together, size - first);
      const [start, target] = [from + first * stride, to + first * step];
      if (count === 1) await visit(depth + 1, start, target);
      else scatter(await read(start, (count - 1) * stride + inner), [{ size: count, stride, step }, ...axes.slice(depth + 1)], result, target, elementBytes);
    }
  };
  await visit(0, view.offset, 0);
  return result;
}

/** Axes of more than one position, the widest stride first. */
function axesInStorageOrder({ shape, strides }: StridedView): Axis[] {
  const axes: Axis[] = [];
  for (let axis = shape.length - 1, step = 1; axis >= 0; axis--) {
    if (shape[axis]! > 1) axes.push({ size: shape[axis]!, stride: strides[axis]!, step });
    step *= shape[axis]!;
  }
  return axes.sort((a, b) => b.stride - a.stride || b.step - a.step);
}

/** Elements of the storage from the first to the last that the axes from each depth on reach; the last entry is a single element. */
function spansOf(axes: readonly Axis[]): number[] {
  const spans = [1];
  for (let depth = axes.length - 1; depth >= 0; depth--) spans.unshift(spans[0]! + (axes[depth]!.size - 1) * axes[depth]!.stride);
  return spans;
}

/** Copies the elements of a block to their places. `to` and the steps are in elements of the result. */
function scatter(block: Uint8Array, axes: readonly Axis[], result: Uint8Array, to: number, elementBytes: number): void {
  const visit = (depth: number, from: number, target: number): void => {
    const axis = axes[depth];
    if (!axis) {
      for (let byte = 0; byte < elementBytes; byte++) result[target * elementBytes + byte] = block[from * elementBytes + byte]!;
      return;
    }
    for (let i = 0; i < axis.size; i++) visit(depth + 1, from + i * axis.stride, target + i * axis.step);
  };
  visit(0, 0, to);
}
