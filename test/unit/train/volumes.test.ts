import { beforeAll, describe, expect, it } from 'vitest';
import { greyToValues, initJpegCodec, type CohortScan } from '../../../src/data/index.ts';
import { nodeJpegWasm } from '../../../src/platform/node-jpeg.ts';
import { VolumeStore } from '../../../src/train/volumes.ts';

const scan = (id: string): CohortScan => ({ id, patientId: id, reportId: id, path: id, split: 'train', report: '', labels: null });
const [a, b, c] = [scan('1'), scan('2'), scan('3')] as const;
const shape: [number, number, number] = [1, 2, 2];
const volumeBytes = 16;

function store(volumes: number): { volumes: VolumeStore; decoded: string[] } {
  const decoded: string[] = [];
  const decode = async ({ id }: CohortScan): Promise<Float32Array> => {
    decoded.push(id);
    return new Float32Array(4).fill(Number(id) / 10);
  };
  return { volumes: new VolumeStore(decode, shape, volumes * volumeBytes), decoded };
}

describe('VolumeStore', () => {
  beforeAll(() => initJpegCodec(nodeJpegWasm));

  it('decodes once what fits, also for those who ask at the same time', async () => {
    const { volumes, decoded } = store(2);
    await Promise.all([volumes.raw(a), volumes.raw(a), volumes.raw(b)]);
    await volumes.raw(b);
    expect(decoded).toEqual(['1', '2']);
  });

  it('lets the least recently used go', async () => {
    const { volumes, decoded } = store(2);
    for (const each of [a, b, a, c, a, b]) await volumes.raw(each);
    // c drove out b, since a was used again; b then drove out c.
    expect(decoded).toEqual(['1', '2', '3', '2']);
  });

  it('serves a batch that is larger than its budget', async () => {
    const { volumes, decoded } = store(0);
    expect([...(await volumes.rawBatch([a, b, c]))].map((value) => Math.round(value * 10))).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
    expect(decoded).toEqual(['1', '2', '3']);
  });

  it('passes a failure on, forgets it and decodes again', async () => {
    let calls = 0;
    const volumes = new VolumeStore(async () => {
      if (++calls === 1) throw new Error('cut short');
      return new Float32Array(4);
    }, shape, 100);
    await expect(volumes.rawBatch([a])).rejects.toThrow('cut short');
    expect(await volumes.raw(a)).toHaveLength(4);
    expect(calls).toBe(2);
  });

  it('keeps the newer volume of a scan whose evicted decode fails late', async () => {
    const rejects: ((error: Error) => void)[] = [];
    let calls = 0;
    const volumes = new VolumeStore(({ id }) => {
      calls++;
      return id === '1' && calls === 1 ? new Promise((_, reject) => rejects.push(reject)) : Promise.resolve(new Float32Array(4));
    }, shape, volumeBytes);
    const first = volumes.raw(a);
    await volumes.raw(b);
    await volumes.raw(a);
    rejects[0]!(new Error('late'));
    await expect(first).rejects.toThrow('late');
    await volumes.raw(a);
    expect(calls).toBe(3);
  });

  it('hands over the grey levels of volumes that are stored as JPEG as bytes, and their values where others are among them', async () => {
    const grey = Uint8Array.of(0, 1, 127, 255);
    const volumes = new VolumeStore(async ({ id }) => (id === '3' ? new Float32Array(4).fill(0.5) : grey), shape, 1e6);
    expect(await volumes.rawBatch([a, b])).toEqual(Uint8Array.of(...grey, ...grey));
    expect(await volumes.rawBatch([a, c])).toEqual(Float32Array.of(...greyToValues(grey), 0.5, 0.5, 0.5, 0.5));
    expect(await volumes.raw(a)).toEqual(greyToValues(grey));
  });

  it('compresses each volume of a batch at its own quality', async () => {
    const random = (seed: number): Float32Array => Float32Array.from({ length: 64 * 64 }, (_, n) => Math.sin((n + seed) ** 2));
    const volumes = new VolumeStore(async ({ id }) => random(Number(id)), [1, 64, 64], 1e6);
    const [raw, batch] = [await volumes.rawBatch([a, a]), greyToValues(await volumes.jpegBatch([a, a], (row) => [95, 10][row]!))];
    const error = (from: number): number => Math.sqrt(batch.slice(from, from + 4096).reduce((sum, value, n) => sum + (value - raw[n]!) ** 2, 0) / 4096);
    expect(error(0)).toBeLessThan(0.1);
    expect(error(4096)).toBeGreaterThan(2 * error(0));
  });

  it('gives 255 steps of grey without JPEG, and each form of a batch', async () => {
    const values = Float32Array.of(-1, -0.5, 0.001, 1.7);
    const volumes = new VolumeStore(async () => values, shape, 1e6);
    // (HU + 1000)·255/2000, clipped: what JPEG would be given.
    expect([...(await volumes.grey(a))]).toEqual([0, 64, 128, 255]);
    expect(await volumes.batch([a, b], 'grey')).toEqual(Uint8Array.of(0, 64, 128, 255, 0, 64, 128, 255));
    expect(await volumes.batch([a], null)).toEqual(values);
    expect(await volumes.batch([a], 95)).toBeInstanceOf(Uint8Array);
    const error = greyToValues(await volumes.grey(a)).slice(0, 3).map((value, at) => Math.abs(value - values[at]!));
    expect(Math.max(...error)).toBeLessThanOrEqual(1 / 255 + 1e-6);
  });
});
