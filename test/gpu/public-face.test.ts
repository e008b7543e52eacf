import { execFile } from 'node:child_process';
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
    import { checkpoint, Engine, EngineError, noGrad, openEngine, ops, Tensor } from 'ct-lite';
    const engine = await openEngine({ adapter: ${adapter} });
    const result = await (async () => { ${body} })();
    engine.destroy();
    console.log(JSON.stringify(result));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { cwd: root });
  return JSON.parse(stdout);
}

describe('the built package', () => {
  beforeAll(() => buildAll());

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
