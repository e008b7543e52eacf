import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ops, type Engine, type Tensor } from '../../../src/autograd/index.ts';
import { LossScaler } from '../../../src/train/loss-scale.ts';
import { AdamW, type ScaledStep } from '../../../src/train/optimizer.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';

interface Fixture {
  settings: { betas: [number, number]; eps: number; clip: number };
  groups: { name: string; shape: number[]; learningRate: number; weightDecay: number; multiplier: number }[];
  initial: Record<string, number[]>;
  steps: { gradients: Record<string, number[]>; norm: number; parameters: Record<string, number[]> }[];
  moments: Record<string, number[]>;
}

const fixture = JSON.parse(readFileSync(new URL('../../fixtures/ops/adam-w.json', import.meta.url), 'utf8')) as Fixture;

function open(engine: Engine, values = fixture.initial): { optimizer: AdamW; tensors: Record<string, Tensor> } {
  const tensors = Object.fromEntries(fixture.groups.map(({ name, shape }) => [name, engine.tensor(values[name]!, shape, { requiresGrad: true })]));
  const groups = fixture.groups.map(({ name, learningRate, weightDecay, multiplier }) => ({
    parameters: [{ name, tensor: tensors[name]!, learningRateMultiplier: multiplier }],
    learningRate,
    weightDecay,
  }));
  return { optimizer: new AdamW(engine, groups, fixture.settings), tensors };
}

function giveGradients(engine: Engine, tensors: Record<string, Tensor>, step: Fixture['steps'][number]): void {
  for (const [name, tensor] of Object.entries(tensors)) tensor.grad = engine.tensor(step.gradients[name]!, tensor.shape);
}

async function expectValues(tensors: Record<string, Tensor>, expected: Record<string, number[]>): Promise<void> {
  for (const [name, values] of Object.entries(expected)) expectClose(await tensors[name]!.toArray(), values, 1e-5, name);
}

async function readState(state: Record<string, Tensor>): Promise<Record<string, Float32Array<ArrayBuffer>>> {
  const read: Record<string, Float32Array<ArrayBuffer>> = {};
  for (const [name, tensor] of Object.entries(state)) read[name] = Float32Array.from(await tensor.toArray());
  return read;
}

