import { ops } from '../src/autograd/index.ts';
import { infoNceLossReference } from '../src/autograd/ops/info-nce-loss.ts';
import { relativeError } from '../test/support/arrays.ts';
import { opCase, type BenchCase } from './bench-case.ts';

/** All pairs of a batch, matched one to one, with the L2 normalisation of both sides. */
export const benches: BenchCase[] = ([[64, 512], [256, 512]] as const).map(([pairs, width]) => {
  const product = 2 * pairs * pairs * width;
  const bytes = 4 * (2 * pairs * width + pairs * pairs);
  return opCase({
    family: 'info-nce-loss',
    name: `${pairs}×${pairs} of ${width}`,
    inputs: { u: { shape: [pairs, width] }, v: { shape: [pairs, width] }, logScale: { shape: [1], scale: 0.1, shift: 2.3 } },
    run: ({ u, v, logScale }) => ops.infoNceLoss(u!, v!, logScale!),
    forward: { flop: product, bytes },
    backward: { flop: 2 * product, bytes: 2 * bytes },
    check: ({ values, dY, y, gradients }) => {
      const expected = infoNceLossReference(values as Record<'u' | 'v' | 'logScale', Float64Array>, width);
      const names = ['u', 'v', 'logScale'] as const;
      return {
        forward: relativeError(y, [expected.loss]),
        backward: Math.max(...names.map((name) => relativeError(gradients[name]!, expected[name].map((value) => value * dY[0]!)))),
      };
    },
  });
});
