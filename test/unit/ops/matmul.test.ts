import { describe, expect, it } from 'vitest';
import { subgroupMatrixKernel } from '../../../src/autograd/ops/matmul-kernels.ts';
import { matmulBackwardReference, matmulReference } from '../../../src/autograd/ops/matmul.ts';
import type { Device, SubgroupMatrixConfig } from '../../../src/engine/index.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

for (const [transposeA, transposeB, sharedB] of [[false, false, false], [true, false, true], [false, true, false], [true, true, true]]) {
  it(`matmul: reference gradient agrees with central differences (transposeA ${transposeA}, transposeB ${transposeB}, sharedB ${sharedB})`, () => {
    const extents = { batch: 2, m: 3, n: 2, k: 4, transposeA, transposeB, sharedB };
    expectReferenceGradient(
      { a: input([2, 3, 4], 1), b: input(sharedB ? [4, 2] : [2, 4, 2], 2) },
      ({ a, b }) => matmulReference(a, b, extents),
      ({ a, b }, dY) => matmulBackwardReference(a, b, dY, extents),
    );
  });
}

describe('the kernel for matrix units', () => {
  const config = (componentType: string, resultComponentType: string, M: number, N: number, K: number): SubgroupMatrixConfig => ({ componentType, resultComponentType, M, N, K });
  /** What an adapter like this one has: its configurations, largest subgroup and features. */
  const choice = (operands: 'f16' | 'f32', configs: SubgroupMatrixConfig[], { subgroupMaxSize = 32, features = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'] } = {}): string | null => {
    const gpu = { features: new Set(features), limits: { maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupSizeX: 256 } };
    const found = subgroupMatrixKernel({ gpu, adapterInfo: { subgroupMaxSize }, subgroupMatrixConfigs: configs } as unknown as Device, operands);
    return found && `${found.kernel.label} ${found.lanes}`;
  };
  const halves = [config('f16', 'f16', 16, 16, 16), config('f16', 'f32', 8, 16, 16), config('f16', 'f32', 16, 16, 16), config('i8', 'i32', 16, 16, 32)];
  const singles = [config('f32', 'f32', 8, 8, 8)];

  it('is of the largest shape that sums in f32', () => {
    expect(choice('f16', halves)).toBe('matmul.subgroup-matrix-f16-16x16x16 128');
    expect(choice('f16', halves.slice(0, 2), { subgroupMaxSize: 64 })).toBe('matmul.subgroup-matrix-f16-8x16x16 256');
  });

  it('never rounds f32 operands to f16, but takes f16 operands to f32 units', () => {
    expect(choice('f32', halves)).toBeNull();
    expect(choice('f32', [...halves, ...singles])).toBe('matmul.subgroup-matrix-f32-8x8x8 128');
    expect(choice('f16', singles)).toBe('matmul.subgroup-matrix-f32-8x8x8 128');
  });

  it('is none for shapes that nobody wrote, sums in f16, missing features, and subgroups of which four are too many invocations', () => {
    expect(choice('f16', [config('f16', 'f32', 32, 8, 16), halves[0]!])).toBeNull();
    expect(choice('f16', [])).toBeNull();
    expect(choice('f16', halves, { features: ['subgroups', 'chromium-experimental-subgroup-matrix'] })).toBeNull();
    expect(choice('f16', halves, { features: ['subgroups', 'shader-f16'] })).toBeNull();
    expect(choice('f16', halves, { subgroupMaxSize: 128 })).toBeNull();
  });
});
