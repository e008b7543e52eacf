import { describe, it } from 'vitest';
import { fastReference, type FastReferenceInputs } from '../../../src/model/fast-reference.ts';
import { fastTerms, type FastTerm } from '../../../src/model/fast.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

const shape = { batches: 2, tokens: 5, studentChannels: 3, teacherChannels: 4 };

function inputsOfTap() {
  return {
    studentResidual: input([2, 5, 3], 1, { scale: 2 }),
    studentFeatures: input([2, 5, 3], 2),
    weight: input([4, 3], 3),
    bias: input([4], 4),
    teacherResidual: input([2, 5, 4], 5, { scale: 2 }),
    teacherFeatures: input([2, 5, 4], 6),
  };
}

describe('fastReference: gradient agrees with central differences', () => {
  const cases: [string, Record<FastTerm, number>, 'attention' | 'gatys'][] = [
    ...fastTerms.map((name): [string, Record<FastTerm, number>, 'attention'] => [name, { style: 0, position: 0, channel: 0, feature: 0, [name]: 1 }, 'attention']),
    ['gatys', { style: 1, position: 0, channel: 0, feature: 0 }, 'gatys'],
    ['all', { style: 0.5, position: 2, channel: 1, feature: 3 }, 'attention'],
  ];
  for (const [name, weights, style] of cases) {
    it(name, () => {
      expectReferenceGradient(
        inputsOfTap(),
        (values) => Float64Array.of(fastReference(values as unknown as FastReferenceInputs, shape, { weights, style }).total),
        (values, dY) => {
          const { gradients } = fastReference(values as unknown as FastReferenceInputs, shape, { weights, style });
          return Object.fromEntries(Object.entries(gradients).map(([key, gradient]) => [key, gradient.map((value) => value * dY[0]!)]));
        },
        { tolerance: 1e-6 }, // central differences of a quotient of norms lose more digits than those of a sum
      );
    });
  }
});