describe('AdamW', () => {
  it('takes the steps of PyTorch, with clipping, groups and multipliers', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const { optimizer, tensors } = open(engine);
      for (const step of fixture.steps) {
        giveGradients(engine, tensors, step);
        expectClose(await optimizer.step().toArray(), [step.norm], 1e-5, 'norm');
        await expectValues(tensors, step.parameters);
        optimizer.zeroGrad();
        expect(tensors.bias!.grad).toBeNull();
      }
      await expectValues(optimizer.state(), fixture.moments);
      optimizer.dispose();
    });
  });

  it('goes on from a saved state as if it had not stopped', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const first = open(engine);
      for (const step of fixture.steps.slice(0, 3)) {
        giveGradients(engine, first.tensors, step);
        first.optimizer.step();
      }
      const state = await readState(first.optimizer.state());
      const second = open(engine, fixture.steps[2]!.parameters);
      second.optimizer.load(state, first.optimizer.stepCount);
      expect(second.optimizer.stepCount).toBe(3);
      for (const step of fixture.steps.slice(3)) {
        giveGradients(engine, second.tensors, step);
        second.optimizer.step();
      }
      await expectValues(second.tensors, fixture.steps[4]!.parameters);
      expect(() => second.optimizer.load({ ...state, 'other.exp_avg': new Float32Array(1) }, 3)).toThrow('other.exp_avg: belongs to no parameter');
      expect(() => second.optimizer.load({ ...state, 'bias.exp_avg': new Float32Array(2) }, 3)).toThrow('bias.exp_avg: must hold 5 values, got 2');
      first.optimizer.dispose();
      second.optimizer.dispose();
    });
  });

  it('skips parameters without a gradient and starts their bias correction late', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const { optimizer, tensors } = open(engine);
      tensors.bias!.grad = engine.tensor(fixture.steps[0]!.gradients.bias!, [5]);
      optimizer.step();
      await expectValues(tensors, { matrix: fixture.initial.matrix! });
      expect(Object.keys(optimizer.state()).sort()).toEqual(['bias.exp_avg', 'bias.exp_avg_sq', 'bias.step']);
      tensors.matrix!.grad = engine.tensor(new Float32Array(12).fill(1), [3, 4]);
      optimizer.step();
      // The first step of Adam moves every element by the learning rate, whatever its gradient.
      const { learningRate, multiplier, weightDecay } = fixture.groups[0]!;
      const rate = learningRate * multiplier;
      await expectValues(tensors, { matrix: fixture.initial.matrix!.map((value) => value * (1 - rate * weightDecay) - rate) });
      optimizer.dispose();
    });
  });

  it('goes on from a saved state with the steps of each parameter, not of the optimiser', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const [first, second] = [open(engine), open(engine)];
      const biasOnly = (tensors: Record<string, Tensor>): void => void (tensors.bias!.grad = engine.tensor(fixture.steps[0]!.gradients.bias!, [5]));
      const all = ({ optimizer, tensors }: typeof first, step: Fixture['steps'][number]): void => {
        giveGradients(engine, tensors, step);
        optimizer.step();
        optimizer.zeroGrad();
      };
      for (let n = 0; n < 3; n++) {
        biasOnly(first.tensors); // the matrix is frozen at first
        first.optimizer.step();
        first.optimizer.zeroGrad();
      }
      all(first, fixture.steps[0]!);
      const values: Record<string, number[]> = {};
      for (const [name, tensor] of Object.entries(first.tensors)) values[name] = [...(await tensor.toArray())];
      for (const [name, tensor] of Object.entries(second.tensors)) tensor.write(Float32Array.from(values[name]!));
      second.optimizer.load(await readState(first.optimizer.state()), first.optimizer.stepCount);
      for (const run of [first, second]) all(run, fixture.steps[1]!);
      for (const [name, tensor] of Object.entries(first.tensors)) expect([...(await second.tensors[name]!.toArray())], name).toEqual([...(await tensor.toArray())]);
      first.optimizer.dispose();
      second.optimizer.dispose();
    });
  });

  describe('with a scaled loss', () => {
    const overflow = { matrix: new Array<number>(12).fill(1), bias: [1, Infinity, NaN, 0, 1] };
    const given = fixture.steps.map(({ gradients }) => gradients);

    /** The gradients of a step times the scale that the GPU has for it. */
    function giveScaled(engine: Engine, tensors: Record<string, Tensor>, gradients: Record<string, number[]>, lossScale: LossScaler): void {
      for (const [name, values] of Object.entries(gradients)) tensors[name]!.grad = ops.mul(engine.tensor(values, tensors[name]!.shape), lossScale.current());
    }

    async function everything({ optimizer, tensors }: ReturnType<typeof open>): Promise<Record<string, number[]>> {
      const read: Record<string, number[]> = { count: [optimizer.stepCount] };
      for (const [name, tensor] of Object.entries({ ...tensors, ...optimizer.state() })) read[name] = [...(await tensor.toArray())];
      return read;
    }

    // The steps of a run: those that are not finite are left out.
    it.each([
      ['in the middle', [given[0]!, given[1]!, overflow, given[2]!, given[3]!]],
      ['at the beginning', [overflow, overflow, given[0]!, given[1]!]],
      ['twice in a row and once more', [given[0]!, overflow, overflow, given[1]!, overflow, given[2]!]],
      ['at the end', [given[0]!, given[1]!, overflow]],
      ['of a part of the parameters', [given[0]!, { bias: overflow.bias }, given[1]!, given[2]!]],
    ] as [string, Record<string, number[]>[]][])('that overflows %s, has the bits of the steps that were taken, however late the host learns of it', async (_, steps) => {
      const engine = await testEngine();
      const isTaken = ({ bias }: Record<string, number[]>): boolean => bias!.every(Number.isFinite);
      await engine.scope(async () => {
        const plain = open(engine);
        for (const gradients of steps.filter(isTaken)) {
          giveGradients(engine, plain.tensors, { gradients, norm: 0, parameters: {} });
          plain.optimizer.step(0.7);
          plain.optimizer.zeroGrad();
        }
        const expected = await everything(plain);
        for (const ahead of [0, 1]) {
          const run = open(engine);
          const lossScale = new LossScaler(engine, { scale: 2 ** 10, goodSteps: 0 });
          const inFlight: ScaledStep[] = [];
          const settled: boolean[] = [];
          const settle = async (): Promise<void> => {
            const { update, settle } = inFlight.shift()!;
            settled.push((await update.toArray())[1] === 1);
            settle(settled.at(-1)!);
          };
          for (const gradients of steps) {
            giveScaled(engine, run.tensors, gradients, lossScale);
            inFlight.push(run.optimizer.scaledStep(lossScale, 0.7));
            run.optimizer.zeroGrad();
            if (inFlight.length > ahead) await settle();
          }
          while (inFlight.length) await settle();
          expect(settled).toEqual(steps.map(isTaken));
          expect(await everything(run)).toEqual(expected);
          expect((await lossScale.read()).scale).toBe(2 ** (10 - settled.filter((taken) => !taken).length));
          run.optimizer.dispose();
          lossScale.dispose();
        }
        plain.optimizer.dispose();
      });
    });

    it('gives the norm of the gradients of the loss, and takes no third step before the first is settled', async () => {
      const engine = await testEngine();
      await engine.scope(async () => {
        const { optimizer, tensors } = open(engine);
        const lossScale = new LossScaler(engine);
        const submit = (): ScaledStep => (giveScaled(engine, tensors, given[0]!, lossScale), optimizer.scaledStep(lossScale));
        const [first] = [submit(), submit()];
        expectClose(await first.norm.toArray(), [fixture.steps[0]!.norm], 1e-5, 'norm');
        expect(submit).toThrow('AdamW.scaledStep: two steps before this one are not settled; settle the first of them');
        first.settle(true);
        submit();
        expect(optimizer.stepCount).toBe(3);
        optimizer.dispose();
        lossScale.dispose();
      });
    });
  });

  it('leaves nothing behind and says what is wrong', async () => {
    const engine = await testEngine();
    const before = engine.memory.liveBuffers;
    await engine.scope(async () => {
      const { optimizer, tensors } = open(engine);
      expect(() => optimizer.step()).toThrow('AdamW.step: no parameter has a gradient');
      giveGradients(engine, tensors, fixture.steps[0]!);
      expect(() => optimizer.step(-1)).toThrow('learningRateFactor must be a number of at least 0, got -1');
      optimizer.step(0.5);
      const parameter = { name: 'a', tensor: tensors.bias! };
      expect(() => new AdamW(engine, [{ parameters: [parameter, parameter], learningRate: 1 }])).toThrow('names must be unique, got "a" twice');
      expect(() => new AdamW(engine, [{ parameters: [parameter], learningRate: NaN }])).toThrow('learningRate must be a number of at least 0, got NaN');
      optimizer.dispose();
    });
    expect(engine.memory.liveBuffers).toBeLessThanOrEqual(before);
  });
});
