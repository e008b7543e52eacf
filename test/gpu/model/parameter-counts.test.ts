import { expect, it } from 'vitest';
import { ConvStemViT, DenseProjection, Initializer, makeProjection, presets, tokenGrid, type PresetName } from '../../../src/model/index.ts';
import { testEngine } from '../../support/engine.ts';

// MODEL §5's table.
const expected: Record<PresetName, { encoder: number; heads: number; dense: number; grid: number[] }> = {
  tiny: { encoder: 101_300, heads: 5_252, dense: 10_368, grid: [4, 8, 8] },
  'tiny-fine': { encoder: 101_300, heads: 5_252, dense: 10_368, grid: [4, 8, 8] },
  small: { encoder: 5_842_536, heads: 263_172, dense: 525_312, grid: [12, 12, 12] },
  base: { encoder: 15_913_318, heads: 295_940, dense: 590_848, grid: [24, 24, 24] },
};

for (const name of Object.keys(presets) as PresetName[]) {
  it(`${name}: parameters of encoder and heads, and the token grid, are those of the specification`, async () => {
    const engine = await testEngine();
    const init = new Initializer(engine, 1);
    const { encoder, text, head } = presets[name];
    const vision = new ConvStemViT(init, encoder);
    const heads = [encoder.width, text.width].map((width) => makeProjection(init, width, { ...head, kind: 'sfp' }));
    const dense = [encoder.width, text.width].map((width) => new DenseProjection(init, width, head.latent));
    expect(vision.parameterCount).toBe(expected[name].encoder);
    expect(heads[0]!.parameterCount + heads[1]!.parameterCount).toBe(expected[name].heads);
    expect(dense[0]!.parameterCount + dense[1]!.parameterCount).toBe(expected[name].dense);
    expect(tokenGrid(encoder)).toEqual(expected[name].grid);
    for (const module of [vision, ...heads, ...dense]) module.dispose();
  });
}
