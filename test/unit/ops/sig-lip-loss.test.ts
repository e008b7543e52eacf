import { expect, it } from 'vitest';
import { matchCodes } from '../../../src/autograd/ops/pair-matches.ts';
import { sigLipLossReference } from '../../../src/autograd/ops/sig-lip-loss.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('sigLipLoss: reference gradient agrees with central differences', () => {
  const matched = (i: number, j: number): boolean => i % 2 === j % 2;
  expectReferenceGradient(
    { u: input([3, 5], 1), v: input([4, 5], 2), logScale: input([1], 3, { shift: 1 }), bias: input([1], 4, { shift: -1 }) },
    (values) => Float64Array.of(sigLipLossReference(values, 5, matched).loss),
    (values, dY) => {
      const { u, v, logScale, bias } = sigLipLossReference(values, 5, matched);
      const scaled = (x: Float64Array): Float64Array => x.map((value) => value * dY[0]!);
      return { u: scaled(u), v: scaled(v), logScale: scaled(logScale), bias: scaled(bias) };
    },
  );
});

it('matchCodes: equal ids have equal codes, across images and texts', () => {
  const { imageCodes, textCodes } = matchCodes(3, 2, { imageIds: ['r1', 'r2', 'r1'], textIds: ['r2', 'r1'] }, 'op');
  expect([imageCodes[0], imageCodes[1]]).toEqual([imageCodes[2], textCodes[0]]);
  expect(imageCodes[0]).toBe(textCodes[1]);
  expect(imageCodes[0]).not.toBe(imageCodes[1]);
});

it('matchCodes: a number and its digits are different ids', () => {
  const { imageCodes, textCodes } = matchCodes(1, 1, { imageIds: [1], textIds: ['1'] }, 'op');
  expect(imageCodes[0]).not.toBe(textCodes[0]);
});
