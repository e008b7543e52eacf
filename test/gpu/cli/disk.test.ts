import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unzipSync } from 'fflate';
import { decodeSafetensors, parseMetrics } from '../../../src/train/index.ts';
import { buildCommandLine, type CommandLine, type Finished, type StartOptions } from '../../support/command-line.ts';
import { expectError, makeSmallCohort } from './small-cohort.ts';

const limit = 240_000;
const preload = new URL('../../support/small-disk.mjs', import.meta.url);
const full = /the disk is full; free some space, or choose a folder on another disk \(ENOSPC\)/;

let command: CommandLine;
let cwd: string;
const at = (...parts: string[]): string => join(cwd, ...parts);
const sizeOf = (...parts: string[]): number => statSync(at(...parts)).size;
const filesBelow = (folder: string): string[] => readdirSync(at(folder), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map(({ name }) => name).sort();
const bytesBelow = (folder: string): number => readdirSync(at(folder), { recursive: true }).reduce((sum, name) => sum + (statSync(at(folder, String(name))).isFile() ? sizeOf(folder, String(name)) : 0), 0);
const run = (args: string[], options: StartOptions = {}): Promise<Finished> => command.run(args, { cwd, ...options });
/** Runs where `folder` is a disk of `bytes`. */
const runOn = (folder: string, bytes: number, args: string[], options: StartOptions = {}): Promise<Finished> => {
  mkdirSync(at(folder), { recursive: true });
  return run(args, { ...options, preload, env: { SMALL_DISK: at(folder), SMALL_DISK_BYTES: String(bytes) } });
};
const steps = (folder: string): number => parseMetrics(readFileSync(at(folder, 'metrics.jsonl'))).filter(({ kind }) => kind === 'step').length;

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'ct-lite-disk-'));
  command = await buildCommandLine('disk');
  makeSmallCohort(at('scans'), 11);
}, limit);

afterAll(async () => {
  await command.remove();
  rmSync(cwd, { recursive: true, force: true });
});

