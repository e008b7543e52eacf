import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildVocabulary, findCohortFiles, LABELS } from '../../../src/data/index.ts';
import { nodeFiles } from '../../../src/platform/node-files.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../src/train/index.ts';
import { writeBertFolder } from '../../support/bert-folder.ts';
import { buildCommandLine, type CommandLine, type Finished } from '../../support/command-line.ts';

const limit = 240_000;
const phantoms = join('runs', 'phantom-seed3-6+3');
const train = ['train', '--patients', '6', '--validation-patients', '3', '--steps', '4', '--batch', '2', '--seed', '3', '--head', 'dense', '--text-tower', 'bert', '--freeze-text'];

describe('text tower, compress-head and embed on the command line', () => {
  let command: CommandLine;
  let cwd: string;
  const at = (...parts: string[]): string => join(cwd, ...parts);
  const table = (path: string): string[][] => readFileSync(at(path), 'utf8').trimEnd().split('\n').map((line) => line.split(','));
  const embeddings = (path: string): { rows: Float32Array[]; ids: string[] } => {
    const { tensors, metadata } = decodeSafetensors(readFileSync(at(path)), path);
    const { shape: [count, length], data } = tensors.embeddings!;
    return { rows: Array.from({ length: count! }, (_, row) => (data as Float32Array).slice(row * length!, (row + 1) * length!)), ids: JSON.parse(metadata.ids!) as string[] };
  };
  const done = async (...args: string[]): Promise<Finished> => {
    const finished = await command.run(args, { cwd, gpu: args[0] !== 'compress-head' });
    expect(finished.code, finished.err).toBe(0);
    return finished;
  };

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'ct-lite-text-'));
    command = await buildCommandLine('text');
    // Letters alone spell every report.
    await writeBertFolder(nodeFiles, at('bert'), { vocabTxt: buildVocabulary([]) });
    const { err } = await done(...train, '--out', 'run');
    expect(err).toMatch(/text tower bert: \d+ parameters, 2 layers of 16, frozen; left out of its file: pooler\.dense\.bias, pooler\.dense\.weight/);
  }, limit);

  afterAll(async () => {
    await command.remove();
    rmSync(cwd, { recursive: true, force: true });
  });

  it('a second run finds what the tower gave, and computes the same losses', async () => {
    expect(existsSync(at('text-cache'))).toBe(true);
    const { err } = await done(...train, '--out', 'again');
    expect(err).toMatch(/\d+ texts that the tower has read are in text-cache/);
    const losses = (run: string): unknown[] => readFileSync(at(run, 'metrics.jsonl'), 'utf8').trimEnd().split('\n').map((line) => (JSON.parse(line) as { losses?: unknown }).losses);
    expect(losses('again')).toEqual(losses('run'));
  }, limit);

  it('compress-head writes a checkpoint that eval and predict load', async () => {
    const { out } = await done('compress-head', 'run', '--out', 'small/head.safetensors', '--keep', '0.5', '--json');
    const report = JSON.parse(out) as { rank: number; heads: { head: string; relativeError: number; parametersBefore: number; parametersAfter: number }[] };
    // 64 → 64 and 16 → 64 with blocks of 16 × 16: r = 4 keeps half of the weights, and 64 of bias stay.
    expect(report.rank).toBe(4);
    expect(report.heads.find(({ head }) => head === 'student.imageHead')).toMatchObject({ parametersBefore: 64 * 64 + 64, parametersAfter: (64 * 64) / 2 + 64 + 2 });
    for (const { relativeError } of report.heads) expect(relativeError).toBeGreaterThan(0.05);
    const evaluated = await done('eval', '--checkpoint', 'small/head.safetensors', '--data', phantoms, '--split', 'all', '--json');
    expect((JSON.parse(evaluated.out) as { labels: unknown[] }).labels).toHaveLength(18);
    const scan = await firstScan();
    const findings = async (checkpoint: string): Promise<Record<string, number>> => (JSON.parse((await done('predict', scan, '--checkpoint', checkpoint, '--json')).out) as { findings: Record<string, number> }).findings;
    expect(Object.keys(await findings('small/head.safetensors'))).toEqual([...LABELS]);
    await done('compress-head', 'run', '--out', 'full.safetensors', '--rank', '16');
    const [dense, full] = [await findings('run'), await findings('full.safetensors')];
    for (const label of LABELS) expect(Math.abs(full[label]! - dense[label]!)).toBeLessThan(1e-4);
    const refused = await command.run(['compress-head', 'run', '--out', 'full.safetensors'], { cwd, gpu: false });
    expect([refused.code, refused.err]).toEqual([1, 'error: --out full.safetensors: a file of that name is there already; choose another, or remove it\n']);
  }, limit);

  it('embed gives the vectors that predict scores with, rows named in CSV', async () => {
    const { out } = await done('embed', '--checkpoint', 'run', '--data', phantoms, '--out', 'embeddings');
    const [volumes, texts] = [embeddings('embeddings/volumes.safetensors'), embeddings('embeddings/texts.safetensors')];
    const [volumeTable, textTable] = [table('embeddings/volumes.csv'), table('embeddings/texts.csv')];
    expect(out).toBe(`${volumes.rows.length} volumes and ${texts.rows.length} texts in embeddings\n`);
    expect(volumeTable[0]).toEqual(['row', 'id', 'patient', 'split', 'report_row']);
    expect(textTable[0]).toEqual(['row', 'kind', 'id', 'text']);
    expect(volumeTable.slice(1).map(([row, id]) => [Number(row), id])).toEqual(volumes.ids.map((id, row) => [row, id]));
    expect(textTable).toHaveLength(texts.rows.length + 1);
    expect(textTable.filter(([, kind]) => kind === 'prompt')).toHaveLength(2 * LABELS.length);
    // What reports say stays where it is.
    for (const [, kind, , text] of textTable.slice(1)) expect(text !== '').toBe(kind === 'prompt');
    for (const [, , , split, report] of volumeTable.slice(1)) {
      expect(['train', 'validation', 'test']).toContain(split);
      expect(textTable[Number(report) + 1]![1]).toBe('report');
    }
    for (const vector of [...volumes.rows, ...texts.rows]) expect(Math.abs(Math.hypot(...vector) - 1)).toBeLessThan(1e-5);
    expect(existsSync(at('embeddings', 'parts'))).toBe(false);

    const record = JSON.parse(readFileSync(at('embeddings', 'embed.json'), 'utf8')) as { scale: number; complete: boolean };
    expect(record.complete).toBe(true);
    const scan = await firstScan();
    const { findings } = JSON.parse((await done('predict', scan, '--checkpoint', 'run', '--json')).out) as { findings: Record<string, number> };
    const volume = volumes.rows[volumes.ids.findIndex((id) => scan.includes(id))]!;
    const prompt = (text: string): Float32Array => texts.rows[Number(textTable.find((line) => line[3] === text)![0])]!;
    const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
    for (const label of LABELS) {
      const score = 1 / (1 + Math.exp(-record.scale * (dot(volume, prompt(`${label} is present.`)) - dot(volume, prompt(`${label} is not present.`)))));
      expect(Math.abs(score - findings[label]!)).toBeLessThan(1e-4);
    }
  }, limit);

  it('embed goes on from what a killed job left, and refuses a folder of other embeddings', async () => {
    // As a kill leaves it: a part with two of the scans, nothing else whole. The marked vector shows that it was not made again.
    const whole = readFileSync(at('embeddings', 'volumes.safetensors'));
    const { rows, ids } = embeddings('embeddings/volumes.safetensors');
    const marked = new Float32Array(rows[0]!.length).fill(0.125);
    const part = encodeSafetensors({ embeddings: { dtype: 'F32', shape: [2, marked.length], data: Float32Array.from([...rows[3]!, ...marked]) } }, { format: 'ct-lite-embeddings', ids: JSON.stringify([ids[3], ids[1]]) });
    for (const file of ['volumes.safetensors', 'volumes.csv', 'texts.csv']) rmSync(at('embeddings', file));
    mkdirSync(at('embeddings', 'parts'));
    writeFileSync(at('embeddings', 'parts', 'volumes-00000.safetensors'), part);
    await done('embed', '--checkpoint', 'run', '--data', phantoms, '--out', 'embeddings');
    const again = embeddings('embeddings/volumes.safetensors');
    expect(again.ids).toEqual(ids);
    expect(again.rows[1]).toEqual(marked);
    expect(again.rows[0]).toEqual(rows[0]);
    expect(existsSync(at('embeddings', 'parts'))).toBe(false);
    writeFileSync(at('embeddings', 'volumes.safetensors'), whole);

    const other = await command.run(['embed', '--checkpoint', 'full.safetensors', '--data', phantoms, '--out', 'embeddings'], { cwd });
    expect(other.code).toBe(1);
    expect(other.err).toContain('embeddings: holds embeddings of another checkpoint');
    const quality = await command.run(['embed', '--checkpoint', 'run', '--data', phantoms, '--out', 'embeddings', '--quality', '10'], { cwd });
    expect(quality.err).toContain('holds embeddings of another quality (75, now 10)');
    expect(readFileSync(at('embeddings', 'volumes.safetensors'))).toEqual(whole);
  }, limit);

  it.each([
    [['train', '--freeze-text'], 1, 'error: --freeze-text: takes a text tower with weights'],
    [['train', '--text-tower', 'bert', '--vocab', 'bert/vocab.txt'], 2, "option '--text-tower <folder>' cannot be used with option '--vocab <file>'"],
    [['train', '--text-tower', 'nowhere', '--data', phantoms], 1, 'error: openTextTower: nowhere: holds no config.json'],
    [['compress-head', 'run', '--out', 'x.safetensors', '--rank', '2', '--keep', '0.5'], 2, "option '--rank <r>' cannot be used with option '--keep <fraction>'"],
    [['compress-head', 'run', '--out', 'x'], 1, 'error: --out x: must end in .safetensors'],
    [['compress-head', 'run', '--out', 'x.safetensors', '--keep', '2'], 2, 'It must be a number above 0 and at most 1.'],
  ] as const)('%j is refused', async (args, code, message) => {
    const finished = await command.run(args, { cwd, gpu: args[0] === 'train' });
    expect(finished.code).toBe(code);
    expect(finished.err).toContain(message);
  }, limit);

  const firstScan = async (): Promise<string> => (await findCohortFiles(nodeFiles, at(phantoms))).scans[0]!.path;
});
