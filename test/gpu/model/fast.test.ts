import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../../src/autograd/index.ts';
import { fastReference, type FastReferenceInputs } from '../../../src/model/fast-reference.ts';
import { fastDistances, fastLoss, fastTerms, type FastInputs, type FastOptions, type FastTerm } from '../../../src/model/fast.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { expectOp, input } from '../../support/op-test.ts';

type TapTensors = Record<keyof FastReferenceInputs, Tensor>;

interface Fixture {
  taps: Record<keyof FastReferenceInputs, { shape: number[]; values: number[] }>[];
  terms: Record<FastTerm | 'gatys', number>;
  total: number;
  gradients: Record<string, number[]>[];
}

function inputsOf(taps: readonly TapTensors[]): FastInputs {
  return {
    student: taps.map(({ studentResidual, studentFeatures }) => ({ residual: studentResidual, features: studentFeatures })),
    teacher: taps.map(({ teacherResidual, teacherFeatures }) => ({ residual: teacherResidual, features: teacherFeatures })),
    projectors: taps.map(({ weight, bias }) => ({ weight, bias })),
  };
}

const none: Record<FastTerm, number> = { style: 0, position: 0, channel: 0, feature: 0 };

describe('fastLoss', () => {
  const cases: [name: string, weights: Record<FastTerm, number>, style: FastOptions['style']][] = [
    ...fastTerms.map((name): [string, Record<FastTerm, number>, 'attention'] => [name, { ...none, [name]: 1 }, 'attention']),
    ['gatys', { ...none, style: 1 }, 'gatys'],
    ['all', { style: 0.5, position: 2, channel: 1, feature: 3 }, 'attention'],
  ];
  const gradientsOf: Record<string, (keyof FastReferenceInputs)[]> = {
    position: ['studentResidual'],
    channel: ['studentFeatures', 'weight', 'bias'],
    gatys: ['studentFeatures', 'weight', 'bias'],
    feature: ['studentFeatures', 'weight', 'bias'],
  };
  for (const [batches, tokens, studentChannels, teacherChannels] of [[2, 5, 3, 4], [1, 300, 63, 65]] as const) {
    for (const [name, weights, style] of cases) {
      it(`${name} agrees with its reference on [${batches}, ${tokens}, ${studentChannels} → ${teacherChannels}]`, async () => {
        const shape = { batches, tokens, studentChannels, teacherChannels };
        await expectOp({
          inputs: {
            studentResidual: input([batches, tokens, studentChannels], 1, { scale: 2 }),
            studentFeatures: input([batches, tokens, studentChannels], 2),
            weight: input([teacherChannels, studentChannels], 3),
            bias: input([teacherChannels], 4),
            teacherResidual: input([batches, tokens, teacherChannels], 5, { scale: 2, constant: true }),
            teacherFeatures: input([batches, tokens, teacherChannels], 6, { constant: true }),
          },
          run: (tensors) => tensors.weight.engine.scope(() => fastLoss(inputsOf([tensors]), { weights, style }).total),
          reference: (values) => Float64Array.of(fastReference(values, shape, { weights, style }).total),
          backward: (values, dY) => {
            const { gradients } = fastReference(values, shape, { weights, style });
            const wanted = gradientsOf[name] ?? (Object.keys(gradients) as (keyof FastReferenceInputs)[]);
            return Object.fromEntries(wanted.map((key) => [key, gradients[key as keyof typeof gradients].map((value) => value * dY[0]!)]));
          },
        });
      });
    }
  }

  it('agrees with PyTorch: every term, the mean over two taps and all gradients', async () => {
    const fixture = JSON.parse(readFileSync(new URL('../../fixtures/model/fast.json', import.meta.url), 'utf8')) as Fixture;
    const engine = await testEngine();
    await engine.scope(async () => {
      const taps = fixture.taps.map((tap) =>
        Object.fromEntries(Object.entries(tap).map(([name, { shape, values }]) => [name, engine.tensor(values, shape, { requiresGrad: true })])) as TapTensors,
      );
      const { total, terms } = fastLoss(inputsOf(taps));
      expectClose(await total.toArray(), [fixture.total], 1e-5, 'total');
      for (const name of fastTerms) expectClose(await terms[name]!.toArray(), [fixture.terms[name]], 1e-5, name);
      const gatys = fastLoss(inputsOf(taps), { weights: { ...none, style: 1 }, style: 'gatys' });
      expectClose(await gatys.total.toArray(), [fixture.terms.gatys], 1e-5, 'gatys');
      expect(gatys.terms.position).toBeNull();
      await total.backward();
      for (const [index, gradients] of fixture.gradients.entries()) {
        for (const [name, gradient] of Object.entries(gradients)) expectClose(await taps[index]![name as keyof TapTensors].grad!.toArray(), gradient, 1e-4, `tap ${index} ${name}`);
        expect(taps[index]!.teacherResidual.grad, 'the teacher is a constant').toBeNull();
        expect(taps[index]!.teacherFeatures.grad).toBeNull();
        for (const tensor of Object.values(taps[index]!)) tensor.zeroGrad();
      }
    });
  });

  it('fastDistances are its terms volume by volume: those of each volume alone, and without a history', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const [tokens, channels] = [7, 9];
      const make = (seed: number, volume: number): Tensor => {
        const values = Float32Array.from(input([2, tokens, channels], seed).values);
        return volume < 0 ? engine.tensor(values, [2, tokens, channels], { requiresGrad: true }) : engine.tensor(values.slice(volume * tokens * channels, (volume + 1) * tokens * channels), [1, tokens, channels]);
      };
      const inputs = (volume: number): FastInputs => ({
        student: [1, 2].map((seed) => ({ residual: make(seed, volume), features: make(seed + 2, volume) })),
        teacher: [5, 6].map((seed) => ({ residual: make(seed, volume), features: make(seed + 2, volume) })),
        projectors: [null, null],
      });
      const both = fastDistances(inputs(-1));
      const alone = [0, 1].map((volume) => fastLoss(inputs(volume)).terms);
      for (const name of fastTerms) {
        expectClose(await both[name].toArray(), [await alone[0]![name]!.item(), await alone[1]![name]!.item()], 1e-5, name);
        expect(both[name].requiresGrad).toBe(false);
      }
    });
  });

  it('is zero where student and teacher agree', async () => {
    const engine = await testEngine();
    await engine.scope(async () => {
      const make = (seed: number): Tensor => engine.tensor(Float32Array.from(input([2, 7, 9], seed).values), [2, 7, 9]);
      const tap = { residual: make(1), features: make(2) };
      const { total } = fastLoss({ student: [tap], teacher: [tap], projectors: [null] });
      expect(await total.item()).toBe(0);
    });
  });

  it('says what does not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const tap = (tokens: number, channels: number): { residual: Tensor; features: Tensor } => ({ residual: engine.zeros([1, tokens, channels]), features: engine.zeros([1, tokens, channels]) });
      expect(() => fastLoss({ student: [tap(4, 3)], teacher: [tap(8, 3)], projectors: [null] })).toThrow('got [1, 4, 3] and [1, 8, 3]; pool both to the coarser grid');
      expect(() => fastLoss({ student: [tap(4, 3)], teacher: [tap(4, 5)], projectors: [null] })).toThrow('3 student and 5 teacher channels need a projector');
      expect(() => fastLoss({ student: [tap(4, 3)], teacher: [], projectors: [null] })).toThrow('must be as many taps, got 1, 0 and 1');
      expect(() => fastLoss({ student: [tap(4, 3)], teacher: [tap(4, 3)], projectors: [null] }, { weights: none })).toThrow('at least one term');
    });
  });
});
