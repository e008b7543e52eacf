/**
 * Gradient caching (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup"): the gradients of a
 * contrastive loss over a batch of any size, in the memory of one chunk of it.
 *
 * The loss needs every embedding, but its gradient with respect to the encoders needs only dL/d(embedding) of the chunk at hand. So
 * all chunks are encoded without a tape, the loss is taken back to the embeddings, and each chunk is encoded again with a tape that
 * ends in its share of that gradient. Costs one more forward pass; equals the whole batch to f32 rounding, since no layer here
 * mixes the samples of a batch.
 */
import { noGrad, ops, type Engine, type Tensor } from '../autograd/index.ts';

/** The backward pass of a scalar loss times `lossScale` [1], null for 1. */
export function backwardScaled(loss: Tensor, lossScale: Tensor | null): Promise<void> {
  return loss.backward(lossScale ? ops.reshape(lossScale, loss.shape) : undefined);
}

/** What an encoder gives of a chunk. */
export interface EncodedChunk {
  /** [n, latent]. */
  embeddings: Tensor;
  /** A loss of this chunk alone, beside the contrastive one, with its weight in the batch. Only asked for with a tape. */
  loss?: Tensor | null;
}

/** One of the sides that the loss compares, a chunk at a time. */
export interface ChunkedSide<Input = unknown> {
  chunks: number;
  /** What `encode` works on; called twice for each chunk and must give the same. */
  load(chunk: number): Input | Promise<Input>;
  /** Deterministic. `withTape` is false in the first pass, where only the embeddings are used. */
  encode(input: Input, withTape: boolean): EncodedChunk;
}

/**
 * Adds the gradients of `contrast(embeddings of each side)` and of the chunks' own losses to all parameters in it, times `lossScale` [1].
 *
 * `contrast` gives a scalar. Returns it with the embeddings of the sides, [all, latent] each, without a tape; to be used inside a scope.
 */
export async function backwardThroughCache(engine: Engine, sides: readonly ChunkedSide[], contrast: (embeddings: Tensor[]) => Tensor, { lossScale = null }: { lossScale?: Tensor | null } = {}): Promise<{ loss: Tensor; embeddings: Tensor[] }> {
  const embeddings: Tensor[] = [];
  for (const side of sides) {
    const leaf = await embedAll(engine, side);
    leaf.requiresGrad = true;
    embeddings.push(leaf);
  }
  const loss = contrast(embeddings);
  await backwardScaled(loss, lossScale);
  for (const [index, side] of sides.entries()) {
    const leaf = embeddings[index]!;
    await backwardChunks(engine, side, leaf.grad!, lossScale);
    leaf.zeroGrad();
    leaf.requiresGrad = false;
  }
  return { loss, embeddings };
}

async function embedAll(engine: Engine, side: ChunkedSide): Promise<Tensor> {
  const parts: Tensor[] = [];
  for (let chunk = 0; chunk < side.chunks; chunk++) {
    const input = await side.load(chunk);
    parts.push(engine.scope(() => noGrad(() => side.encode(input, false).embeddings)));
  }
  return noGrad(() => ops.concat(parts, { dim: 0 }));
}

async function backwardChunks(engine: Engine, side: ChunkedSide, gradient: Tensor, lossScale: Tensor | null): Promise<void> {
  let row = 0;
  for (let chunk = 0; chunk < side.chunks; chunk++) {
    const input = await side.load(chunk);
    await engine.scope(async () => {
      const { embeddings, loss } = side.encode(input, true);
      const end = row + embeddings.shape[0]!;
      // Its gradient with respect to the embeddings is this chunk's share of the cached one.
      const share = ops.sum(ops.mul(embeddings, noGrad(() => ops.slice(gradient, { dim: 0, start: row, end }))));
      await (loss ? ops.add(share, ops.reshape(lossScale ? ops.mul(ops.reshape(loss, [1]), lossScale) : loss, share.shape)) : share).backward();
      row = end;
    });
  }
}
