import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode as decodePng } from 'fast-png';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LABELS } from '../../../src/data/index.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../src/train/index.ts';
import { ctSlice } from '../../support/dicom-series.ts';
import { writeDicom } from '../../support/dicom-writer.ts';
import { buildCommandLine, type CommandLine, type Finished } from '../../support/command-line.ts';
import { expectError, makeSmallCohort } from './small-cohort.ts';

const limit = 180_000;

describe('the command line', () => {
  let command: CommandLine;
  let cwd: string;
  const at = (...parts: string[]): string => join(cwd, ...parts);
  const run = (...args: string[]): Promise<Finished> => command.run(args, { cwd });
  const parse = (...args: string[]): Promise<Finished> => command.run(args, { cwd, gpu: false });
  const trainOn = (data: string, out: string, ...more: string[]): Promise<Finished> => run('train', '--data', data, '--steps', '3', '--batch', '2', '--out', out, ...more);

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'ct-lite-cli-'));
    command = await buildCommandLine('cli');
    makeSmallCohort(at('one-bad'), 11, 1);
    makeSmallCohort(at('two-bad'), 11, 2);
    writeFileSync(at('notes.txt'), 'this is no scan\n');
    const { code, err } = await trainOn('one-bad', 'run');
    expect(code, err).toBe(0);
    expect(err).toMatch(/skipped scan00: .*scan00/);
    expect(err).toContain('1 of 11 scans skipped');
  }, limit);

  afterAll(async () => {
    await command.remove();
    rmSync(cwd, { recursive: true, force: true });
  });

  it('one bad scan is named and counted in the report', () => {
    const report = readFileSync(at('run', 'report.html'), 'utf8');
    expect(report).toContain('scan00');
    expect(existsSync(at('run', 'checkpoint.safetensors'))).toBe(true);
  });

  it('more than a tenth bad scans stop train and prepare', async () => {
    expectError(await trainOn('two-bad', 'none'), /2 of 11 scans cannot be read, more than a tenth; first: .*scan0/);
    expect(existsSync(at('none'))).toBe(false);
    expectError(await parse('prepare', '--data', 'two-bad', '--out', 'prepared-two'), /2 of 11 scans are bad/);
  }, limit);

  it('prepare leaves one bad scan out, goes on where it was, and its volumes predict', async () => {
    const first = await parse('prepare', '--data', 'one-bad', '--out', 'prepared');
    expect(first.code, first.err).toBe(0);
    expect(first.out).toContain('10 scans in prepared; 1 bad, left out');
    expect((await parse('prepare', '--data', 'one-bad', '--out', 'prepared')).out).toContain('10 of them were there already');
    const { code, out, err } = await run('predict', at('prepared', 'compressed', 'scan03.zip'), '--checkpoint', 'run', '--json');
    expect(code, err).toBe(0);
    expect(Object.keys((JSON.parse(out) as { findings: object }).findings)).toEqual([...LABELS]);
  }, limit);

  it('predict writes 18 probabilities and a heat map', async () => {
    const { code, out, err } = await run('predict', at('one-bad', 'scan05.nii.gz'), '--checkpoint', 'run', '--heat-map', 'heat.png', '--json');
    expect(code, err).toBe(0);
    const values = Object.values((JSON.parse(out) as { findings: Record<string, number> }).findings);
    expect(values).toHaveLength(18);
    expect(values.every((value) => value > 0 && value < 1)).toBe(true);
    const { width, height, channels } = decodePng(readFileSync(at('heat.png')));
    expect([width % 256, height % 256, channels]).toEqual([0, 0, 3]);
  }, limit);

  it('DICOM folders and ZIPs are prepared and predicted, with a report', async () => {
    const slices = Object.fromEntries(Array.from({ length: 4 }, (_, k) => [`IM${k}`, writeDicom(ctSlice(k))]));
    mkdirSync(at('dicom', 'patient', 'series'), { recursive: true });
    for (const [name, bytes] of Object.entries(slices)) writeFileSync(at('dicom', 'patient', 'series', name), bytes);
    writeFileSync(at('dicom', 'zipped.zip'), zipSync(slices));
    writeFileSync(at('dicom', 'reports.csv'), 'VolumeName,Findings_EN\npatient,one\nzipped.zip,two\n');
    const prepared = await parse('prepare', '--data', 'dicom', '--out', 'prepared-dicom');
    expect(prepared.code, prepared.err).toBe(0);
    expect(prepared.out).toContain('2 scans in prepared-dicom');
    expect(readFileSync(at('prepared-dicom', 'compressed', 'patient.zip')).length).toBeGreaterThan(1000);
    const scores: number[][] = [];
    for (const scan of [join('dicom', 'patient'), join('dicom', 'zipped.zip')]) {
      const { code, out, err } = await run('predict', scan, '--checkpoint', 'run', '--out', 'reports', '--series', '1.2.3.4', '--json');
      expect(code, err).toBe(0);
      expect(err).toContain('warning: the scan covers only 10 mm head to foot');
      scores.push(Object.values((JSON.parse(out) as { findings: Record<string, number> }).findings));
    }
    expect(scores[0]).toEqual(scores[1]);
    const page = readFileSync(at('reports', 'patient.html'), 'utf8');
    expect(page.match(/src="data:image\/png;base64,/g)).toHaveLength(11);
    expect(page).not.toMatch(/(src|href)="(?!data:)/);
    for (const text of [...LABELS, 'the scan covers only 10 mm head to foot', 'Not a medical device']) expect(page).toContain(text);
    expect(JSON.parse(readFileSync(at('reports', 'zipped.json'), 'utf8'))).toMatchObject({ format: 'dicom' });
    expectError(await run('predict', join('dicom', 'patient'), '--checkpoint', 'run', '--series', '1.9'), /there is no series 1\.9; choose one of the 1/);
  }, limit);

  it('eval prints JSON of every label', async () => {
    const { code, out, err } = await run('eval', '--checkpoint', 'run', '--data', 'one-bad', '--split', 'all', '--json');
    expect(code, err).toBe(0);
    const { mean, labels } = JSON.parse(out) as { mean: { auroc: { value: number }; weightedF1: { value: number | null }; labels: number }; labels: unknown[] };
    expect(labels).toHaveLength(18);
    expect(mean.labels).toBe(18);
    expect(mean.auroc.value).toBeGreaterThanOrEqual(0);
    // Every scan is evaluated: there is nothing left to fit a threshold on.
    expect(mean.weightedF1.value).toBeNull();
  }, limit);

  it('data that are not there or have no usable CSV', async () => {
    expectError(await trainOn('nowhere', 'none'), /nowhere: the folder is missing; give the folder with the scans/);
    writeFileSync(at('bad.csv'), 'Name,Text\nscan01,hello\n');
    expectError(await trainOn('one-bad', 'none', '--reports', at('bad.csv')), /bad\.csv.*VolumeName/);
    expectError(await trainOn('one-bad', 'none', '--reports', at('absent.csv')), /absent\.csv: the file is missing/);
    writeFileSync(at('unknown.csv'), 'VolumeName,Findings_EN\nother.nii.gz,hello\n');
    expectError(await trainOn('one-bad', 'none', '--reports', at('unknown.csv')), /no scan has a report.*scan.*other/);
    expect(existsSync(at('none'))).toBe(false);
  }, limit);

  it('a run folder that is taken, that holds no run or cannot be one', async () => {
    const before = readFileSync(at('run', 'config.json'));
    expectError(await trainOn('one-bad', 'run'), /run: holds a run already; go on with it by --resume run, or choose another --out/);
    expect(readFileSync(at('run', 'config.json'))).toEqual(before);
    expectError(await run('train', '--resume', 'one-bad'), /one-bad: holds no run \(no config\.json\)/);
    expectError(await trainOn('one-bad', join('notes.txt', 'run')), /notes\.txt.*(ENOTDIR|not a folder)/);
  }, limit);

  it('checkpoints that are cut, foreign or missing', async () => {
    const scan = at('one-bad', 'scan05.nii.gz');
    const good = readFileSync(at('run', 'checkpoint.safetensors'));
    writeFileSync(at('cut.safetensors'), good.subarray(0, good.length / 2));
    expectError(await run('predict', scan, '--checkpoint', 'cut.safetensors'), /cut\.safetensors: the file is damaged/);
    writeFileSync(at('foreign.safetensors'), encodeSafetensors({ weight: { dtype: 'F32', shape: [1], data: new Float32Array(1) } }));
    expectError(await run('predict', scan, '--checkpoint', 'foreign.safetensors'), /foreign\.safetensors: is no CT-Lite checkpoint/);
    expectError(await run('eval', '--data', 'one-bad', '--checkpoint', 'foreign.safetensors'), /foreign\.safetensors: is no CT-Lite checkpoint/);
    expectError(await run('predict', scan, '--checkpoint', 'absent.safetensors'), /absent\.safetensors: there is no such run or checkpoint/);
    expectError(await parse('predict', scan, '--checkpoint', 'one-bad'), /one-bad: the folder has no checkpoint\.safetensors/);
    expectError(await run('predict', scan, '--checkpoint', 'notes.txt'), /notes\.txt: this is not a safetensors file/);
    // Before a scan is read: neither an adapter nor a cohort is needed to say it.
    expectError(await parse('train', '--data', 'one-bad', '--init', 'absent', '--out', 'none'), /absent: there is no such run or checkpoint/);
    expectError(await parse('train', '--data', 'one-bad', '--init', 'run', '--preset', 'small', '--out', 'none'), /--init .*checkpoint\.safetensors: has preset tiny, this run small/);
    expectError(await parse('train', '--data', 'one-bad', '--vocab', 'notes.txt', '--out', 'none'), /--vocab notes\.txt: .*a BERT vocabulary needs \[PAD\]/);
    expectError(await parse('predict', scan, '--checkpoint', 'run', '--heat-map', 'heat.jpg'), /heat\.jpg: the picture is a PNG/);
    expect(existsSync(at('none'))).toBe(false);
    mkdirSync(at('broken'));
    writeFileSync(at('broken', 'config.json'), readFileSync(at('run', 'config.json')));
    writeFileSync(at('broken', 'checkpoint.safetensors'), good.subarray(0, 1000));
    expectError(await run('train', '--resume', 'broken'), /broken.checkpoint\.safetensors: the file is damaged/);
    expect(decodeSafetensors(readFileSync(at('run', 'checkpoint.safetensors')), 'run').metadata.format).toBe('ct-lite-checkpoint');
  }, limit);

  it('flags that contradict the run to go on with', async () => {
    const before = readFileSync(at('run', 'checkpoint.safetensors'));
    expectError(await parse('train', '--resume', 'run', '--batch', '5', '--steps', '9', '--no-label-prompts'), /run: the run goes on .*--no-label-prompts was given where the run has --label-prompts; --steps 9 was given where the run has 3; --batch 5 was given where the run has 2\. Leave these flags out/);
    expectError(await parse('train', '--resume', 'run', '--data', 'two-bad'), /--data two-bad was given where the run has one-bad\. Leave this flag out, .*--init run .*where the data have moved, change "source" in run\/config\.json/);
    expect(Buffer.compare(readFileSync(at('run', 'checkpoint.safetensors')), before)).toBe(0);
    // What agrees, and what may differ, is taken.
    const { code, err } = await run('train', '--resume', 'run', '--batch', '2', '--data', at('one-bad'), '--learning-rate', '1e-5');
    expect(code, err).toBe(0);
    expect(err).toContain('resuming after step 3 of 3');
  }, limit);

  it('a run goes on from another folder with the scans it began with', async () => {
    mkdirSync(at('elsewhere', 'deep'), { recursive: true });
    const from = (folder: string, ...args: string[]): Promise<Finished> => command.run(args, { cwd: at('elsewhere', ...folder.split('/')) });
    const { code, err } = await from('deep', 'train', '--resume', join('..', '..', 'run'));
    expect(code, err).toBe(0);
    expect(err).toContain('cohort one-bad:');
    const config = JSON.parse(readFileSync(at('run', 'config.json'), 'utf8')) as { source: { data: string }; startedIn: string };
    expect(config.source.data).toBe('one-bad');
    // Where they are in neither place the run is named, and what to change.
    mkdirSync(at('moved'));
    writeFileSync(at('moved', 'config.json'), JSON.stringify({ ...config, source: { data: 'gone' } }));
    expectError(await from('deep', 'train', '--resume', join('..', '..', 'moved')), /moved: its scans gone are not in .*, where the run was started, or here; where they have moved, change "source" in .*moved.config\.json/);
  }, limit);

  it('scans without any table are prepared and embedded', async () => {
    mkdirSync(at('bare'));
    for (const name of ['scan03', 'scan04']) writeFileSync(at('bare', `${name}.nii.gz`), readFileSync(at('one-bad', `${name}.nii.gz`)));
    const prepared = await parse('prepare', '--data', 'bare', '--out', 'bare-prepared');
    expect(prepared.code, prepared.err).toBe(0);
    expect(prepared.out).toContain('2 scans in bare-prepared');
    const embedded = await run('embed', '--checkpoint', 'run', '--data', 'bare', '--out', 'bare-embedded');
    expect(embedded.code, embedded.err).toBe(0);
    expect(embedded.out).toContain('2 volumes and 36 texts');
    expectError(await trainOn('bare', 'none'), /neither a reports CSV .* nor a labels CSV is found/);
  }, limit);

  it('flags that have no meaning together', async () => {
    expectError(await parse('train', '--reports', 'one-bad/reports.csv', '--out', 'none'), /--reports needs --data/);
    expectError(await parse('train', '--data', 'one-bad', '--patients', '3', '--out', 'none'), /--patients is of the phantom cohort, but --data gives one-bad; leave one of them out/);
    expect(existsSync(at('none'))).toBe(false);
  }, limit);

  it('scans that are none', async () => {
    expectError(await run('predict', 'notes.txt', '--checkpoint', 'run'), /notes\.txt: a scan must be NIfTI/);
    expectError(await run('predict', at('one-bad', 'scan00.nii.gz'), '--checkpoint', 'run'), /scan00\.nii\.gz/);
    expectError(await run('predict', 'absent.nii.gz', '--checkpoint', 'run'), /absent\.nii\.gz.*no such file/);
  }, limit);

  it('a stage without the teacher it distils', async () => {
    expectError(await trainOn('one-bad', 'none', '--stage', 'fast'), /stage "fast" needs a teacher; run stage "teacher" first, give --init/);
    expect(existsSync(at('none'))).toBe(false);
    const teacher = await trainOn('one-bad', 'teacher', '--stage', 'teacher');
    expect(teacher.code, teacher.err).toBe(0);
    expect((JSON.parse(readFileSync(at('teacher', 'evaluation.json'), 'utf8')) as { student: unknown }).student).toBeNull();
    expectError(await run('predict', at('one-bad', 'scan05.nii.gz'), '--checkpoint', 'teacher'), /holds no student yet/);
    const fast = await trainOn('one-bad', 'fast', '--stage', 'fast', '--init', 'teacher');
    expect(fast.code, fast.err).toBe(0);
    expectError(await trainOn('one-bad', 'none', '--init', 'teacher', '--head', 'dense'), /has sfp projection heads, this run dense/);
    expect(existsSync(at('none'))).toBe(false);
  }, limit);

  it('wrong usage ends with 2 and a hint at --help', async () => {
    for (const args of [['train', '--learning-rate', 'abc'], ['train', '--learning-rate', '-1'], ['train', '--steps', '0'], ['train', '--preset', 'huge'], ['train', '--quality', '101'], ['predict'], ['nonsense'], ['train', '--unknown']]) {
      const { code, err } = await parse(...args);
      expect(code, `${args.join(' ')}: ${err}`).toBe(2);
      expect(err).toContain('--help');
    }
  }, limit);
});
