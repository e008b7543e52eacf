/**
 * A cohort as embeddings: `volumes.safetensors` and `texts.safetensors` with their indices as CSV, and `embed.json`, what they were made
 * with. For retrieval, probes and statistics on machines without a GPU.
 */
import { createHash } from 'node:crypto';
import { formatCsv, LABELS, labelPrompts, openCohort, type CohortScan, type Cohort } from '../data/index.ts';
import { presets, type CtLite } from '../model/index.ts';
import type { DecodePool } from '../platform/node-decode-pool.ts';
import { nodeFiles } from '../platform/node-files.ts';
import type { Progress } from '../platform/progress.ts';
import { embedReports, embedVolumes, encodePrompts, type RunState, type VolumeValues } from '../train/index.ts';
import { cohortOptions, decodeJob, type CohortSource } from './cohort-session.ts';
import { EmbeddingStore } from './embedding-store.ts';
import { Interrupted } from './interrupt.ts';
import { MOST_BAD } from './prepare-cohort.ts';
import { packageVersion } from './versions.ts';

export interface EmbedOptions {
  out: string;
  source: CohortSource;
  split: CohortScan['split'] | 'all';
  which: 'student' | 'teacher';
  /** JPEG quality, or null for uncompressed input. */
  quality: number | null;
  checkpoint: { file: string; bytes: Uint8Array };
  state: RunState;
  pool: DecodePool;
  /** Makes the display of one part of the work. */
  progress: (title: string, total: number, start: number) => Progress;
  signal: AbortSignal;
}

export interface EmbedSummary {
  volumes: number;
  texts: number;
  skipped: { id: string; reason: string }[];
  problems: string[];
}

const RECORD_FILE = 'embed.json';
/** Reports a run of the text tower. */
const REPORT_BATCH = 16;

/**
 * Embeds every scan, report and prompt that is not embedded yet.
 * @throws where the folder holds embeddings of another checkpoint, model or quality, or where more than a tenth of the scans are bad
 */
export async function embedCohort(options: EmbedOptions): Promise<EmbedSummary> {
  const { out, state, which, split, source } = options;
  const model = state[which]!;
  const { latent } = presets[state.config.preset].head;
  const cohort = await openCohort(nodeFiles, { ...(await cohortOptions(source, state.config.seed)), withoutTables: true });
  const scans = cohort.scans.filter((scan) => split === 'all' || scan.split === split);
  if (!scans.length) throw new Error(`embed: the cohort has no scan in split "${split}"; choose another --split`);
  await nodeFiles.makeDirectory(out);
  const record = await openRecord(options);
  const [volumes, texts] = [await EmbeddingStore.open(out, 'volumes', latent), await EmbeddingStore.open(out, 'texts', latent)];

  const skipped = await embedScans(scans, volumes, model, options);
  const bad = new Set(skipped.map(({ id }) => id));
  const good = scans.filter(({ id }) => !bad.has(id));
  const index = await embedTexts(good, texts, model, options);

  await volumes.finish(good.map(({ id }) => id));
  await texts.finish(index.map(({ id }) => id));
  const textRow = new Map(index.map(({ id }, row) => [id, row]));
  await writeCsv(nodeFiles.join(out, 'volumes.csv'), [['row', 'id', 'patient', 'split', 'report_row'], ...good.map((scan, row) => [row, scan.id, scan.patientId, scan.split, textRow.get(reportKey(scan)) ?? ''])]);
  await writeCsv(nodeFiles.join(out, 'texts.csv'), [['row', 'kind', 'id', 'text'], ...index.map(({ id, kind, text }, row) => [row, kind, id.slice(kind.length + 1), text])]);
  await writeRecord(out, { ...record, complete: true, volumes: good.length, texts: index.length, skipped });
  for (const store of [volumes, texts]) await store.removeParts();
  return { volumes: good.length, texts: index.length, skipped, problems: cohort.problems };
}

async function embedScans(scans: Cohort['scans'], store: EmbeddingStore, model: CtLite, { state, quality, pool, progress: start, signal }: EmbedOptions): Promise<EmbedSummary['skipped']> {
  const { grid, antialias } = presets[state.config.preset];
  const todo = scans.filter(({ id }) => !store.has(id));
  const skipped: EmbedSummary['skipped'] = [];
  let done = scans.length - todo.length;
  const progress = start('embedding scans', scans.length, done);
  let batch: { id: string; values: Float32Array; grey?: Uint8Array }[] = [];
  const flush = async (): Promise<void> => {
    if (!batch.length) return;
    const size = batch[0]!.values.length;
    const isGrey = batch.every(({ grey }) => grey);
    const input: VolumeValues = isGrey ? new Uint8Array(batch.length * size) : new Float32Array(batch.length * size);
    batch.forEach(({ values, grey }, row) => input.set(isGrey ? grey! : values, row * size));
    const vectors = await embedVolumes(model.logScale.engine, model, input, grid.shape);
    for (const [row, { id }] of batch.entries()) await store.add(id, vectors[row]!);
    progress.update((done += batch.length));
    batch = [];
  };
  try {
    for await (const { job, scan, error } of pool.stream(todo.map((scan) => ({ id: scan.id, ...decodeJob(scan), grid, antialias, ...(quality !== null && { quality }) })))) {
      if (signal.aborted) throw new Interrupted('interrupted; the same command again goes on');
      if (error) {
        skipped.push({ id: job.id, reason: error.message });
        progress.note(`skipped ${job.id}: ${error.message}`);
        progress.update(++done);
        if (skipped.length > Math.max(1, MOST_BAD * scans.length) || skipped.length === scans.length) {
          throw new Error(`embed: ${skipped.length} of ${scans.length} scans cannot be read, more than a tenth; first: ${skipped[0]!.reason}. Mend or remove them, then run again to go on`);
        }
        continue;
      }
      for (const warning of scan.warnings) progress.note(`${job.id}: ${warning}`);
      batch.push({ id: job.id, values: scan.values, ...(scan.grey && { grey: scan.grey }) });
      if (batch.length === state.config.batch) await flush();
    }
    await flush();
  } finally {
    progress.stop();
    await store.save();
  }
  return skipped;
}

