import { ops } from '../src/autograd/index.ts';
import { opCase, type BenchCase } from './bench-case.ts';
import { sampledError } from './checks.ts';

/** FAST's weighted Gram matrices G = Σ_n m_n f_n f_nᵀ (MODEL §4). */
const shapes: [name: string, batches: number, tokens: number, channels: number][] = [
  ['tiny tap', 8, 256, 64],
  ['small tap', 1, 1728, 256],
  ['teacher tap', 1, 1728, 512],
];

export const benches: BenchCase[] = shapes.map(([name, batches, tokens, channels]) => {
  const product = 2 * batches * tokens * channels * channels;
  const bytes = 4 * batches * (tokens * channels + channels * channels);
  return opCase({
    family: 'attention-gram',
    name: `${name} ${batches}×${tokens}×${channels}`,
    inputs: { f: { shape: [batches, tokens, channels] }, m: { shape: [batches, tokens], scale: 0.5, shift: 1 } },
    run: ({ f, m }) => ops.attentionGram(f!, m!),
    // G is symmetric: half of it is enough.
    forward: { flop: product / 2, bytes },
    backward: { flop: product, bytes: 2 * bytes },
    check: ({ values: { f, m }, dY, y, gradients }) => {
      const h = (row: number, r: number): number => {
        const at = Math.floor(row / tokens) * channels * channels;
        let sum = 0;
        for (let c = 0; c < channels; c++) sum += 0.5 * (dY[at + r * channels + c]! + dY[at + c * channels + r]!) * f![row * channels + c]!;
        return sum;
      };
      return {
        forward: sampledError(y, (index) => {
          const [batch, r, c] = [Math.floor(index / channels ** 2), Math.floor(index / channels) % channels, index % channels];
          let sum = 0;
          for (let n = batch * tokens; n < (batch + 1) * tokens; n++) sum += m![n]! * f![n * channels + r]! * f![n * channels + c]!;
          return sum;
        }),
        backward: Math.max(
          sampledError(gradients.f!, (index) => 2 * m![Math.floor(index / channels)]! * h(Math.floor(index / channels), index % channels)),
          sampledError(gradients.m!, (row) => Array.from({ length: channels }, (_, r) => f![row * channels + r]! * h(row, r)).reduce((sum, value) => sum + value, 0)),
        ),
      };
    },
  });
});
