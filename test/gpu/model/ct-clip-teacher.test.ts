import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ops, type Tensor } from '../../../src/autograd/index.ts';
import { bytesAccess, openWeights, type TensorFile } from '../../../src/data/index.ts';
import { commonGrid, ctClipGeometry, loadCtClipTeacher, poolTaps, type WeightSource } from '../../../src/model/index.ts';
import { avgPool3dReference } from '../../../src/autograd/ops/avg-pool3d.ts';
import { expectClose, randomArray } from '../../support/arrays.ts';
import { openTestEngine, testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

const cube = (): Promise<TensorFile> => openWeights(bytesAccess(new Uint8Array(readFileSync(new URL('../../fixtures/model/ct-clip-cube.safetensors', import.meta.url)))), 'cube');

/** values [B, D, Y, X, C] with Y and X exchanged. */
function exchanged(values: Float32Array, [batch, d, y, x, c]: readonly [number, number, number, number, number]): Float32Array<ArrayBuffer> {
  const result = new Float32Array(values.length);
  let at = 0;
  for (let slab = 0; slab < batch * d; slab++) for (let i = 0; i < x; i++) for (let j = 0; j < y; j++) for (let k = 0; k < c; k++) result[at++] = values[((slab * y + j) * x + i) * c + k]!;
  return result;
}

describe('CtClipTeacher', () => {
  it('takes CtLite\'s axes and gives taps in CtLite\'s order', async () => {
    const engine = await testEngine();
    const io = await cube();
    const teacher = await loadCtClipTeacher(engine, io);
    expect([teacher.grid, teacher.width]).toEqual([[4, 4, 4], 10]);
    await engine.scope(async () => {
      const video = exchanged(await io.readFloat32('io.video'), [1, 8, 16, 16, 1]);
      const { taps, pooled } = teacher.forward(engine.tensor(video, [1, 1, 8, 16, 16]));
      const wanted = { spatial_residual: taps[0].residual, temporal_residual: taps[1].residual, encoded_tokens: taps[1].features };
      for (const [name, tensor] of Object.entries(wanted)) expectClose(await tensor.toArray(), exchanged(await io.readFloat32(`io.${name}`), [1, 4, 4, 4, 10]), 1e-5, name);
      const quantised = await io.readFloat32('io.quantised_tokens');
      const mean = Float32Array.from({ length: 160 }, (_, i) => (quantised[i]! + quantised[160 + i]! + quantised[320 + i]! + quantised[480 + i]!) / 4);
      expectClose(await pooled.toArray(), mean, 1e-5, 'pooled');
    });
    teacher.dispose();
  });

  it('exchanges the axes slice by slice where no binding takes a volume', async () => {
    const engine = await openTestEngine({ bindingLimit: 16384 }); // three videos have 24,576 bytes
    try {
      const io = await cube();
      const teacher = await loadCtClipTeacher(engine, io);
      await engine.scope(async () => {
        const video = exchanged(await io.readFloat32('io.video'), [1, 8, 16, 16, 1]);
        const { taps } = teacher.forward(engine.tensor(Float32Array.from([...video, ...new Float32Array(2048), ...video]), [3, 1, 8, 16, 16]));
        const features = (await taps[1].features.toArray()) as Float32Array;
        const expected = exchanged(await io.readFloat32('io.encoded_tokens'), [1, 4, 4, 4, 10]);
        for (const volume of [0, 2]) expectClose(features.subarray(volume * 640, (volume + 1) * 640), expected, 1e-5, `volume ${volume}`);
      });
    } finally {
      engine.destroy();
    }
  });

  it('reads the released geometry off its shapes: 240 × 480 × 480 at 1.5 × 0.75 × 0.75 mm, 24³ tokens', () => {
    const shapes: Record<string, number[]> = {
      'to_patch_emb.2.weight': [512, 4000], 'to_patch_emb_first_frame.1.weight': [400], 'enc_spatial_transformer.layers.0.1.q_scale': [32],
      'enc_spatial_transformer.layers.0.1.to_q.weight': [256, 512], 'enc_spatial_transformer.layers.0.1.null_kv': [8, 0, 32],
      'enc_spatial_transformer.layers.0.3.4.weight': [512, 1365], 'spatial_rel_pos_bias.net.0.0.weight': [512, 2], 'vq._codebook.embed': [1, 8192, 512],
    };
    const tensors = new Map(Object.entries(shapes).map(([name, shape]) => [`visual_transformer.${name}`, { dtype: 'F32', shape }]));
    tensors.set('to_visual_latent.weight', { dtype: 'F32', shape: [512, 294912] });
    const source: WeightSource = { name: 'released', tensors, readFloat32: () => Promise.reject(new Error('nothing is to be read')) };
    expect(ctClipGeometry(source)).toEqual({ input: { shape: [240, 480, 480], spacingMm: [1.5, 0.75, 0.75] }, grid: [24, 24, 24], width: 512 });
  });
});

describe('poolTaps', () => {
  it('averages windows of tokens, with gradients', async () => {
    const [from, to, batch, channels] = [[4, 6, 2], [2, 2, 2], 2, 3] as const;
    const tokens = 48;
    // avgPool3d is channels first: the reference is it between two transpositions.
    const moved = (x: Float64Array, rows: number, columns: number): Float64Array => Float64Array.from(x, (_, i) => {
      const [item, rest] = [Math.floor(i / (rows * columns)), i % (rows * columns)];
      return x[item * rows * columns + (rest % rows) * columns + Math.floor(rest / rows)]!;
    });
    await expectOp({
      inputs: { x: input([batch, tokens, channels], 1) },
      run: ({ x }) => poolTaps([{ residual: x, features: x }], from, to)[0]!.features,
      reference: ({ x }) => moved(avgPool3dReference(moved(x, tokens, channels), [batch, channels, ...from], { kernel: [2, 3, 1] }), channels, 8),
    });
    const engine = await testEngine();
    await engine.scope(async () => {
      const x: Tensor = engine.tensor(Float32Array.from(randomArray(batch * tokens * channels, 1)), [batch, tokens, channels], { requiresGrad: true });
      const [pooled] = poolTaps([{ residual: x, features: x }], from, to);
      await ops.sum(pooled!.residual).backward();
      expectClose(await x.grad!.toArray(), new Float64Array(x.size).fill(1 / 6), 1e-6);
      x.zeroGrad();
    });
  });

  it('finds the grid that both can be averaged to', async () => {
    expect(commonGrid([24, 24, 24], [12, 12, 12])).toEqual([12, 12, 12]);
    expect(commonGrid([24, 24, 24], [4, 8, 8])).toEqual([4, 8, 8]);
    expect(commonGrid([4, 4, 4], [4, 8, 8])).toEqual([4, 4, 4]);
    expect(commonGrid([6, 1, 10], [4, 1, 15])).toEqual([2, 1, 5]);
    expect(() => commonGrid([24, 24, 24], [7, 12, 12])).toThrow('the token grids [24, 24, 24] and [7, 12, 12] have no common windows; choose a preset whose grid divides the teacher\'s');
  });
});
