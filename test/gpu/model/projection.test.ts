import { expect, it } from 'vitest';
import { blockTensorTrainReference } from '../../../src/autograd/ops/block-tensor-train.ts';
import { Initializer, StructuredFactorizedProjection } from '../../../src/model/index.ts';
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
