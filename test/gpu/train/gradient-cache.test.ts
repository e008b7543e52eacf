import { describe, expect, it } from 'vitest';
import { ops, type Engine, type Tensor } from '../../../src/autograd/index.ts';
import { backwardThroughCache, type ChunkedSide } from '../../../src/train/gradient-cache.ts';
import { gaussian, seededRandom } from '../../../src/train/sampler.ts';
import { testEngine } from '../../support/engine.ts';

const [batch, texts, width, latent] = [13, 7, 9, 5];

function values(size: number, name: string): Float32Array<ArrayBuffer> {
  const random = seededRandom(3, name);
  return Float32Array.from({ length: size }, () => gaussian(random, 0, 1));
}

interface Towers {
  image: Tensor;
  text: Tensor;
  logScale: Tensor;
  bias: Tensor;
}

function towers(engine: Engine): Towers {
  const parameter = (name: string, shape: number[]): Tensor => engine.keep(engine.tensor(values(shape.reduce((a, b) => a * b, 1), name), shape, { requiresGrad: true }));
  return { image: parameter('image', [latent, width]), text: parameter('text', [latent, width]), logScale: parameter('scale', [1]), bias: parameter('bias', [1]) };
}

const encode = (weight: Tensor, x: Tensor): Tensor => ops.gelu(ops.linear(x, weight, null));

/** A loss of its own on the image side, as FAST is: a mean over the batch. */
const own = (embeddings: Tensor, rows: number): Tensor => ops.mul(ops.sum(ops.mul(embeddings, embeddings)), rows / batch / embeddings.shape[0]!);

const contrasts = {
  sigLipLoss: (u: Tensor, v: Tensor, { logScale, bias }: Towers) => ops.sigLipLoss(u, v, logScale, bias, { matches }),
  infoNceLoss: (u: Tensor, v: Tensor, { logScale }: Towers) => ops.infoNceLoss(u, v, logScale, { imageIds: Array.from({ length: batch }, (_, i) => i % texts), textIds: Array.from({ length: texts }, (_, j) => j) }),
};
const matches = Uint8Array.from({ length: batch * texts }, (_, at) => (at % 5 === 0 ? 1 : 0));

async function gradients({ image, text, logScale, bias }: Towers): Promise<number[]> {
  const all = await Promise.all([image, text, logScale, bias].map(async ({ grad }) => (grad ? [...(await grad.toArray())] : [])));
  for (const tensor of [image, text, logScale, bias]) tensor.zeroGrad();
  return all.flat();
}

function chunked(engine: Engine, weight: Tensor, x: Float32Array<ArrayBuffer>, size: number, withLoss: boolean): ChunkedSide<Float32Array<ArrayBuffer>> {
  const rows = x.length / width;
  return {
    chunks: Math.ceil(rows / size),
    load: (chunk) => x.slice(chunk * size * width, (chunk + 1) * size * width),
    encode: (input, withTape) => {
      const embeddings = encode(weight, engine.tensor(input, [input.length / width, width]));
      return { embeddings, loss: withLoss && withTape ? own(embeddings, embeddings.shape[0]!) : null };
    },
  };
}

describe('backwardThroughCache', () => {
  for (const [name, contrast] of Object.entries(contrasts)) {
    for (const [imageChunk, textChunk] of [[1, 1], [2, 3], [5, 7], [13, 7]] as const) {
      it(`${name}: chunks of ${imageChunk} and ${textChunk} give the loss and the gradients of the whole batch`, async () => {
        const engine = await testEngine();
        const model = towers(engine);
        const [x, y] = [values(batch * width, 'x'), values(texts * width, 'y')];
        const whole = await engine.scope(async () => {
          const [u, v] = [encode(model.image, engine.tensor(x, [batch, width])), encode(model.text, engine.tensor(y, [texts, width]))];
          const loss = contrast(u, v, model);
          await ops.add(ops.reshape(loss, []), ops.reshape(own(u, batch), [])).backward();
          return loss.item();
        });
        const expected = await gradients(model);
        const got = await engine.scope(async () => {
          const { loss, embeddings } = await backwardThroughCache(
            engine,
            [chunked(engine, model.image, x, imageChunk, true), chunked(engine, model.text, y, textChunk, false)] as ChunkedSide[],
            ([u, v]) => contrast(u!, v!, model),
          );
          expect(embeddings.map(({ shape }) => shape)).toEqual([[batch, latent], [texts, latent]]);
          return loss.item();
        });
        const measured = await gradients(model);
        expect(got / whole).toBeCloseTo(1, 5);
        const largest = Math.max(...expected.map(Math.abs));
        expect(measured).toHaveLength(expected.length);
        // Sums of f32 in another order: some units of 6e-8 of the largest.
        measured.forEach((value, at) => expect(Math.abs(value - expected[at]!) / largest, `gradient ${at}`).toBeLessThan(2e-6));
        for (const tensor of Object.values(model) as Tensor[]) tensor.dispose();
      });
    }
  }
});
