/** Cohorts of files that a page was given. */
import { beforeAll, describe, expect, it } from 'vitest';
import { describeSample, encodeJpegVolume, sampleKey, tarEnd, tarHeader, tarPadding } from '../../../src/data/index.ts';
import { runDecodeJob } from '../../../src/platform/browser-decode-job.ts';
import { initNodeCodecs } from '../../../src/platform/node-dicom-codecs.ts';
import { findCohort } from '../../../web/training-cohort.ts';

const grid = { shape: [2, 16, 16] as [number, number, number], spacingMm: [10, 2, 2] as [number, number, number] };
const ids = Array.from({ length: 6 }, (_, n) => `scan_${n}`);

/** A volume of one grey a scan. */
async function volumeOf(n: number): Promise<Uint8Array> {
  return encodeJpegVolume(new Float32Array(2 * 16 * 16).fill(n / 10), grid, { quality: 90, source: ids[n]! });
}

async function shard(numbers: readonly number[]): Promise<File> {
  const parts: Uint8Array[] = [];
  for (const n of numbers) {
    const id = ids[n]!;
    const description = new TextEncoder().encode(describeSample({ id, patientId: `p${n}`, reportId: id, path: '', report: 'No effusion.', labels: new Uint8Array(18) }));
    for (const [ending, bytes] of [['json', description], ['zip', await volumeOf(n)]] as const) parts.push(tarHeader(`${sampleKey(id)}.${ending}`, bytes.length), bytes, tarPadding(bytes.length));
  }
  return new File([...(parts as Uint8Array<ArrayBuffer>[]), tarEnd() as Uint8Array<ArrayBuffer>], 'shard.tar');
}

describe('findCohort', () => {
  beforeAll(initNodeCodecs);

  it('reads shards of a prepared cohort, each scan from its own stretch of the file', async () => {
    const files = [{ path: 'prepared/shard-000000.tar', file: await shard([0, 2, 4]) }, { path: 'prepared/shard-000001.tar', file: await shard([1, 3, 5]) }];
    const { cohort, sourceOf } = await findCohort({ kind: 'files', name: 'prepared', files }, 0);
    expect(cohort.scans.map(({ id }) => id).sort()).toEqual(ids);
    expect(cohort.scans[0]!.report).toBe('No effusion.');
    for (const scan of cohort.scans) {
      const { values, fileBytes } = await runDecodeJob({ name: scan.id, source: sourceOf(scan), grid });
      const n = ids.indexOf(scan.id);
      expect(values[0], scan.id).toBeCloseTo(n / 10, 1);
      expect(fileBytes).toBe((await volumeOf(n)).length);
    }
  });

  it('names a damaged shard', async () => {
    const whole = await shard([0]);
    const files = [{ path: 'prepared/shard-000000.tar', file: new File([whole.slice(0, 700)], 'shard.tar') }];
    await expect(findCohort({ kind: 'files', name: 'prepared', files }, 0)).rejects.toThrow(/shard-000000\.tar: the archive breaks off/);
  });
});
