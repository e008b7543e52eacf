import { expect, it } from 'vitest';
import { encoderMacs, headMacs, presets, tokenGrid, type PresetName } from '../../../src/model/index.ts';

// MODEL §5's table in GMAC, as many digits as it has. It counts the pooling's output projection at every token, where the model applies it
// once a volume: 244.1 and 10.7 without.
it.each([['tiny', 0.03, 2], ['small', 10.8, 1], ['base', 246, 0]] as [PresetName, number, number][])('%s: the encoder takes %f GMAC a volume', (name, expected, digits) => {
  const { encoder } = presets[name];
  const [t, h, w] = tokenGrid(encoder);
  expect(((encoderMacs(encoder) + (t * h * w - 1) * encoder.width ** 2) / 1e9).toFixed(digits)).toBe(expected.toFixed(digits));
  expect(Math.abs(encoderMacs(encoder) / 1e9 / expected - 1)).toBeLessThan(0.15);
});

// MODEL §2: a Block Tensor Train takes as many MACs a vector as it has parameters, half of the dense matrix's with these blocks.
it.each([['tiny', 2048, 4096], ['small', 65_536, 131_072], ['base', 98_304, 196_608]] as [PresetName, number, number][])('%s: MACs of the image head', (name, sfp, dense) => {
  const { encoder: { width }, head } = presets[name];
  expect(headMacs(width, head)).toBe(sfp);
  expect(headMacs(width, { ...head, kind: 'dense' })).toBe(dense);
  expect(headMacs(width, { ...head, kind: 'low-rank' })).toBeLessThanOrEqual(sfp);
});

it('a tensor train uses its shared cores once a block', () => {
  // Blocks of 4 × 2 inputs, 2 × 3 outputs; R = floor(1·(8·2 + 6·4)/(2·2 + 4·3)) = 2: 4·2·2·2 + 2·4·2·3.
  expect(headMacs(8, { latent: 6, kind: 'tensor-train', blockLength: 2, outFactors: [2, 3], rank: 1 })).toBe(80);
});
