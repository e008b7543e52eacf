import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { binaryBackwardReference, binaryReference } from '../../../src/autograd/ops/binary.ts';
import { testEngine } from '../../support/engine.ts';
import { expectFixture, readOpFixtures } from '../../support/op-fixture.ts';
import { expectOp, input } from '../../support/op-test.ts';

const operations = ['add', 'sub', 'mul', 'div'] as const;

const shapes: [number[], number[]][] = [
  [[1], [1]],
  [[63, 65], [63, 65]],
  [[3, 65, 7], [7]],
  [[5, 63], []],
  [[], [5, 3]],
  [[3, 1, 65], [63, 1]],
  [[2, 3, 1, 5], [2, 1, 7, 1]],
  [[65, 1], [65, 63]],
  [[2, 1, 2, 1, 3, 1, 2, 1], [1, 3, 1, 2, 1, 2, 1, 3]],
  [[700, 3], [3]],
];

describe.each(operations)('%s', (operation) => {
  it.each(shapes)('agrees with its reference on %j and %j', async (aShape, bShape) => {
    await expectOp({
      inputs: { a: input(aShape, 1), b: input(bShape, 2, { shift: operation === 'div' ? 2.5 : 0 }) },
      run: ({ a, b }) => ops[operation](a, b),
      reference: ({ a, b }) => binaryReference(operation, a, aShape, b, bShape),
      backward: ({ a, b }, dY) => binaryBackwardReference(operation, a, aShape, b, bShape, dY),
    });
  });

  it.each([0.75, -3])('takes the number %f on either side', async (value) => {
    const number = Float64Array.of(value);
    await expectOp({
      inputs: { x: input([3, 21], 3, { shift: 2 }) },
      run: ({ x }) => ops[operation](x, value),
      reference: ({ x }) => binaryReference(operation, x, [3, 21], number, []),
      backward: ({ x }, dY) => ({ x: binaryBackwardReference(operation, x, [3, 21], number, [], dY).a }),
    });
    await expectOp({
      inputs: { x: input([3, 21], 4, { shift: 2 }) },
      run: ({ x }) => ops[operation](value, x),
      reference: ({ x }) => binaryReference(operation, number, [], x, [3, 21]),
      backward: ({ x }, dY) => ({ x: binaryBackwardReference(operation, number, [], x, [3, 21], dY).b }),
    });
  });

  it('gives a gradient to one operand alone', async () => {
    await expectOp({
      inputs: { a: input([5, 3], 5, { constant: true }), b: input([3], 6, { shift: 2 }) },
      run: ({ a, b }) => ops[operation](a, b),
      reference: ({ a, b }) => binaryReference(operation, a, [5, 3], b, [3]),
      backward: ({ a, b }, dY) => ({ b: binaryBackwardReference(operation, a, [5, 3], b, [3], dY).b }),
    });
  });

  it('agrees with PyTorch on broadcast gradients', () => expectFixture(readOpFixtures('binary')[operation]!, ({ a, b }) => ops[operation](a!, b!)));

  it('names shapes that do not broadcast, and wrong types', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops[operation](engine.zeros([2, 3]), engine.zeros([4]))).toThrow(`${operation}: shapes [2, 3] and [4] do not broadcast`);
      expect(() => ops[operation](engine.zeros([2]), engine.tensor(new Uint32Array(2)))).toThrow(`${operation}: b must be f32 or f16, got u32`);
    });
  });
});

it('mul of a tensor with itself adds both gradients', async () => {
  await expectOp({
    inputs: { x: input([65], 7) },
    run: ({ x }) => ops.mul(x, x),
    reference: ({ x }) => x.map((v) => v * v),
    backward: ({ x }, dY) => ({ x: x.map((v, i) => 2 * v * dY[i]!) }),
  });
});