interface TextRow {
  /** `report-…` or `prompt-…`. */
  id: string;
  kind: 'report' | 'prompt';
  /** Of prompts; reports stay where they are. */
  text: string;
}

const reportKey = ({ reportId }: CohortScan): string => `report-${reportId}`;

async function embedTexts(scans: readonly CohortScan[], store: EmbeddingStore, model: CtLite, { state, progress: start, signal }: EmbedOptions): Promise<TextRow[]> {
  const reports = [...new Map(scans.filter(({ report }) => report !== '').map((scan) => [reportKey(scan), scan.report]))];
  const todo = reports.filter(([id]) => !store.has(id));
  const progress = start('embedding reports', reports.length, reports.length - todo.length);
  try {
    for (let first = 0; first < todo.length; first += REPORT_BATCH) {
      if (signal.aborted) throw new Interrupted('interrupted; the same command again goes on');
      const group = todo.slice(first, first + REPORT_BATCH);
      const vectors = await embedReports(model, state.tokenizer, group.map(([, report]) => report), state.config.text);
      for (const [row, [id]] of group.entries()) await store.add(id, vectors[row]!);
      progress.update(reports.length - todo.length + first + group.length);
    }
  } finally {
    progress.stop();
    await store.save();
  }
  const { present, absent } = await encodePrompts(model, state.tokenizer);
  const prompts: TextRow[] = [];
  for (const [label, name] of LABELS.entries()) {
    const { positive, negative } = labelPrompts(name);
    for (const [text, vector, end] of [[positive, present[label]!, 'present'], [negative, absent[label]!, 'absent']] as const) {
      const id = `prompt-${name}-${end}`;
      await store.add(id, vector);
      prompts.push({ id, kind: 'prompt', text });
    }
  }
  return [...reports.map(([id]): TextRow => ({ id, kind: 'report', text: '' })), ...prompts];
}

interface EmbedRecord {
  format: string;
  version: string;
  checkpoint: string;
  /** SHA-256 of the checkpoint's file. */
  checkpointSha256: string;
  model: string;
  preset: string;
  quality: number | null;
  data: string;
  split: string;
  latent: number;
  /** A logit is scale · (volume · text) + bias, of rows as they are: both are of length 1. */
  scale: number;
  bias: number;
  complete: boolean;
  volumes?: number;
  texts?: number;
  skipped?: EmbedSummary['skipped'];
}

/** Writes what the embeddings are made with before the first of them, and refuses a folder of others. */
async function openRecord({ out, state, which, quality, checkpoint, source, split }: EmbedOptions): Promise<EmbedRecord> {
  const model = state[which]!;
  const record: EmbedRecord = {
    format: 'ct-lite-embeddings', version: packageVersion('ct-lite') ?? 'unknown', checkpoint: checkpoint.file, checkpointSha256: createHash('sha256').update(checkpoint.bytes).digest('hex'),
    model: which, preset: state.config.preset, quality, data: source.data, split, latent: presets[state.config.preset].head.latent,
    scale: Math.exp(await model.logScale.item()), bias: await model.logitBias.item(), complete: false,
  };
  const path = nodeFiles.join(out, RECORD_FILE);
  if (await nodeFiles.exists(path)) {
    const found = parseRecord(new TextDecoder().decode(await nodeFiles.readFile(path)), path);
    for (const field of ['checkpointSha256', 'model', 'quality', 'data', 'split'] as const) {
      if (found[field] !== record[field]) throw new Error(`embed: ${out}: holds embeddings of another ${field === 'checkpointSha256' ? 'checkpoint' : field} (${found[field]}, now ${record[field]}); choose another --out, or remove the folder`);
    }
  }
  await writeRecord(out, record);
  return record;
}

function parseRecord(text: string, path: string): Partial<EmbedRecord> {
  try {
    return (JSON.parse(text) as Partial<EmbedRecord> | null) ?? {};
  } catch (cause) {
    throw new Error(`embed: ${path}: is not valid JSON; choose another --out, or remove the folder`, { cause });
  }
}

function writeCsv(path: string, rows: readonly (readonly (string | number)[])[]): Promise<void> {
  return nodeFiles.writeFile(path, new TextEncoder().encode(formatCsv(rows.map((row) => row.map(String)))));
}

function writeRecord(out: string, record: EmbedRecord): Promise<void> {
  return nodeFiles.writeFile(nodeFiles.join(out, RECORD_FILE), new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`));
}
