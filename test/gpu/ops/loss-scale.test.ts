import { describe, expect, it } from 'vitest';
import { ops, type Engine, type Tensor } from '../../../src/autograd/index.ts';
import { lossScaleStepReference, type LossScaleOptions } from '../../../src/autograd/ops/loss-scale.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';

const rules: LossScaleOptions = { clip: 1, growthInterval: 3, least: 1, most: 2 ** 126 };

/** Floats of these bits, NaN of any kind among them. */
const floatsOf = (...bits: number[]): Float32Array<ArrayBuffer> => new Float32Array(Uint32Array.from(bits).buffer);

async function bitsOf(x: Tensor): Promise<number[]> {
  const values = (await x.toArray()) as Float32Array<ArrayBuffer>;
  return [...new Uint32Array(values.buffer, values.byteOffset, values.length)];
}

async function stepOf(engine: Engine, norm: Tensor, state: readonly number[], options: LossScaleOptions): Promise<{ norm: Tensor; update: number[]; state: number[] }> {
  const held = engine.tensor([...state]);
  const made = ops.lossScaleStep(norm, held, options);
  return { norm: made.norm, update: [...(await made.update.toArray())], state: [...(await held.toArray())] };
}

describe('lossScaleStep', () => {
  it.each([
    ['infinity', 0x7f800000], ['-infinity', 0xff800000], ['NaN', 0x7fc00000], ['NaN with its sign set', 0xffc00000], ['NaN of the least bits', 0x7f800001], ['NaN of all bits', 0x7fffffff],
  ])('leaves a step out whose norm is %s, halves the scale and keeps the bits of the norm', async (_, bits) => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const { norm, update, state } = await stepOf(engine, engine.tensor(floatsOf(bits)), [2 ** 16, 2, 0], rules);
      expect(update).toEqual([0, 0, 0]);
      expect(state).toEqual([2 ** 15, 0, 1]);
      expect(await bitsOf(norm)).toEqual([bits]);
    });
  });

  it.each([
    ['0', 0], ['the least normal number', 0x00800000], ['1', 0x3f800000], ['the largest number', 0x7f7fffff],
  ])('takes a step whose norm is %s', async (_, bits) => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const values = floatsOf(bits);
      const { norm, update, state } = await stepOf(engine, engine.tensor(values), [1, 0, 1], rules);
      const expected = lossScaleStepReference(values[0]!, [1, 0, 1], rules);
      expectClose(update, expected.update, 1e-6, 'update');
      expect(state).toEqual([1, 1, 0]);
      expect(await bitsOf(norm)).toEqual([bits]);
    });
  });

  it('leaves a step out whose norm overflows though its gradients are finite, and one of a single NaN', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const steps = [[1e30, 1], [1, NaN], [1, -Infinity], [1e15, 1]].map((values) => ops.gradientNorm([engine.tensor(values), engine.full([100], 1)]));
      const taken = await Promise.all(steps.map(async (norm) => (await stepOf(engine, norm, [8, 0, 0], rules)).update[1]));
      expect(taken).toEqual([0, 0, 0, 1]);
    });
  });

  it('goes on as its reference does over steps that grow, overflow and are clipped, with powers of two exact', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const norms = [3, 70, 900, 5, 1e5, 2, Infinity, 7, NaN, NaN, Infinity, Infinity, Infinity, 0.5, 1, 3, 1e-3, 2, 2, 40];
      for (const options of [rules, { ...rules, clip: 0 }, { ...rules, clip: 12.5, growthInterval: 1, most: 64, least: 2 }]) {
        let expected = [32, 1, 0] as [number, number, number];
        const state = engine.tensor(expected);
        for (const [at, norm] of norms.entries()) {
          const made = ops.lossScaleStep(engine.tensor([norm]), state, options);
          const reference = lossScaleStepReference(norm, expected, options);
          // Before clipping a power of two alone is multiplied with: no rounding.
          expect(await made.norm.item(), `norm ${at}`).toBe(Math.fround(reference.norm));
          expectClose(await made.update.toArray(), reference.update, 1e-6, `update ${at}`);
          expected = reference.state;
          expect([...(await state.toArray())], `state ${at}`).toEqual(expected);
        }
      }
    });
  });

  it('divides by the largest scale exactly', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const { norm, update, state } = await stepOf(engine, engine.tensor([2 ** 127]), [2 ** 126, 2, 0], { ...rules, clip: 0 });
      expect(await norm.item()).toBe(2);
      expect([update, state]).toEqual([[2 ** -126, 1, 0], [2 ** 126, 0, 0]]);
    });
  });

  it('says what does not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const [norm, state] = [engine.zeros([1]), engine.zeros([3])];
      expect(() => ops.lossScaleStep(engine.zeros([2]), state, rules)).toThrow('lossScaleStep: scaledNorm must be [1], got [2]');
      expect(() => ops.lossScaleStep(norm, engine.zeros([2]), rules)).toThrow('lossScaleStep: state must be [3], got [2]');
      expect(() => ops.lossScaleStep(norm, state, { ...rules, clip: -1 })).toThrow('clip must not be negative, got -1');
      expect(() => ops.lossScaleStep(norm, state, { ...rules, growthInterval: 0 })).toThrow('growthInterval must be a whole number of at least 1, got 0');
      for (const [least, most] of [[3, 8], [2, 1], [1, 2 ** 127]] as const) expect(() => ops.lossScaleStep(norm, state, { ...rules, least, most })).toThrow(`got ${least} and ${most}`);
    });
  });
});
