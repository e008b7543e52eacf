import { expect, it } from 'vitest';
import { blockTensorTrainReference } from '../../../src/autograd/ops/block-tensor-train.ts';
import { Initializer, makeProjection, StructuredFactorizedProjection, type LowRankProjection, type TensorTrainProjection } from '../../../src/model/index.ts';
import { expectClose, randomArray } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';

const [inFeatures, m0, m1, n0, n1, rank] = [12, 4, 3, 2, 5, 2];
const head = { latent: n0 * n1, kind: 'sfp', blockLength: m0, outFactors: [n0, n1], rank } as const;
/** σ of MODEL §2: √(1/f_in)·min(1, √(f_out/f_in)). */
const sigma = (fanIn: number, fanOut: number): number => Math.sqrt(1 / fanIn) * Math.min(1, Math.sqrt(fanOut / fanIn));
const sigmas = [sigma(m0, n0 * rank), sigma(m1 * rank, n1)] as const;

// Cores below, at and above σ: only those above are divided, by rms/σ.
it.each([[0.5, 0.5], [1.5, 3], [3, 0.5]])('SFP is BTT of the normed cores plus bias, cores at %f and %f σ', async (above0, above1) => {
  const engine = await testEngine();
  const sfp = new StructuredFactorizedProjection(new Initializer(engine, 1), inFeatures, { ...head, outFactors: [n0, n1] });
  const rms = (values: Float64Array): number => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
  const scaled = (size: number, seed: number, to: number): Float64Array => {
    const values = randomArray(size, seed);
    return values.map((value) => Math.fround((value * to) / rms(values)));
  };
  const cores = [scaled(sfp.core0.size, 2, above0 * sigmas[0]), scaled(sfp.core1.size, 3, above1 * sigmas[1])] as const;
  const [gamma0, gamma1, bias, x] = [1.25, 0.75, randomArray(n0 * n1, 4), randomArray(3 * inFeatures, 5)];
  for (const [tensor, values] of [[sfp.core0, cores[0]], [sfp.core1, cores[1]], [sfp.gamma0, [gamma0]], [sfp.gamma1, [gamma1]], [sfp.bias, bias]] as const) tensor.write(Float32Array.from(values));
  const normed = cores.map((core, at) => core.map((value) => (value * [gamma0, gamma1][at]!) / Math.max(1, rms(core) / sigmas[at]!)));
  const expected = blockTensorTrainReference(x, normed, [sfp.core0.shape, sfp.core1.shape], { inFactors: [m1, m0], outFactors: [n0, n1] }).map((value, at) => value + bias[at % (n0 * n1)]!);
  await engine.scope(async () => expectClose(await sfp.forward(engine.tensor(Float32Array.from(x), [3, inFeatures])).toArray(), expected, 1e-5));
  // MODEL §2: (d_in/f_in)/2 a core.
  expect([...sfp.learningRateFactors().values()]).toEqual([inFeatures / m0 / 2, inFeatures / (m1 * rank) / 2]);
  sfp.dispose();
});

const matrix = (x: Float64Array, weight: Float64Array, rows: number, columns: number): Float64Array =>
  Float64Array.from({ length: (x.length / rows) * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let k = 0; k < rows; k++) sum += x[row * rows + k]! * weight[k * columns + column]!;
    return sum;
  });

// At equal parameters: r(12·2 + 10·3) = 108 of the Block Tensor Train above, so k = floor(108/22) = 4 and R = floor(108/(4·2 + 3·5)) = 4.
it.each([
  ['low-rank', [12, 4], [4, 10], (x: Float64Array, [w0, w1]: readonly [Float64Array, Float64Array]) => matrix(matrix(x, w0, 12, 4), w1, 4, 10)],
  ['tensor-train', [4, 8], [12, 5], (x: Float64Array, cores: readonly [Float64Array, Float64Array]) => blockTensorTrainReference(x, cores, [[4, 8], [12, 5]], { inFactors: [m1, m0], outFactors: [n0, n1] })],
] as const)('%s: the product of its normed cores plus bias, of no more parameters than SFP', async (kind, shape0, shape1, reference) => {
  const engine = await testEngine();
  const config = { ...head, outFactors: [n0, n1] as [number, number], kind };
  const made = makeProjection(new Initializer(engine, 1), inFeatures, config) as LowRankProjection | TensorTrainProjection;
  expect([made.core0.shape, made.core1.shape]).toEqual([shape0, shape1]);
  const sfp = makeProjection(new Initializer(engine, 1), inFeatures, { ...config, kind: 'sfp' });
  expect(made.parameterCount).toBeLessThanOrEqual(sfp.parameterCount);
  const cores = [randomArray(made.core0.size, 2), randomArray(made.core1.size, 3)] as const;
  const [bias, x] = [randomArray(n0 * n1, 4), randomArray(3 * inFeatures, 5)];
  for (const [tensor, values] of [[made.core0, cores[0]], [made.core1, cores[1]], [made.bias, bias]] as const) tensor.write(Float32Array.from(values));
  const fans: [number, number][] = [[...shape0], [...shape1]];
  const rms = (values: Float64Array): number => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
  const normed = cores.map((core, at) => core.map((value) => Math.fround(value) / Math.max(1, rms(core) / sigma(...fans[at]!)))) as [Float64Array, Float64Array];
  const expected = reference(x, normed).map((value, at) => value + bias[at % (n0 * n1)]!);
  await engine.scope(async () => expectClose(await made.forward(engine.tensor(Float32Array.from(x), [3, inFeatures])).toArray(), expected, 1e-5));
  expect([...made.learningRateFactors().values()]).toEqual(fans.map(([fanIn]) => inFeatures / fanIn / 2));
  made.dispose();
  sfp.dispose();
});
