import { ops } from '../src/autograd/index.ts';
import { sigLipLossReference } from '../src/autograd/ops/sig-lip-loss.ts';
import { relativeError } from '../test/support/arrays.ts';
import { opCase, type BenchCase } from './bench-case.ts';

/** All pairs of a batch, with the L2 normalisation of both sides. */
export const benches: BenchCase[] = ([[64, 512], [256, 512]] as const).map(([pairs, width]) => {
  const product = 2 * pairs * pairs * width;
  const bytes = 4 * (2 * pairs * width + pairs * pairs);
  return opCase({
    family: 'sig-lip-loss',
    name: `${pairs}×${pairs} of ${width}`,
    inputs: { u: { shape: [pairs, width] }, v: { shape: [pairs, width] }, logScale: { shape: [1], scale: 0.1, shift: 2.3 }, bias: { shape: [1], scale: 0.1, shift: -4 } },
    run: ({ u, v, logScale, bias }) => ops.sigLipLoss(u!, v!, logScale!, bias!),
    forward: { flop: product, bytes },
    backward: { flop: 2 * product, bytes: 2 * bytes },
    check: ({ values, dY, y, gradients }) => {
      const { u, v, logScale, bias } = values as Record<'u' | 'v' | 'logScale' | 'bias', Float64Array>;
      const expected = sigLipLossReference({ u, v, logScale, bias }, width);
      const scaled = (gradient: Float64Array): Float64Array => gradient.map((value) => value * dY[0]!);
      return {
        forward: relativeError(y, [expected.loss]),
        backward: Math.max(...(['u', 'v', 'logScale', 'bias'] as const).map((name) => relativeError(gradients[name]!, scaled(expected[name])))),
      };
    },
  });
});
