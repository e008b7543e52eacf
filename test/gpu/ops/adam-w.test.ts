import { describe, expect, it } from 'vitest';
import { ops, type Tensor } from '../../../src/autograd/index.ts';
import { adamWStepReference, type AdamWOptions } from '../../../src/autograd/ops/adam-w.ts';
import { expectClose, randomArray } from '../../support/arrays.ts';
import { openTestEngine, testEngine } from '../../support/engine.ts';

const options: AdamWOptions = { learningRate: 1e-2, betas: [0.9, 0.98], eps: 1e-8, weightDecay: 0.05, step: 1 };

describe('adamWStep', () => {
  for (const count of [1, 3, 63, 65, 5000]) {
    it(`agrees with its reference over three steps on ${count} elements`, async () => {
      const engine = await testEngine();
      await engine.scope(async () => {
        const values = { param: randomArray(count, 1), grad: randomArray(count, 2), moment: new Float64Array(count), square: new Float64Array(count) };
        const upload = (x: Float64Array): Tensor => engine.tensor(Float32Array.from(x), [count]);
        const tensors = { param: upload(values.param), grad: upload(values.grad), moment: upload(values.moment), square: upload(values.square), scale: engine.full([1], 0.25) };
        for (let step = 1; step <= 3; step++) {
          adamWStepReference(values, 0.25, { ...options, step });
          ops.adamWStep(tensors, { ...options, step });
        }
        for (const name of ['param', 'moment', 'square'] as const) expectClose(await tensors[name].toArray(), values[name], 1e-5, name);
      });
    });
  }

  it('updates a parameter larger than a binding in slabs', async () => {
    const engine = await openTestEngine({ bindingLimit: 4096 });
    try {
      const count = 3000;
      const values = { param: randomArray(count, 1), grad: randomArray(count, 2), moment: new Float64Array(count), square: new Float64Array(count) };
      const upload = (x: Float64Array): Tensor => engine.tensor(Float32Array.from(x), [count]);
      const param = upload(values.param);
      ops.adamWStep({ param, grad: upload(values.grad), moment: upload(values.moment), square: upload(values.square), scale: engine.full([1], 1) }, options);
      adamWStepReference(values, 1, options);
      expectClose(await param.toArray(), values.param, 1e-5, 'param');
    } finally {
      engine.destroy();
    }
  });

  // 3000: RUN elements an invocation, and slabs where the device binds little.
  for (const count of [1, 65, 3000]) {
    /** A parameter in the middle of its training whose gradients hold what is not finite, with the bits of what a step changes. */
    const open = async (): Promise<{ tensors: Record<'param' | 'grad' | 'moment' | 'square', Tensor>; bits: () => Promise<number[][]> }> => {
      const engine = await testEngine();
      const upload = (values: Float64Array): Tensor => engine.tensor(Float32Array.from(values), [count]);
      const param = randomArray(count, 1).fill(-0, 0, 1);
      const grad = randomArray(count, 2).map((value, at) => [NaN, Infinity, value, -Infinity, 3e38][at % 5]!);
      const tensors = { param: upload(param), grad: upload(grad), moment: upload(randomArray(count, 3)), square: upload(randomArray(count, 4).map(Math.abs)) };
      const bits = (): Promise<number[][]> => Promise.all((['param', 'moment', 'square'] as const).map(async (name) => [...new Uint32Array(((await tensors[name].toArray()) as Float32Array<ArrayBuffer>).buffer)]));
      return { tensors, bits };
    };

    it(`changes no bit of ${count} elements where the step is left out, whatever gradients and factor are`, async () => {
      const engine = await testEngine();
      await engine.scope(async () => {
        const { tensors, bits } = await open();
        const before = await bits();
        for (const factor of [0, 1, NaN, Infinity]) for (const wasLeftOut of [0, 1]) ops.adamWStep({ ...tensors, scale: engine.tensor([factor, 0, wasLeftOut]) }, { ...options, step: 5, stepAfterLeftOut: 4 });
        expect(await bits()).toEqual(before);
      });
    });

    it(`takes the count of ${count} elements that the GPU chooses, with the bits of a step that was given it`, async () => {
      const engine = await testEngine();
      for (const wasLeftOut of [0, 1]) {
        await engine.scope(async () => {
          const [optional, plain] = [await open(), await open()];
          const grad = engine.tensor(Float32Array.from(randomArray(count, 5)), [count]);
          ops.adamWStep({ ...optional.tensors, grad, scale: engine.tensor([0.25, 1, wasLeftOut]) }, { ...options, step: 5, stepAfterLeftOut: 4 });
          ops.adamWStep({ ...plain.tensors, grad, scale: engine.tensor([0.25]) }, { ...options, step: 5 - wasLeftOut });
          expect(await optional.bits()).toEqual(await plain.bits());
        });
      }
    });
  }

  it('says what does not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const four = { param: engine.zeros([4]), moment: engine.zeros([4]), square: engine.zeros([4]), scale: engine.zeros([1]) };
      expect(() => ops.adamWStep({ ...four, grad: engine.zeros([5]) }, options)).toThrow('adamWStep: grad must be [4], got [5]');
      expect(() => ops.adamWStep({ ...four, grad: engine.zeros([4]) }, { ...options, step: 0 })).toThrow('step must be a whole number of at least 1, got 0');
      expect(() => ops.adamWStep({ ...four, grad: engine.zeros([4]) }, { ...options, stepAfterLeftOut: 0 })).toThrow('stepAfterLeftOut must be a whole number of at least 1, got 0');
      expect(() => ops.adamWStep({ ...four, grad: engine.zeros([4]), scale: engine.zeros([2]) }, options)).toThrow('adamWStep: scale must be [1], got [2]');
      expect(() => ops.adamWStep({ ...four, grad: engine.zeros([4]) }, { ...options, betas: [1, 0.9] })).toThrow('beta1 must be in [0, 1), got 1');
    });
  });
});
