import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { buildVocabulary, bytesAccess, decodeScan, LABELS, labelPrompts, loadTokenizer, openWeights } from '../../../src/data/index.ts';
import { loadCtClip } from '../../../src/model/index.ts';
import { nodeFiles } from '../../../src/platform/node-files.ts';
import { expectClose } from '../../support/arrays.ts';
import { writeBertFolder } from '../../support/bert-folder.ts';
import { buildCommandLine, type CommandLine, type Finished } from '../../support/command-line.ts';
import { writeCtClipFile } from '../../support/ct-clip-file.ts';
import { testEngine } from '../../support/engine.ts';
import { expectError, makeSmallCohort } from './small-cohort.ts';

const limit = 240_000;
const imageOnly = fileURLToPath(new URL('../../fixtures/model/ct-clip-cube.safetensors', import.meta.url));
const vocabTxt = buildVocabulary([]); // letters alone spell every text
const grid = { shape: [8, 16, 16], spacingMm: [45, 22.5, 22.5] } as const;

describe('CT-CLIP as baseline on the command line', () => {
  let command: CommandLine;
  let cwd: string;
  const at = (...parts: string[]): string => join(cwd, ...parts);
  const run = (...args: string[]): Promise<Finished> => command.run(args, { cwd });
  const done = async (...args: string[]): Promise<Finished> => {
    const finished = await run(...args);
    expect(finished.code, finished.err).toBe(0);
    return finished;
  };
  const clip = ['--ct-clip', 'clip.safetensors', '--tokenizer', 'bert'];
  const few = ['--resamples', '20'];
  const table = (path: string): string[][] => readFileSync(at(path), 'utf8').trimEnd().split('\n').map((line) => line.split(','));

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'ct-lite-baseline-'));
    command = await buildCommandLine('baseline');
    makeSmallCohort(at('scans'), 14);
    await writeBertFolder(nodeFiles, at('bert'), { vocabTxt });
    writeCtClipFile(at('clip.safetensors'), at('bert', 'model.safetensors'));
    await done('eval', ...clip, '--data', 'scans', '--out', 'clip', ...few);
  }, limit);

  afterAll(async () => {
    await command.remove();
    rmSync(cwd, { recursive: true, force: true });
  });

  /** A scan's 18 scores step by step: CT-CLIP's grid and axes, uncompressed, no averaging; softmax over each pair of prompts. */
  async function scoresOf(id: string): Promise<number[]> {
    const engine = await testEngine();
    const model = await loadCtClip(engine, await openWeights(bytesAccess(new Uint8Array(readFileSync(at('clip.safetensors')))), 'clip'), { text: { heads: 2 } });
    const { values } = await decodeScan(new Uint8Array(readFileSync(at('scans', `${id}.nii.gz`))), id, { shape: [...grid.shape], spacingMm: [...grid.spacingMm] }, { antialias: false });
    const turned = values.map((_, index) => values[Math.floor(index / 256) * 256 + (index % 16) * 16 + (Math.floor(index / 16) % 16)]!);
    const tokens = loadTokenizer({ vocabTxt }).encodeBatch(LABELS.flatMap((label) => [labelPrompts(label).positive, labelPrompts(label).negative]), 64);
    try {
      return await engine.scope(async () => {
        const { latent } = model.encode(engine.tensor(Float32Array.from(turned), [1, 1, 8, 16, 16]));
        const pairs = await ops.softmax(ops.reshape(model.logits(latent, model.encodeText(tokens)), [LABELS.length, 2])).toArray();
        return [...pairs].filter((_, index) => index % 2 === 0);
      });
    } finally {
      model.dispose();
    }
  }

  it('eval scores each scan as CT-CLIP does, through the same protocol and files', async () => {
    const [head, ...rows] = table('clip/scores.csv');
    expect(head).toEqual(['id', 'patient', 'split', ...LABELS]);
    expect(new Set(rows.map((row) => row[2]))).toEqual(new Set(['validation', 'test']));
    for (const [id, , , ...scores] of rows) expectClose(scores.map(Number), await scoresOf(id!), 1e-5, id);
    expect(new Set(rows.flatMap((row) => row.slice(3))).size).toBeGreaterThan(rows.length); // not one number for all
    const evaluation = JSON.parse(readFileSync(at('clip/evaluation.json'), 'utf8')) as { name: string; facts: Record<string, string> | [string, string][]; mean: { auroc: number | null; classification: object | null }; retrieval: object | null };
    expect(evaluation.name).toBe('clip');
    expect(JSON.stringify(evaluation.facts)).toMatch(/CT-CLIP, input 8 × 16 × 16 at 45 × 22\.5 × 22\.5 mm, uncompressed input; \d+ tokens of bert/);
    expect(evaluation.mean.auroc).not.toBeNull();
    expect(evaluation.mean.classification).not.toBeNull(); // thresholds from validation
    expect(evaluation.retrieval).not.toBeNull();
    expect(readFileSync(at('clip/evaluation.html'), 'utf8')).toContain('Evaluation of clip');
  }, limit);

  it('is compared with a run of ct-lite, and a run with its scores', async () => {
    await done('train', '--data', 'scans', '--steps', '3', '--batch', '2', '--out', 'run');
    type Json = { comparison: { a: string; b: string; mean: { test: { a: number; b: number } | null } } };
    const compare = async (...args: string[]): Promise<Json['comparison']> => (JSON.parse((await done('eval', '--data', 'scans', '--split', 'all', '--json', ...few, ...args)).out) as Json).comparison;
    const [first, second] = [await compare(...clip, '--compare', 'run', '--out', 'a'), await compare('--checkpoint', 'run', '--compare', 'a', '--out', 'b')];
    expect([first.a, first.b]).toEqual(['clip', 'run student']);
    expect([second.a, second.b]).toEqual(['run student', 'a']);
    const scores = (folder: string): Map<string, string[]> => new Map(table(`${folder}/scores.csv`).map(([id, , , ...row]) => [id!, row]));
    const all = scores('a');
    expect(all.size).toBe(15);
    for (const [id, row] of scores('clip')) expect(all.get(id)).toEqual(row);
    const means = [first.mean.test!, second.mean.test!] as const;
    expect([means[0].a, means[0].b]).toEqual([means[1].b, means[1].a]);
  }, limit);

  it('predict gives the same scores, and a report without attention', async () => {
    const { out } = await done('predict', at('scans', 'scan05.nii.gz'), ...clip, '--out', 'reports', '--json');
    const prediction = JSON.parse(out) as { findings: Record<string, number>; quality: number | null; preset: string | null; model: string };
    expectClose(LABELS.map((label) => prediction.findings[label]!), await scoresOf('scan05'), 1e-5);
    expect(prediction).toMatchObject({ quality: null, preset: null });
    const report = readFileSync(at('reports', 'scan05.html'), 'utf8');
    expect(report).toContain('uncompressed input');
    expect(report).not.toContain('attended to');
    expectError(await command.run(['predict', 'x.nii.gz', ...clip, '--heat-map', 'heat.png'], { cwd, gpu: false }), /--heat-map draws the attention of the pooling, and CT-CLIP has none/);
    expectError(await command.run(['predict', 'x.nii.gz'], { cwd, gpu: false }), /predict: needs --checkpoint, or --ct-clip and --tokenizer/);
  }, limit);

  it('reads only the scans that it evaluates', async () => {
    const evaluated = new Set(table('clip/scores.csv').map(([id]) => id));
    makeSmallCohort(at('partly'), 14);
    for (let n = 0; n < 14; n++) {
      const id = `scan${String(n).padStart(2, '0')}`;
      if (!evaluated.has(id)) writeFileSync(at('partly', `${id}.nii.gz`), 'no scan');
    }
    const { err } = await done('eval', ...clip, '--data', 'partly', '--no-retrieval', '--out', 'partly-eval', ...few);
    expect(err).not.toContain('skipped');
    expect(readFileSync(at('partly-eval/scores.csv'), 'utf8')).toBe(readFileSync(at('clip/scores.csv'), 'utf8'));
  }, limit);

  it('says when it was given compressed scans, and when the vocabulary is hardly its own', async () => {
    await done('prepare', '--data', 'scans', '--out', 'prepared');
    mkdirSync(at('moved'));
    const tokens = vocabTxt.trimEnd().split('\n');
    const moved = [...tokens.slice(0, 2), ...tokens.slice(3), tokens[2]!];
    await writeBertFolder(nodeFiles, at('moved'), { vocabTxt: `${moved.join('\n')}\n` });
    const { err } = await done('eval', '--ct-clip', 'clip.safetensors', '--tokenizer', 'moved', '--data', 'prepared', '--labels', 'scans/labels.csv', '--split', 'all', '--no-retrieval', '--out', 'jpeg', ...few);
    expect(err).toMatch(new RegExp(`warning: The vocabulary has \\[CLS\\] at ${tokens.length - 1}, CXR-BERT's at 2`));
    const { notes } = JSON.parse(readFileSync(at('jpeg/evaluation.json'), 'utf8')) as { notes: string[] };
    expect(notes.join('\n')).toContain('14 of 14 scans are JPEG volumes: CT-CLIP, the baseline on uncompressed scans, read them compressed');
    expect(notes.join('\n')).toContain('The vocabulary has [CLS]');
  }, limit);

  it('says what does not fit, before anything is scored', async () => {
    const refuse = async (message: RegExp, ...args: string[]): Promise<void> => expectError(await run('eval', '--data', 'scans', '--out', 'none', ...args), message);
    const vocabulary = vocabTxt.trimEnd().split('\n').length;
    await writeBertFolder(nodeFiles, at('longer'), { vocabTxt: `${vocabTxt}more\n`, config: { vocab_size: vocabulary } });
    await writeBertFolder(nodeFiles, at('bare'), { vocabTxt });
    rmSync(at('bare', 'config.json'));
    await writeBertFolder(nodeFiles, at('deeper'), { vocabTxt, config: { num_hidden_layers: 3 } });
    mkdirSync(at('empty'));
    await refuse(/--ct-clip needs --tokenizer, the folder with the vocabulary of its text tower/, '--ct-clip', 'clip.safetensors');
    await refuse(/--tokenizer is CT-CLIP's/, '--checkpoint', 'run', '--tokenizer', 'bert');
    await refuse(/--ct-clip stands in place of --checkpoint/, ...clip, '--checkpoint', 'run');
    await refuse(/--model chooses within a checkpoint of ct-lite/, ...clip, '--model', 'teacher');
    await refuse(/empty: holds neither vocab\.txt nor tokenizer\.json/, '--ct-clip', 'clip.safetensors', '--tokenizer', 'empty');
    await refuse(/none\.pt: no such file/, '--ct-clip', 'none.pt', '--tokenizer', 'bert');
    await refuse(/ct-clip-cube\.safetensors: the file holds no text tower \(tensor "text_transformer\.embeddings\.word_embeddings\.weight" is missing\)/, '--ct-clip', imageOnly, '--tokenizer', 'bert');
    await refuse(new RegExp(`longer: the tokenizer has ${vocabulary + 1} tokens, the text tower of clip\\.safetensors has ${vocabulary}; give the vocabulary that the checkpoint was trained with`), '--ct-clip', 'clip.safetensors', '--tokenizer', 'longer');
    await refuse(/the shapes of a BERT of width 16 do not tell its heads; give num_attention_heads of its config\.json/, '--ct-clip', 'clip.safetensors', '--tokenizer', 'bare');
    await refuse(/deeper.config\.json: num_hidden_layers is 3, 2 in clip\.safetensors; give the folder/, '--ct-clip', 'clip.safetensors', '--tokenizer', 'deeper');
    expect(existsSync(at('none'))).toBe(false);
  }, limit);
});
