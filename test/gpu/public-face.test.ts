import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error plain JavaScript
import { buildAll } from '../../esbuild.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a program in a Node of its own that imports the built package by its name, as a user's would. */
async function runProgram(body: string): Promise<unknown> {
  const adapter = JSON.stringify(process.env.CT_LITE_ADAPTER ?? '');
  const program = `
    import { bytesAccess, checkpoint, Engine, EngineError, fileAccess, loadCtClip, loadTokenizer, noGrad, openEngine, openWeights, ops, Tensor } from 'ct-lite';
    const engine = await openEngine({ adapter: ${adapter} });
    const result = await (async () => { ${body} })();
    engine.destroy();
    console.log(JSON.stringify(result));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { cwd: root });
  return JSON.parse(stdout);
}

describe('the built package', () => {
  beforeAll(() => buildAll());

  it('loads CT-CLIP from a path, from bytes and from an opened source', async () => {
    const result = await runProgram(`
      const path = 'test/fixtures/model/ct-clip-wrapped.pt';
      const source = await openWeights(await fileAccess(path), path);
      const bytes = await (await fileAccess(path)).read(0, (await fileAccess(path)).byteLength);
      const lengths = [];
      for (const file of [path, bytes, source]) {
        const teacher = await loadCtClip(engine, file);
        const { latent, quantisedTokens } = await teacher.encode(engine.full([1, 1, 6, 4, 6], 0.5));
        lengths.push([...latent.shape, ...quantisedTokens.shape, Math.hypot(...await latent.toArray()).toFixed(4)]);
      }
      return lengths;`);
    expect(result).toEqual(Array.from({ length: 3 }, () => [1, 6, 1, 3, 2, 2, 8, '1.0000']));
  });

  it('has declarations that a strict program compiles with, WebGPU\'s types included', async () => {
    const types = await mkdtemp(join(root, 'dist', 'types-'));
    try {
      const compile = (...args: string[]) => promisify(execFile)(process.execPath, ['node_modules/typescript/bin/tsc', ...args], { cwd: root }).catch(({ stdout }: { stdout: string }) => ({ stdout }));
      expect((await compile('-p', 'tsconfig.types.json', '--outDir', types)).stdout).toBe('');
      await writeFile(join(types, 'program.mts'), `
        import { openEngine, ops, noGrad, type Tensor } from './index.js';
        const engine = await openEngine();
        const values: Float32Array = new Float32Array(6);
        const x: Tensor = engine.tensor(values, [2, 3], { requiresGrad: true });
        const y = noGrad(() => ops.linear(x, x, null));
        await ops.sigLipLoss(x, x, engine.tensor([1], []), engine.tensor([-1], []), { imageIds: ['a', 'b'], textIds: ['a', 'b'] }).backward();
        const first: number = (await y.toArray())[0]!;
        // @ts-expect-error a shape is no text
        engine.tensor([first], 'wide');`);
      const strict = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023,dom', '--types', 'node'];
      expect((await compile(...strict, join(types, 'program.mts'))).stdout).toBe('');
    } finally {
      await rm(types, { recursive: true });
    }
  }, 180_000);

  it('takes arrays over shared memory', async () => {
    expect(await runProgram("const shared = new Float32Array(new SharedArrayBuffer(8)); shared.set([3, 4]); return [...await engine.tensor(shared).toArray()];")).toEqual([3, 4]);
  });

  it('reads texts with CT-CLIP', async () => {
    const result = await runProgram(`
      const model = await loadCtClip(engine, 'test/fixtures/model/ct-clip-whole.safetensors', { patch: [1, 2, 3], text: { heads: 3 } });
      const tokenizer = loadTokenizer({ vocabTxt: ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'effusion', 'no'].join('\\n') });
      const texts = model.encodeText(tokenizer.encodeBatch(['Effusion', 'no effusion'], 17));
      const { latent } = model.encode(engine.full([1, 1, 2, 2, 9], 0.5));
      const logits = model.logits(latent, texts);
      const [x, y] = [await latent.toArray(), await texts.toArray()];
      const expected = [0, 1].map((row) => Math.exp(1.3) * x.reduce((sum, value, at) => sum + value * y[5 * row + at], 0));
      return { shape: logits.shape, error: Math.max(...(await logits.toArray()).map((value, at) => Math.abs(value - expected[at]))) };`);
    expect(result).toEqual({ shape: [1, 2], error: expect.any(Number) as number });
    expect((result as { error: number }).error).toBeLessThan(1e-5);
  });

  it('makes tensors, computes, differentiates and reads back', async () => {
    const result = await runProgram(`
      const x = engine.tensor(Float32Array.from([1, 2, 3, 6]), [2, 2], { requiresGrad: true });
      const weight = engine.tensor([1, 2], [2], { requiresGrad: true });
      const y = ops.layerNorm(x, weight, null, { eps: 0 });
      await y.backward(engine.tensor([1, 1, 1, 1], [2, 2]));
      const inference = noGrad(() => ops.layerNorm(x, weight, null, { eps: 0 }));
      return { y: [...await y.toArray()], weight: [...await weight.grad.toArray()], tape: inference.requiresGrad, kinds: [engine instanceof Engine, x instanceof Tensor] };`);
    expect(result).toEqual({ y: [-1, 2, -1, 2], weight: [-2, 2], tape: false, kinds: [true, true] });
  });

  it('carries the ops under PyTorch\'s names and layouts', async () => {
    const result = await runProgram(`
      const ones = (...shape) => engine.full(shape, 1);
      const made = {
        conv3d: ops.conv3d(ones(1, 2, 3, 3, 3), ones(4, 2, 3, 3, 3), null, { stride: 1, padding: 0, dilation: 1, groups: 1 }),
        scaledDotProductAttention: ops.scaledDotProductAttention(ones(1, 2, 3, 4), ones(1, 2, 5, 4), ones(1, 2, 5, 4), { causal: false }),
        linear: ops.linear(ones(2, 3), ones(4, 3), ones(4)),
        matmul: ops.matmul(ones(2, 3), ones(3, 4)),
        softmax: ops.softmax(ones(2, 4), { dim: -1 }),
        gelu: ops.gelu(engine.zeros([2])),
        mul: ops.mul(ones(2), ones(2)),
        add: ops.add(ones(2), ones(2)),
        sum: ops.sum(ones(3)),
        mean: ops.mean(ones(3)),
        blockTensorTrain: ops.blockTensorTrain(ones(1, 4), [ones(2, 2, 2), ones(2, 2, 2)], { inFactors: [2, 2], outFactors: [2, 2] }),
        sigLipLoss: ops.sigLipLoss(ones(1, 4), ones(1, 4), engine.zeros([1]), engine.zeros([1]), { imageIds: [0], textIds: [0] }),
      };
      const values = {};
      for (const [name, tensor] of Object.entries(made)) values[name] = [tensor.shape, +(await tensor.toArray())[0].toFixed(4)];
      return values;`);
    expect(result).toEqual({
      conv3d: [[1, 4, 1, 1, 1], 54],
      scaledDotProductAttention: [[1, 2, 3, 4], 1],
      linear: [[2, 4], 4],
      matmul: [[2, 4], 3],
      softmax: [[2, 4], 0.25],
      gelu: [[2], 0],
      mul: [[2], 1],
      add: [[2], 2],
      sum: [[], 3],
      mean: [[], 1],
      blockTensorTrain: [[1, 4], 4],
      sigLipLoss: [[1], 0.3133], // ln(1 + e^-1): one matching pair of equal directions, scale e^0, bias 0
    });
  });

  it('throws errors that name op, rule and what was received', async () => {
    const result = await runProgram(`
      try {
        ops.layerNorm(engine.zeros([2, 768]), engine.zeros([512]), null);
      } catch (error) {
        return { known: error instanceof EngineError, message: error.message };
      }`);
    expect(result).toEqual({ known: true, message: 'layerNorm: weight must be [768], got [512]' });
  });
});
