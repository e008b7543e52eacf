import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { subgroupMatrixKernel } from '../../../src/autograd/ops/matmul-kernels.ts';
import { matmulBackwardReference, matmulReference, type GemmPlan } from '../../../src/autograd/ops/matmul.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

const plans: GemmPlan[] = ['rows', 'subgroup', 'vec4', 'tiled', 'subgroup-matrix'];
/** Of f32 operands; those of f16 have their tests in test/gpu/f16/ops.test.ts. */
const hasMatrixUnits = subgroupMatrixKernel((await testEngine()).device, 'f32') !== null;
const need = (plan: GemmPlan): string => (plan === 'subgroup-matrix' ? ' (needs chromium-experimental-subgroup-matrix of f32)' : '');

interface Case {
  axes?: number[];
  m: number;
  n: number;
  k: number;
  sharedB?: boolean;
}

const cases: Case[] = [
  { m: 1, n: 1, k: 1 },
  { m: 3, n: 5, k: 7 },
  { m: 65, n: 63, k: 33 },
  { m: 9, n: 132, k: 20 }, // vectors of 4 fit: the vec4 plan itself, rows and columns past a tile's end
  { m: 64, n: 64, k: 1500 }, // k is split, the last stretch is shorter
  { axes: [3], m: 17, n: 12, k: 8 },
  { axes: [2, 3], m: 5, n: 65, k: 3 },
  { axes: [2, 2], m: 8, n: 36, k: 16, sharedB: true },
  { axes: [3], m: 1, n: 3, k: 65, sharedB: true },
];

const label = ({ axes = [], m, n, k, sharedB }: Case): string => `[${[...axes, m, k]}]·[${[...(sharedB ? [] : axes), k, n]}]`;

for (const plan of plans) {
  describe.skipIf(plan === 'subgroup-matrix' && !hasMatrixUnits)(`matmul, plan ${plan}${need(plan)}`, () => {
    for (const each of cases) {
      for (const [transposeA, transposeB] of [[false, false], [true, false], [false, true], [true, true]]) {
        it(`${label(each)}${transposeA ? ' a transposed' : ''}${transposeB ? ' b transposed' : ''}`, async () => {
          const { axes = [], m, n, k, sharedB } = each;
          const extents = { batch: axes.reduce((size, extent) => size * extent, 1), m, n, k, sharedB, transposeA, transposeB };
          await expectOp({
            inputs: {
              a: input([...axes, ...(transposeA ? [k, m] : [m, k])], 1),
              b: input([...(sharedB ? [] : axes), ...(transposeB ? [n, k] : [k, n])], 2),
            },
            run: ({ a, b }) => ops.matmul(a, b, { transposeA, transposeB, plan }),
            reference: ({ a, b }) => matmulReference(a, b, extents),
            backward: ({ a, b }, dY) => matmulBackwardReference(a, b, dY, extents),
          });
        });
      }
    }

    it('adds a bias and applies an activation, whole and split', async () => {
      const engine = await testEngine();
      await engine.scope(async () => {
        for (const k of [12, 1600]) {
          const [a, b, bias] = [input([5, k], 3), input([k, 8], 4), input([8], 5)];
          const sums = matmulReference(a.values, b.values, { m: 5, n: 8, k }).map((value, i) => value + bias.values[i % 8]!);
          const tensors = [a, b, bias].map(({ values, shape }) => engine.tensor(Float32Array.from(values), shape));
          const y = ops.gemm(tensors[0]!, tensors[1]!, { bias: tensors[2], activation: 'leakyRelu', slope: 0.25, plan });
          expectClose(await y.toArray(), sums.map((sum) => (sum < 0 ? 0.25 * sum : sum)), 1e-5);
        }
      });
    });
  });
}

describe('matmul', () => {
  it('chooses a plan by itself', async () => {
    const extents = { m: 40, n: 24, k: 52 };
    await expectOp({
      inputs: { a: input([40, 52], 6), b: input([52, 24], 7) },
      run: ({ a, b }) => ops.matmul(a, b),
      reference: ({ a, b }) => matmulReference(a, b, extents),
      backward: ({ a, b }, dY) => matmulBackwardReference(a, b, dY, extents),
    });
  });

  it('lets a gemm share a between the matrices of b', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const [a, b] = [input([3, 4], 8), input([2, 4, 5], 9)];
      const y = ops.gemm(engine.tensor(Float32Array.from(a.values), a.shape), engine.tensor(Float32Array.from(b.values), b.shape));
      const expected = [0, 1].flatMap((i) => [...matmulReference(a.values, b.values.subarray(i * 20, i * 20 + 20), { m: 3, n: 5, k: 4 })]);
      expect(y.shape).toEqual([2, 3, 5]);
      expectClose(await y.toArray(), expected, 1e-5);
    });
  });

  it('gives a gradient to one operand only where the other needs none', async () => {
    await expectOp({
      inputs: { a: input([3, 4], 10), b: input([4, 5], 11, { constant: true }) },
      run: ({ a, b }) => ops.matmul(a, b),
      reference: ({ a, b }) => matmulReference(a, b, { m: 3, n: 5, k: 4 }),
      backward: ({ a, b }, dY) => ({ a: matmulBackwardReference(a, b, dY, { m: 3, n: 5, k: 4 }).a }),
    });
  });

  it('names operands that do not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const zeros = (...shape: number[]) => engine.zeros(shape);
      expect(() => ops.matmul(zeros(2, 3), zeros(4, 5))).toThrow('matmul: the inner extents must agree, got 3 in a [2, 3] and 4 in b [4, 5]');
      expect(() => ops.matmul(zeros(2, 3), zeros(4, 5), { transposeA: true })).toThrow('got 2 in a [2, 3] transposed');
      expect(() => ops.matmul(zeros(3), zeros(3, 5))).toThrow('matmul: a matrix product takes tensors of rank 2 or more, got [3] and [3, 5]; add an axis of 1');
      expect(() => ops.matmul(zeros(2, 2, 3), zeros(4, 3, 5))).toThrow('leading axes must be equal or absent');
      expect(() => ops.matmul(zeros(2, 3), zeros(4, 3, 5))).toThrow('matmul: b must have the leading axes of a [2, 3] or none, got [4, 3, 5]');
    });
  });
});
