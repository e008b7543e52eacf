import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { noGrad, type Engine } from '../../../src/autograd/index.ts';
import { bytesAccess, openWeights, type CohortScan, type FileSystem } from '../../../src/data/index.ts';
import { commonGrid, ctClipGeometry, loadCtClipTeacher, poolTaps, presets, tokenGrid, type CtClipTeacher } from '../../../src/model/index.ts';
import { TeacherTargets, withTeacher, type TeacherConfig } from '../../../src/train/index.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { memoryFiles } from '../../unit/data/memory-files.ts';
import { tinyCohort, tinyConfig, tinyRun, tinyVolume } from './tiny-run.ts';

const checkpoint = new Uint8Array(readFileSync(new URL('../../fixtures/model/ct-clip-cube.safetensors', import.meta.url)));

/** The tiny volume at the teacher's [8, 16, 16]: every second slice, every fourth row and column. */
async function decodeForTeacher(scan: CohortScan): Promise<Float32Array> {
  const volume = tinyVolume(scan);
  return Float32Array.from({ length: 8 * 16 * 16 }, (_, i) => volume[2 * Math.floor(i / 256) * 4096 + 4 * (Math.floor(i / 16) % 16) * 64 + 4 * (i % 16)]!);
}

let engine: Engine;
let teacher: TeacherConfig;
beforeAll(async () => {
  engine = await testEngine();
  const { input, grid, width } = ctClipGeometry(await openWeights(bytesAccess(checkpoint), 'cube'));
  teacher = { weights: 'cube', input, grid: commonGrid(grid, tokenGrid(presets.tiny.encoder)), width };
});

const loadTeacher = async (): Promise<CtClipTeacher> => loadCtClipTeacher(engine, await openWeights(bytesAccess(checkpoint), 'cube'));
const targetsIn = (files: FileSystem, changes: Partial<TeacherConfig> = {}, raw = async (scan: CohortScan): Promise<Float32Array> => tinyVolume(scan)): TeacherTargets =>
  new TeacherTargets({ files, folder: 'targets', teacher: { ...teacher, ...changes }, raw });

async function makeAll(targets: TeacherTargets, scans: readonly CohortScan[]): Promise<void> {
  const encoder = await loadTeacher();
  for (const scan of scans) await targets.make(engine, encoder, scan, teacher.input.shape, decodeForTeacher);
  encoder.dispose();
}

describe('TeacherTargets', () => {
  const { scans } = tinyCohort();

  it('keep the teacher\'s taps on the common grid in half precision', async () => {
    const files = memoryFiles({});
    const targets = targetsIn(files);
    const two = scans.slice(0, 2);
    const before = engine.memory.liveBuffers;
    await makeAll(targets, two);
    expect(engine.memory.liveBuffers).toBeLessThanOrEqual(before);
    const batch = await targets.batch([two[1]!, two[0]!]);
    const encoder = await loadTeacher();
    await engine.scope(async () => {
      const x = engine.tensor(Float32Array.from(await decodeForTeacher(two[0]!)), [1, 1, 8, 16, 16]);
      const taps = poolTaps(noGrad(() => encoder.forward(x)).taps, [4, 4, 4], teacher.grid);
      for (const [index, tap] of taps.entries()) {
        for (const part of ['residual', 'features'] as const) {
          const expected = await tap[part].toArray();
          // Half precision: 11 bits, relative to the largest.
          expectClose(batch[index]![part].slice(expected.length), expected, 5e-4, `tap ${index} ${part}`);
        }
      }
    });
    encoder.dispose();
  });

  it('are found by content: another scan, other weights or another grid are not taken for it', async () => {
    const files = memoryFiles({});
    await makeAll(targetsIn(files), scans.slice(0, 2));
    const missing = async (targets: TeacherTargets): Promise<string[]> => (await targets.missing(scans.slice(0, 3))).map(({ id }) => id);
    expect(await missing(targetsIn(files))).toEqual(['scan2']);
    expect(await missing(targetsIn(files, { weights: 'others' }))).toEqual(['scan0', 'scan1', 'scan2']);
    expect(await missing(targetsIn(files, { grid: [2, 2, 2] }))).toHaveLength(3);
    const touched = async (scan: CohortScan): Promise<Float32Array> => tinyVolume(scan).map((value, at) => (scan.id === 'scan1' && at === 9 ? value + 1e-6 : value));
    expect(await missing(targetsIn(files, {}, touched))).toEqual(['scan1', 'scan2']);
  });

  it('say what is wrong with a damaged file', async () => {
    const files = memoryFiles({});
    const targets = targetsIn(files);
    await makeAll(targets, scans.slice(0, 1));
    const [{ name } = { name: '' }] = await files.list('targets');
    const path = files.join('targets', name);
    const bytes = await files.readFile(path);
    await files.writeFile(path, bytes.subarray(0, bytes.length - 2));
    await expect(targets.batch(scans.slice(0, 1))).rejects.toThrow(/the file is damaged/);
    const encoder = await loadTeacher();
    await expect(targetsIn(files).make(engine, encoder, scans[0]!, teacher.input.shape, async () => new Float32Array(2048).fill(NaN))).rejects.toThrow(/scan0: the teacher's spatial residual hold NaN/);
    encoder.dispose();
  });
});

describe('a run that distils CT-CLIP', () => {
  const config = (): ReturnType<typeof tinyConfig> => withTeacher(tinyConfig(), teacher);

  it('has no teacher stage, and gives its steps to the align stage', () => {
    expect(config().stages).toEqual({ fast: { steps: 3, learningRate: 5e-4 }, align: { steps: 6, learningRate: 1e-3 } });
    expect(config().studentFromTeacher).toBe(false);
  });

  it('trains on the targets alone, resumes bit for bit, and its FAST loss falls', { timeout: 300_000 }, async () => {
    const files = memoryFiles({});
    const targets = targetsIn(files);
    await makeAll(targets, tinyCohort().scans.filter(({ split }) => split === 'train'));
    const settings = { ...config(), stages: { fast: { steps: 4, learningRate: 4e-3 }, align: { steps: 1, learningRate: 1e-3 } } };
    const unbroken = tinyRun(engine, { config: settings, targets });
    expect(await unbroken.train()).toBe('finished');
    const records = await unbroken.records();
    expect(records.map(({ stage }) => stage)).toEqual([...Array<string>(4).fill('fast'), 'align']);
    const fast = records.slice(0, 4).map(({ losses }) => losses.fast!);
    expect(fast[3]! / fast[0]!, fast.join()).toBeLessThan(0.9);
    expect(records[4]!.losses).toEqual(expect.objectContaining({ sigLip: expect.any(Number), style: expect.any(Number), position: expect.any(Number), channel: expect.any(Number), feature: expect.any(Number) }));
    expect(unbroken.state.teacher).toBeNull();
    expect(unbroken.state.projectors!.taps[0]!.weight.shape).toEqual([10, 64]);
    unbroken.dispose();

    let run = tinyRun(engine, { config: settings, targets });
    while ((await run.train(4)) === 'interrupted') {
      run.dispose();
      run = await run.reopened();
    }
    const drawn = (list: typeof records): unknown => list.map(({ losses, gradientNorm }) => [losses, gradientNorm]);
    expect(drawn(await run.records())).toEqual(drawn(records));
    run.dispose();
  });

  it('says that it needs the targets', async () => {
    const run = tinyRun(engine, { config: config() });
    await expect(run.train()).rejects.toThrow('train: the run distils a foreign teacher, and its targets were not given');
    run.dispose();
  });
});
