import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { widenReference } from '../../../src/autograd/ops/widen.ts';
import { GREY_VALUES, greyToValue } from '../../../src/data/volume.ts';
import { randomArray } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';

const shapes = [[1], [3], [63], [65], [256], [2, 1, 3, 5, 7], [1, 1, 15, 31, 33], [3, 7001]];
const bytesOf = (count: number): Uint8Array<ArrayBuffer> => Uint8Array.from(randomArray(count, 3), (u) => Math.floor((u + 1) * 128));

describe('widen', () => {
  // Exact: values are looked up and not computed.
  it.each(shapes.map((shape) => [shape]))('gives the values of the table for [%s]', async (shape) => {
    const engine = await testEngine();
    const table = Float32Array.from(randomArray(256, 9));
    const x = bytesOf(shape.reduce((a, b) => a * b));
    await engine.scope(async () => {
      const bytes = engine.tensor(x, shape);
      expect(bytes.dtype).toBe('u8');
      const y = ops.widen(bytes, engine.tensor(table));
      expect(y.shape).toEqual(shape);
      expect([...(await y.toArray())]).toEqual([...widenReference(x, Float64Array.from(table))]);
      expect(await bytes.toArray()).toEqual(x);
    });
  });

  it('gives what the CPU makes of every grey level, to the bit', async () => {
    const engine = await testEngine();
    const grey = Uint8Array.from({ length: 256 }, (_, level) => level);
    await engine.scope(async () => {
      expect(await ops.widen(engine.tensor(grey), engine.tensor(GREY_VALUES)).toArray()).toEqual(Float32Array.from(grey, (level) => greyToValue(level)));
    });
  });

  it('names what does not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops.widen(engine.zeros([4]), engine.zeros([256]))).toThrow('widen: x must be u8, got f32');
      expect(() => ops.widen(engine.tensor(bytesOf(4)), engine.zeros([255]))).toThrow('widen: table must be [256], got [255]');
    });
  });
});
