import { describe, it } from 'vitest';
import { ops, type Tensor } from '../../../src/autograd/index.ts';
import { testEngine } from '../../support/engine.ts';
import { expectFixture, readOpFixtures } from '../../support/op-fixture.ts';

/** What test/reference/ops.py adds to a case: the op, and what it takes after its tensors. */
interface Call {
  op: string;
  arguments: unknown[];
}

const stems = [
  'unary', 'reduce', 'permute', 'reshape', 'slice', 'concat', 'cast', 'widen', 'gemm', 'gradient-norm', 'vector-quantize',
  'token-energy', 'energy-softmax', 'map-distance', 'relative-distance', 'masked-alignment', 'weighted-mean',
];

type Run = (tensors: Record<string, Tensor>, args: unknown[]) => Tensor;
type AnyOp = (...args: unknown[]) => Tensor;

const ofTensors = (op: string): Run => (tensors, args) => (ops as unknown as Record<string, AnyOp>)[op]!(...Object.values(tensors), ...args);
const ofAList = (op: string): Run => (tensors, args) => (ops as unknown as Record<string, AnyOp>)[op]!(Object.values(tensors), ...args);

/** The ops that do not take their tensors one after another, or give more than one. */
const runs: Record<string, Run> = {
  concat: ofAList('concat'),
  gradientNorm: ofAList('gradientNorm'),
  weightedMean: ofAList('weightedMean'),
  gemm: ({ a, b, bias }, [options]) => ops.gemm(a!, b!, { ...(options as object), bias }),
  vectorQuantize: ({ x, codebook }) => ops.vectorQuantize(x!, codebook!).quantised,
};

const { device } = await testEngine();

describe.each(stems)('agrees with PyTorch: %s', (stem) => {
  for (const [name, fixture] of Object.entries(readOpFixtures<Call>(stem))) {
    const { op, arguments: args, inputs } = fixture;
    const inHalf = args.includes('f16') || Object.values(inputs).some(({ dtype }) => dtype === 'f16');
    it.skipIf(inHalf && !device.canF16)(`${op}, ${name}`, async () => {
      await expectFixture(fixture, (tensors) => (runs[op] ?? ofTensors(op))(tensors, args));
    });
  }
});
