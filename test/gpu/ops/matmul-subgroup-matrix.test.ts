/**
 * The kernels of plan `subgroup-matrix` for every shape of matrix units, on adapters without such units: their tiles, edges, strides,
 * splits and epilogue as they are, the four built-in functions of subgroup matrices written out as loops over the same memory. What the
 * built-in functions themselves do is tested by the plan's own cases, on adapters that have them.
 */
import { describe, it } from 'vitest';
import { subgroupMatrixKernels } from '../../../src/autograd/ops/matmul-kernels.ts';
import { leakyReluReference } from '../../../src/autograd/ops/leaky-relu.ts';
import { matmulReference } from '../../../src/autograd/ops/matmul.ts';
import { runKernel } from '../../../src/autograd/op.ts';
import type { Kernel } from '../../../src/engine/index.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { input } from '../../support/op-test.ts';

const engine = await testEngine();

/** Eight invocations are a subgroup here. Of an operand they hold the place in workgroup memory, of a result every eighth element each. */
function writtenOut(kernel: Kernel): Kernel {
  const replacements: [string | RegExp, string][] = [
    [/enable (subgroups|chromium_experimental_subgroup_matrix);/g, ''],
    [', @builtin(subgroup_id) subgroup: u32', ''],
    ['let multiplies =', 'let subgroup = lane / 8u;\n  let multiplies ='],
    ['subgroup_matrix_left<component_t, MATRIX_K, MATRIX_M>', 'u32'],
    ['subgroup_matrix_right<component_t, MATRIX_N, MATRIX_K>', 'u32'],
    ['subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>', 'array<f32, SHARE>'],
    [/subgroupMatrixLoad<Right, col_major>\(&tile_b, (.*), STRIDE\)/, '$1'],
    [/subgroupMatrixLoad<Left, row_major>\(&tile_a, (.*), STRIDE\)/, '$1'],
    ['subgroupMatrixStore<row_major>(&tile_y, ', 'store(lane, '],
    ['subgroupMatrixMultiplyAccumulate(', 'multiply(lane, '],
    ['const MATRIX_SIZE =', 'const SHARE = MATRIX_M * MATRIX_N / 8u;\nconst MATRIX_SIZE ='],
  ];
  const source = replacements.reduce((text, [from, to]) => {
    if (!(typeof from === 'string' ? text.includes(from) : from.test(text))) throw new Error(`the kernel no longer says ${from}`);
    return text.replace(from, to);
  }, kernel.source);
  return { ...kernel, label: `${kernel.label}, written out`, features: kernel.features!.filter((feature) => feature === 'shader-f16'), source: `${source}\n${builtins}` };
}

/** Loops have ends that compilers cannot know: unrolled, the kernels take minutes to compile on lavapipe. */
const builtins = `
fn unknown(end: u32) -> u32 {
  return end + params.batch / 1000000u;
}

fn multiply(lane: u32, left: u32, right: u32, before: Sums) -> Sums {
  var sums = before;
  for (var i = 0u; i < unknown(SHARE); i++) {
    let element = lane % 8u + 8u * i;
    for (var k = 0u; k < unknown(MATRIX_K); k++) {
      sums[i] += f32(tile_a[left + element / MATRIX_N * STRIDE + k]) * f32(tile_b[right + element % MATRIX_N * STRIDE + k]);
    }
  }
  return sums;
}

fn store(lane: u32, offset: u32, sums: Sums, stride: u32) {
  for (var i = 0u; i < unknown(SHARE); i++) {
    let element = lane % 8u + 8u * i;
    tile_y[offset + element / MATRIX_N * stride + element % MATRIX_N] = sums[i];
  }
}`;

const slope = 0.25;
const cases = [
  { what: 'one element', m: 1, n: 1, k: 1 },
  { what: 'odd, several tiles', m: 65, n: 67, k: 63 },
  { what: 'both transposed, a batch, a bias and LeakyReLU', m: 9, n: 35, k: 33, batch: 2, transposeA: true, transposeB: true, hasBias: true },
  { what: 'two splits of k, subgroups that only load and store', m: 33, n: 3, k: 65, splits: 2, lanes: 64 },
];

for (const { shape, kernel } of subgroupMatrixKernels) {
  const { component, M, N, K } = shape;
  describe.skipIf(component === 'f16' && !engine.device.canF16)(`${component} units of ${M} x ${N} x ${K}, written out`, () => {
    const loops = writtenOut(kernel);
    it.each(cases)('$what', async ({ m, n, k, batch = 1, splits = 1, lanes = 32, transposeA = false, transposeB = false, hasBias = false }) => {
      await engine.scope(async () => {
        const half = component === 'f16';
        const operands = [input([batch, ...(transposeA ? [k, m] : [m, k])], 1, { half }), input([batch, ...(transposeB ? [n, k] : [k, n])], 2, { half }), input([n], 3)];
        const [a, b, bias] = operands.map(({ values, shape, half }) => engine.tensor(Float32Array.from(values), shape, { dtype: half ? 'f16' : 'f32' }));
        const y = engine.empty([splits, batch, m, n]);
        const kPerSplit = Math.ceil(k / splits / 16) * 16;
        const strides = { a_row: transposeA ? 1 : k, a_k: transposeA ? m : 1, b_k: transposeB ? 1 : n, b_column: transposeB ? k : 1 };
        const params = { m, n, k, batch, splits, k_per_split: kPerSplit, a_batch: m * k, b_batch: k * n, ...strides, has_bias: hasBias ? 1 : 0, slope };
        runKernel(loops, { a: a!, b: b!, bias: bias!, y }, params, { LANES: lanes, ACTIVATION: hasBias ? 2 : 0 });
        const parts = await y.toArray();
        const [aValues, bValues, biasValues] = operands.map(({ values }) => values);
        const expected = matmulReference(aValues!, bValues!, { batch, m, n, k, transposeA, transposeB });
        const sums = expected.map((_, i) => Array.from({ length: splits }, (_, split) => parts[split * expected.length + i]!).reduce((sum, part) => sum + part));
        expectClose(sums, hasBias ? expected.map((sum, i) => leakyReluReference(sum + biasValues![i % n]!, slope)) : expected, 1e-5);
      });
    });
  });
}
