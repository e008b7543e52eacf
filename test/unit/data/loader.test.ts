import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { strToU8 } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  decodeScan, encodeGreyJpeg, encodeJpegVolume, greyToValues, initJpegCodec, jpegRoundTrip, preprocess, readNifti, readScan, scanFormat, writeNifti, writeNiftiGz,
} from '../../../src/data/index.ts';
import type { InputGrid } from '../../../src/data/index.ts';
import { openDecodePool, type JobTime } from '../../../src/platform/node-decode-pool.ts';
import { nodeJpegWasm } from '../../../src/platform/node-jpeg.ts';
import { randomHu } from './volumes.ts';

beforeAll(() => initJpegCodec(nodeJpegWasm));

const GRID: InputGrid = { shape: [4, 8, 9], spacingMm: [3, 2, 2] };
const SOURCE = { hu: randomHu(2, [6, 20, 22]), shape: [6, 20, 22] as [number, number, number], spacingMm: [2.5, 0.8, 0.8] as [number, number, number] };
const PLAIN = writeNifti(SOURCE);

describe('decodeScan', () => {
  it('reads NIfTI, plain and gzipped, whatever the name', async () => {
    const expected = preprocess(readNifti(PLAIN, 'a'), GRID, { antialias: true });
    for (const bytes of [PLAIN, writeNiftiGz(SOURCE)]) {
      const scan = await decodeScan(bytes, 'a.dat', GRID);
      expect(scan.values).toEqual(expected.values);
      expect(scan).toMatchObject({ format: 'nifti', quality: null });
      expect(scan.warnings.join()).toContain('mm head to foot');
    }
    const plain = await decodeScan(PLAIN, 'a', GRID, { antialias: false });
    expect(plain.values).toEqual(preprocess(readNifti(PLAIN, 'a'), GRID).values);
    expect(plain.values).not.toEqual(expected.values);
  });

  it('compresses at a quality on the way', async () => {
    const raw = await decodeScan(PLAIN, 'a', GRID);
    const scan = await decodeScan(PLAIN, 'a', GRID, { quality: 50 });
    expect(scan.values).toEqual(greyToValues(await jpegRoundTrip(raw.values, GRID.shape, 50)));
    expect([scan.grey && greyToValues(scan.grey), raw.grey]).toEqual([scan.values, undefined]);
    expect(scan.quality).toBe(50);
  });

  it('reads a JPEG volume to the very values of the compressed scan', async () => {
    const raw = await decodeScan(PLAIN, 'a', GRID);
    const zip = await encodeJpegVolume(raw.values, GRID, { quality: 50 });
    const scan = await decodeScan(zip, 'a.zip', GRID);
    expect(scan.values).toEqual((await decodeScan(PLAIN, 'a', GRID, { quality: 50 })).values);
    expect(scan).toMatchObject({ format: 'jpeg-volume', quality: 50, warnings: [] });
    expect(greyToValues(scan.grey!)).toEqual(scan.values);
  });

  it('resamples a JPEG volume of another grid, and says so', async () => {
    const raw = await decodeScan(PLAIN, 'a', GRID);
    const zip = await encodeJpegVolume(raw.values, GRID, { quality: 95 });
    const other: InputGrid = { shape: [2, 4, 4], spacingMm: [6, 4, 4] };
    const scan = await decodeScan(zip, 'a.zip', other);
    expect(scan.values).toEqual(preprocess(await readScan(zip, 'a.zip'), other, { antialias: true }).values);
    expect(scan.warnings.join()).toContain("resampled to the model's [2, 4, 4]");
    expect(scan.grey).toBeUndefined();
  });

  it.each([
    ['an empty file', async () => new Uint8Array(0), 'got an empty file'],
    ['an X-ray picture', () => encodeGreyJpeg(new Uint8Array(64 * 64), 64, 64, 75), 'got a single JPEG picture (an X-ray or one slice is no volume)'],
    ['a web page', async () => strToU8('<!doctype html>'.repeat(99)), 'got something else'],
  ])('refuses %s', async (_, make, message) => {
    const bytes = await make();
    await expect(decodeScan(bytes, 'scan.jpg', GRID)).rejects.toThrow(`decodeScan: scan.jpg: a scan must be NIfTI (.nii, .nii.gz), a DICOM series or a JPEG volume (.zip), ${message}`);
    expect(() => scanFormat(bytes, 'scan.jpg')).toThrow(message);
  });
});

