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

  it('says what does not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const four = { param: engine.zeros([4]), moment: engine.zeros([4]), square: engine.zeros([4]), scale: engine.zeros([1]) };
      expect(() => ops.adamWStep({ ...four, grad: engine.zeros([5]) }, options)).toThrow('adamWStep: grad must be [4], got [5]');
      expect(() => ops.adamWStep({ ...four, grad: engine.zeros([4]) }, { ...options, step: 0 })).toThrow('step must be a whole number of at least 1, got 0');
      expect(() => ops.adamWStep({ ...four, grad: engine.zeros([4]) }, { ...options, betas: [1, 0.9] })).toThrow('beta1 must be in [0, 1), got 1');
    });
  });
});
