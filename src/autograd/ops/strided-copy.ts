import source from '../../../kernels/strided-copy.wgsl';
import { check, defineKernel, sizeOf, type AxisLayout, type Params, type Shape, type SplitAxis } from '../../engine/index.ts';
import { runKernel } from '../op.ts';
import { narrowedStrides } from '../split-axes.ts';
import type { Tensor } from '../tensor.ts';

/** Most axes of a broadcast, permutation or expansion, after neighbouring axes that move together are merged. */
export const maxStridedRank = 8;

const stridedCopyKernel = defineKernel({
  label: 'strided-copy',
  source,
  inputs: ['x'],
  outputs: ['y'],
  elements: { x: 'u32', y: 'u32' },
  params: { extents_low: 'vec4u', extents_high: 'vec4u', strides_low: 'vec4u', strides_high: 'vec4u', count: 'u32' },
  constants: { WORKGROUP_SIZE: 64, RUN: 1, RANK: maxStridedRank },
  workgroups: ({ count }, { WORKGROUP_SIZE, RUN }) => Math.ceil(count! / (WORKGROUP_SIZE! * RUN!)),
  split: (params) => walkAxes(params, { x: 'strides' }),
});

/** A walk over `extents` with one or more lists of strides: as few axes as possible, innermost first. */
export interface StridedWalk {
  extents: number[];
  strides: number[][];
}

/** Drops axes of extent 1 and merges neighbours that every operand walks as one. Lists are outermost first; the result is not. */
export function mergeAxes(extents: Shape, strideLists: readonly (readonly number[])[]): StridedWalk {
  const walk: StridedWalk = { extents: [], strides: strideLists.map(() => []) };
  for (let axis = extents.length - 1; axis >= 0; axis--) {
    if (extents[axis] === 1) continue;
    const inner = walk.extents.length - 1;
    const joins = inner >= 0 && strideLists.every((list, operand) => list[axis] === walk.strides[operand]![inner]! * walk.extents[inner]!);
    if (joins) walk.extents[inner]! *= extents[axis]!;
    else {
      walk.extents.push(extents[axis]!);
      strideLists.forEach((list, operand) => walk.strides[operand]!.push(list[axis]!));
    }
  }
  if (walk.extents.length === 0) {
    walk.extents.push(1);
    for (const list of walk.strides) list.push(0);
  }
  return walk;
}

/** `{ name_low, name_high }`: up to 8 numbers as the two vectors that `include/strides.wgsl` takes. */
export function axisParams(name: string, values: readonly number[]): Params {
  const padded = [...values, ...new Array<number>(maxStridedRank - values.length).fill(0)];
  return { [`${name}_low`]: padded.slice(0, 4), [`${name}_high`]: padded.slice(4) };
}

/**
 * The axes along which a walk can be cut, outermost first: those of `y`, which is row-major in its extents, and of the operands, each
 * with the name of its strides. Operands are compact: an axis that one does not repeat holds all that lies at its stride.
 */
export function walkAxes(params: Record<string, number>, operands: Record<string, string>): SplitAxis[] {
  const list = (name: string): number[] => [`${name}_low`, `${name}_high`].flatMap((half) => params[half] as unknown as number[]);
  const extents = list('extents');
  const axes = extents.map((extent, axis): SplitAxis => {
    const bindings: Record<string, AxisLayout> = { y: { inner: sizeOf(extents.slice(0, axis).filter(Boolean)) } };
    for (const [name, strides] of Object.entries(operands)) if (list(strides)[axis]) bindings[name] = { inner: list(strides)[axis]! };
    return {
      extent,
      bindings,
      params: (_, count) => {
        const changed = Object.values(operands).map((strides) => axisParams(strides, narrowedStrides(list(strides), list(strides)[axis] || Infinity, extent, count)));
        return Object.assign({ count: (params.count! / extent) * count, ...axisParams('extents', extents.map((other, k) => (k === axis ? count : other))) }, ...changed) as Params;
      },
    };
  });
  return axes.filter(({ extent }) => extent > 1).reverse();
}

/** Throws where merged axes are more than a kernel walks. */
export function checkWalk(walk: StridedWalk, op: string): void {
  check(walk.extents.length <= maxStridedRank, op, () => `walks at most ${maxStridedRank} axes that do not merge, got ${walk.extents.length}; merge axes with reshape`);
}

/** A tensor of `shape` whose elements are those of `x` at `strides` (elements of x; outermost first). No gradient. */
export function stridedCopy(x: Tensor, shape: Shape, strides: readonly number[], op: string): Tensor {
  check(x.dtype !== 'u8', op, () => `x must be f32, f16 or u32, got ${x.dtype}`);
  const walk = mergeAxes(shape, [strides]);
  checkWalk(walk, op);
  const y = x.engine.empty(shape, x.dtype);
  const params = { ...axisParams('extents', walk.extents), ...axisParams('strides', walk.strides[0]!), count: sizeOf(shape) };
  runKernel(stridedCopyKernel, { x, y }, params, { RANK: walk.extents.length });
  return y;
}