describe('a disk that fills up', () => {
  const train = (out: string, ...more: string[]): string[] => ['train', '--data', 'scans', '--steps', '6', '--batch', '2', '--out', out, ...more];

  it('during a checkpoint keeps the one before; with space again the run goes on from it to its end', async () => {
    const alone = await run(['train', '--data', 'scans', '--stage', 'teacher', '--steps', '1', '--batch', '2', '--out', 'measure']);
    expect(alone.code, alone.err).toBe(0);
    // Enough for the teacher's checkpoint, not for a second one beside it.
    const failed = await runOn('disk', 1.5 * sizeOf('measure', 'checkpoint.safetensors'), train(join('disk', 'run')));
    expectError(failed, /writeFile: disk\/run\/checkpoint\.safetensors: /, full, /then go on with: node train\.js --resume disk\/run$/);
    expect(filesBelow('disk')).toEqual(['checkpoint.safetensors', 'config.json', 'metrics.jsonl']);
    const { metadata } = decodeSafetensors(readFileSync(at('disk', 'run', 'checkpoint.safetensors')), 'kept');
    const { step } = JSON.parse(metadata.position!) as { stage: string; step: number };
    expect(JSON.parse(metadata.position!)).toMatchObject({ stage: 'teacher' });
    const resumed = await run(['train', '--resume', join('disk', 'run')]);
    expect(resumed.code, resumed.err).toBe(0);
    expect(resumed.err).toContain(`resuming after step ${step} of 6`);
    expect(steps(join('disk', 'run'))).toBe(6);
  }, limit);

  it('during the metrics or the report loses neither the run nor the old report', async () => {
    const early = await runOn('early', sizeOf('disk', 'run', 'config.json') + 100, train(join('early', 'run')));
    expectError(early, /appendFile: early\/run\/metrics\.jsonl: /, full, /--resume early\/run$/);
    expect(filesBelow('early')).toEqual(['config.json', 'metrics.jsonl']);
    expect(steps(join('early', 'run'))).toBe(0); // the line was cut

    // A run that has ended: what is left to do is its report, once more.
    const report = readFileSync(at('disk', 'run', 'report.html'));
    const files = filesBelow(join('disk', 'run'));
    const late = await runOn('disk', bytesBelow('disk') + sizeOf('disk', 'run', 'evaluation.json') + 5000, ['train', '--resume', join('disk', 'run')]);
    expectError(late, /writeFile: disk\/run\/report\.html: /, full);
    expect(Buffer.compare(readFileSync(at('disk', 'run', 'report.html')), report)).toBe(0);
    expect(filesBelow(join('disk', 'run'))).toEqual(files);
  }, limit);

  it('during prepare keeps whole volumes only, and prepare goes on from them', async () => {
    const prepare = ['prepare', '--data', 'scans', '--out', join('prepared', 'all')];
    expectError(await runOn('prepared', 60_000, prepare, { gpu: false }), /writeFile: prepared\/all\/compressed\/scan\d\d\.zip: /, full);
    const kept = filesBelow('prepared').filter((name) => name.endsWith('.zip'));
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.length).toBeLessThan(11);
    expect(filesBelow('prepared').filter((name) => name.endsWith('.tmp'))).toEqual([]);
    for (const name of kept) expect(Object.keys(unzipSync(readFileSync(at('prepared', 'all', 'compressed', name))))).toContain('volume.json');
    const again = await run(prepare, { gpu: false });
    expect(again.code, again.err).toBe(0);
    expect(again.out).toContain(`11 scans in ${join('prepared', 'all')}, ${kept.length} of them were there already`);
  }, limit);

  it('during phantom, whose threads write themselves, keeps whole volumes only, and phantom goes on from them', async () => {
    const phantom = ['phantom', '--out', join('drawn', 'all'), '--patients', '3', '--validation-patients', '1', '--seed', '3'];
    expectError(await runOn('drawn', 1_300_000, phantom, { gpu: false }), /writeFile: .*\.nii\.gz: /, full);
    const kept = filesBelow('drawn').filter((name) => name.endsWith('.nii.gz'));
    const bytes = bytesBelow('drawn');
    expect(bytes).toBeLessThanOrEqual(1_300_000);
    expect(kept.length).toBeGreaterThan(0);
    expect(filesBelow('drawn').filter((name) => name.endsWith('.tmp'))).toEqual([]);
    const again = await run(phantom, { gpu: false });
    expect(again.code, again.err).toBe(0);
    expect(filesBelow('drawn').filter((name) => name.endsWith('.nii.gz')).length).toBeGreaterThan(kept.length);
  }, limit);

  it('during the heat map of predict keeps the old picture and prints the scores', async () => {
    mkdirSync(at('pictures'));
    writeFileSync(at('pictures', 'heat.png'), 'old');
    const predict = ['predict', at('scans', 'scan05.nii.gz'), '--checkpoint', join('disk', 'run'), '--heat-map', join('pictures', 'heat.png')];
    for (const more of [[], ['--json']]) {
      const failed = await runOn('pictures', 500, [...predict, ...more]);
      expectError(failed, /writeFile: pictures\/heat\.png: /, full);
      expect(failed.out).toContain('Cardiomegaly');
      expect(failed.out).not.toContain('heat.png');
    }
    expect(readFileSync(at('pictures', 'heat.png'), 'utf8')).toBe('old');
    expect(filesBelow('pictures')).toEqual(['heat.png']);
  }, limit);
});

describe('a folder that this user may not write', () => {
  // Root may write anywhere: the command then runs as nobody, where nobody may read this checkout.
  const isRoot = process.getuid?.() === 0;
  const uid = isRoot ? 65534 : undefined;
  const readable = !isRoot || spawnSync(process.execPath, ['-e', `fs.readFileSync(${JSON.stringify(fileURLToPath(import.meta.url))})`], { uid, cwd: '/' }).status === 0;

  it.skipIf(process.platform === 'win32' || !readable)('is named by train, prepare and phantom, and stays as it was', async () => {
    mkdirSync(at('locked'));
    chmodSync(at('locked'), 0o555);
    chmodSync(cwd, 0o755);
    mkdirSync(at('cache'));
    if (uid !== undefined) chownSync(at('cache'), uid, uid);
    // SwiftShader is unpacked into the cache folder of the user who runs.
    const options: StartOptions = { ...(uid !== undefined && { uid }), env: { XDG_CACHE_HOME: at('cache'), HOME: at('cache') } };
    const locked = /locked.*this user may not do that there; choose a folder of your own, or change its permissions \(EACCES\)/;
    expectError(await run(['train', '--data', 'scans', '--steps', '3', '--batch', '2', '--out', join('locked', 'run')], options), locked);
    expectError(await run(['prepare', '--data', 'scans', '--out', join('locked', 'prepared')], { ...options, gpu: false }), locked);
    expectError(await run(['phantom', '--out', join('locked', 'phantom'), '--patients', '1', '--validation-patients', '0'], { ...options, gpu: false }), locked);
    expect(existsSync(at('locked', 'run'))).toBe(false);
    expect(filesBelow('locked')).toEqual([]);
  }, limit);
});
