import source from '../../../kernels/strided-copy.wgsl';
import { bytesPerElement, check, defineKernel, sizeOf, type Params, type Shape } from '../../engine/index.ts';
import { runKernel } from '../op.ts';
import type { Tensor } from '../tensor.ts';

/** Most axes of a broadcast, permutation or expansion, after neighbouring axes that move together are merged. */
export const maxStridedRank = 8;

const stridedCopyKernel = defineKernel({
  label: 'strided-copy',
  source,
  inputs: ['x'],
  outputs: ['y'],
  params: { extents_low: 'vec4u', extents_high: 'vec4u', strides_low: 'vec4u', strides_high: 'vec4u', count: 'u32' },
  constants: { WORKGROUP_SIZE: 64, RANK: maxStridedRank },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count! / WORKGROUP_SIZE!),
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

/** Throws where merged axes are more than a kernel walks. */
export function checkWalk(walk: StridedWalk, op: string): void {
  check(walk.extents.length <= maxStridedRank, op, () => `walks at most ${maxStridedRank} axes that do not merge, got ${walk.extents.length}; merge axes with reshape`);
}

/** A tensor of `shape` whose elements are those of `x` at `strides` (elements of x; outermost first). No gradient. */
export function stridedCopy(x: Tensor, shape: Shape, strides: readonly number[], op: string): Tensor {
  check(bytesPerElement[x.dtype] === 4, op, () => `x must be f32 or u32, got ${x.dtype}`);
  const walk = mergeAxes(shape, [strides]);
  checkWalk(walk, op);
  const y = x.engine.empty(shape, x.dtype);
  const params = { ...axisParams('extents', walk.extents), ...axisParams('strides', walk.strides[0]!), count: sizeOf(shape) };
  runKernel(stridedCopyKernel, { x, y }, params, { RANK: walk.extents.length });
  return y;
}
