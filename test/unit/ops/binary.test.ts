import { it } from 'vitest';
import { binaryBackwardReference, binaryReference } from '../../../src/autograd/ops/binary.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it.each(['add', 'sub', 'mul', 'div'] as const)('%s: reference gradient agrees with central differences', (operation) => {
  for (const [aShape, bShape] of [[[3, 5], [5]], [[2, 1, 3], [4, 1]], [[], [3]]] as [number[], number[]][]) {
    expectReferenceGradient(
      { a: input(aShape, 1), b: input(bShape, 2, { shift: 2.5 }) },
      ({ a, b }) => binaryReference(operation, a, aShape, b, bShape),
      ({ a, b }, dY) => binaryBackwardReference(operation, a, aShape, b, bShape, dY),
    );
  }
});
