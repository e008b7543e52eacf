import { it } from 'vitest';
import { avgPool3dBackwardReference, avgPool3dReference } from '../../../src/autograd/ops/avg-pool3d.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('avgPool3d: reference gradient agrees with central differences', () => {
  const shape = [2, 2, 4, 5, 6];
  const options = { kernel: [2, 3, 2], stride: [1, 2, 3] } as const;
  expectReferenceGradient(
    { x: input(shape, 1) },
    ({ x }) => avgPool3dReference(x, shape, options),
    (_, dY) => ({ x: avgPool3dBackwardReference(dY, shape, options) }),
  );
});