describe('the decode pool', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ct-lite-pool-'));
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  // Beside node_modules, so that the bundle's bare imports resolve as they will from dist/.
  const built = mkdtempSync(join(root, 'node_modules', '.ct-lite-worker-'));
  const workerFile = join(built, 'decode-worker.js');
  const names = Array.from({ length: 9 }, (_, i) => (i === 4 ? 'broken.nii' : i === 6 ? 'missing.nii' : `scan${i}.nii`));
  const jobs = names.map((name) => ({ path: join(folder, name), grid: GRID, quality: 60 }));

  beforeAll(async () => {
    await build({
      entryPoints: [join(root, 'src/platform/node-decode-worker.ts')], outfile: workerFile, bundle: true, platform: 'node', format: 'esm', packages: 'external', logLevel: 'silent',
    });
    names.forEach((name, i) => {
      if (name === 'missing.nii') return;
      writeFileSync(join(folder, name), name === 'broken.nii' ? strToU8('no scan') : writeNifti({ ...SOURCE, hu: randomHu(i, SOURCE.shape) }));
    });
  });
  afterAll(() => [folder, built].forEach((path) => rmSync(path, { recursive: true, force: true })));

  const expectedValues = async (i: number): Promise<Float32Array> =>
    (await decodeScan(writeNifti({ ...SOURCE, hu: randomHu(i, SOURCE.shape) }), 'x', GRID, { quality: 60 })).values;

  it.each([['threads', 2], ['this thread', 0]])('gives outcomes in order and names the bad scans, in %s', async (_, workers) => {
    const pool = openDecodePool({ workers, workerFile });
    expect(pool.workers).toBe(workers);
    const seen: string[] = [];
    for await (const { job, scan, error } of pool.stream(jobs, 3)) {
      const i = jobs.indexOf(job);
      seen.push(names[i]!);
      if (names[i]!.startsWith('scan')) expect(scan!.values).toEqual(await expectedValues(i));
      else expect(error!.message).toContain(`decodeScan: ${names[i]}: `);
    }
    expect(seen).toEqual(names);
    await pool.close();
  });

  it.each([['threads', 2], ['this thread', 0]])('compresses volumes and tells what each job took, in %s', async (_, workers) => {
    const pool = openDecodePool({ workers, workerFile });
    const times: JobTime[] = [];
    pool.onJob = (time) => times.push(time);
    const { values } = await decodeScan(writeNifti({ ...SOURCE, hu: randomHu(1, SOURCE.shape) }), 'x', GRID);
    const jobs = [90, 40, 10].map((quality) => ({ name: `at ${quality}`, values, shape: GRID.shape, quality }));
    const grey = await Promise.all(jobs.map((job) => pool.compress(job)));
    expect(grey).toEqual(await Promise.all(jobs.map(({ quality }) => jpegRoundTrip(values, GRID.shape, quality))));
    expect(values).toHaveLength(4 * 8 * 9); // lent, not handed over
    await expect(pool.compress({ ...jobs[0]!, shape: [1, 2, 3] })).rejects.toThrow('values must be [1, 2, 3] = 6');
    await pool.close();
    expect(times.slice(0, 3).map(({ name }) => name).sort()).toEqual(['at 10', 'at 40', 'at 90']);
    for (const { kind, thread, begin, end } of times) {
      expect(kind).toBe('JPEG');
      expect(thread > 0).toBe(workers > 0);
      expect(end).toBeGreaterThanOrEqual(begin);
    }
  });

  it('begins no more than it may look ahead', async () => {
    const pool = openDecodePool({ workers: 2, workerFile });
    let begun = 0;
    function* counted(): Generator<(typeof jobs)[number]> {
      for (const job of jobs) {
        begun++;
        yield job;
      }
    }
    let taken = 0;
    for await (const _ of pool.stream(counted(), 3)) {
      taken++;
      expect(begun - taken).toBeLessThanOrEqual(3);
      if (taken === 2) break;
    }
    await pool.close();
    expect(begun).toBeLessThanOrEqual(5);
  });

  it('rejects what is asked for after its close, and what waits at it', async () => {
    const pool = openDecodePool({ workers: 1, workerFile });
    const waiting = [0, 1, 2, 3].map((i) => pool.decode(jobs[i]!).then(() => 'done', (error: Error) => error.message));
    await pool.close();
    for (const outcome of await Promise.all(waiting)) expect(outcome).toMatch(/done|the decoding pool is closed/);
    await expect(pool.decode(jobs[0]!)).rejects.toThrow('decodeScan: scan0.nii: the decoding pool is closed');
  });

  it('loses one scan with a thread that dies, and goes on', async () => {
    const crashing = join(built, 'crash.mjs');
    writeFileSync(
      crashing,
      `import { parentPort } from 'node:worker_threads';
       parentPort.on('message', ({ id, job }) => {
         if (job.path.endsWith('scan1.nii')) process.exit(3);
         parentPort.postMessage({ id, scan: { values: new Float32Array(1), warnings: [], format: 'nifti', quality: null } });
       });`,
    );
    const pool = openDecodePool({ workers: 1, workerFile: crashing });
    const outcomes = [];
    for await (const outcome of pool.stream(jobs.slice(0, 4), 4)) outcomes.push(outcome.error?.message ?? 'ok');
    expect(outcomes).toEqual(['ok', expect.stringContaining('decodeScan: scan1.nii: the decoding thread was lost (it ended with code 3)'), 'ok', 'ok']);
    await pool.close();
  });

  it('ends a decoder that never returns, names its scan, and goes on', async () => {
    const hanging = join(built, 'hang.mjs');
    // (module (func (export "f") (loop br 0))): as a codec's WebAssembly that loops for ever.
    writeFileSync(
      hanging,
      `import { parentPort } from 'node:worker_threads';
       const wasm = Uint8Array.from(Buffer.from('0061736d0100000001040160000003020100070501016600000a0901070003400c000b0b', 'hex'));
       const { instance } = await WebAssembly.instantiate(wasm);
       parentPort.on('message', ({ id, job }) => {
         if (job.path.endsWith('scan1.nii')) instance.exports.f();
         parentPort.postMessage({ id, result: { values: new Float32Array(1), warnings: [], format: 'nifti', quality: null } });
       });`,
    );
    const pool = openDecodePool({ workers: 1, workerFile: hanging, mostMs: 2000 });
    const outcomes = [];
    for await (const outcome of pool.stream(jobs.slice(0, 4), 4)) outcomes.push(outcome.error?.message ?? 'ok');
    expect(outcomes).toEqual(['ok', expect.stringContaining('decodeScan: scan1.nii: its decoder gave no answer for 2 seconds and was ended'), 'ok', 'ok']);
    await pool.close();
  });

  it('decodes in this thread where there is no worker file', async () => {
    const pool = openDecodePool({ workerFile: join(folder, 'none.js') });
    expect(pool.workers).toBe(0);
    expect((await pool.decode(jobs[0]!)).values).toEqual(await expectedValues(0));
    await pool.close();
    await expect(pool.decode(jobs[0]!)).rejects.toThrow('the decoding pool is closed');
  });
});
