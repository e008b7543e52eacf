/**
 * WebDataset shards of a prepared cohort: `shard-000003.tar` with two files a sample, `KEY.json` (who, report, labels) and `KEY.zip`
 * (the JPEG volume). Any number of machines write them, one shard a task; together they are one cohort.
 */
import { firstFew } from './cohort-tables.ts';
import type { CohortScan } from './cohort.ts';
import type { FileSystem } from './file-system.ts';
import { LABELS, UNLABELLED } from './labels.ts';
import { hashText, textId } from './splits.ts';
import { readTar } from './tar.ts';

const MAX_DESCRIPTION_BYTES = 2 ** 20;

export type ShardScan = Omit<CohortScan, 'split'>;

export function shardName(index: number): string {
  return `shard-${String(index).padStart(6, '0')}.tar`;
}

export function isShardName(name: string): boolean {
  return name.toLowerCase().endsWith('.tar');
}

/** The shard of a scan by its id alone, so that every machine agrees, whatever else each of them sees. */
export function shardOf(id: string, shards: number): number {
  return hashText(id) % shards;
}

/** WebDataset ends a sample's key at the first dot, so that an id with dots gets another key; the id itself stands in the JSON. */
export function sampleKey(id: string): string {
  return /[.\\/\0]/.test(id) ? `${id.replaceAll(/[.\\/\0]/g, '_')}-${textId(id)}` : id;
}

/** The sample's JSON. Labels nobody gave are null. */
export function describeSample({ id, patientId, reportId, report, labels }: ShardScan): string {
  const named = labels && Object.fromEntries(LABELS.map((label, at) => [label, labels[at] === UNLABELLED ? null : labels[at]]));
  return `${JSON.stringify({ id, patient: patientId, reportId, report, labels: named }, null, 1)}\n`;
}

/**
 * The samples of some shards, by id: how many shards they lie in plays no part. One whose description cannot be read, or that lacks its volume, is named in `problems`; an id
 * that comes again is left out.
 * @throws where a shard is no whole tar archive
 */
export async function readShards(fs: FileSystem, paths: readonly string[], problems: string[]): Promise<ShardScan[]> {
  const scans = new Map<string, ShardScan>();
  const [damaged, doubled]: string[][] = [[], []];
  for (const path of paths) {
    const name = path.split(/[\\/]/).pop()!;
    for (const { key, description, volume } of await samplesOf(fs, path, name)) {
      const scan = description && volume ? parseSample(description, path, volume) : null;
      if (!scan) damaged!.push(`${name}: ${key}`);
      else if (scans.has(scan.id)) doubled!.push(scan.id);
      else scans.set(scan.id, scan);
    }
  }
  if (damaged!.length > 0) problems.push(`samples without a readable description or volume, left out (${damaged!.length}): ${firstFew(damaged!)}`);
  if (doubled!.length > 0) problems.push(`scans that are in two shards, the first is used (${doubled!.length}): ${firstFew(doubled!)}`);
  const unlabelled = [...scans.values()].filter(({ labels }) => !labels).map(({ id }) => id);
  if (unlabelled.length > 0 && unlabelled.length < scans.size) problems.push(`scans without labels, not counted in the evaluation (${unlabelled.length}): ${firstFew(unlabelled)}`);
  return [...scans.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

interface Sample {
  key: string;
  description: Uint8Array | null;
  volume: { offset: number; bytes: number } | null;
}

async function samplesOf(fs: FileSystem, path: string, name: string): Promise<Sample[]> {
  let whole: Uint8Array | null = null;
  const read = async (offset: number, bytes: number): Promise<Uint8Array> => {
    if (fs.readPart) return fs.readPart(path, offset, bytes);
    whole ??= await fs.readFile(path);
    return whole.subarray(offset, offset + bytes);
  };
  const samples = new Map<string, Sample>();
  for await (const entry of readTar(read, name)) {
    const dot = entry.name.indexOf('.', entry.name.lastIndexOf('/') + 1);
    const [key, ending] = dot < 0 ? [entry.name, ''] : [entry.name.slice(0, dot), entry.name.slice(dot).toLowerCase()];
    if (ending !== '.json' && ending !== '.zip') continue;
    const sample = samples.get(key) ?? { key, description: null, volume: null };
    samples.set(key, sample);
    if (ending === '.zip') sample.volume = { offset: entry.offset, bytes: entry.bytes };
    else if (entry.bytes <= MAX_DESCRIPTION_BYTES) sample.description = await read(entry.offset, entry.bytes);
  }
  return [...samples.values()];
}

function parseSample(bytes: Uint8Array, path: string, part: { offset: number; bytes: number }): ShardScan | null {
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  } catch {
    return null;
  }
  const { id, patient, reportId, report, labels } = json ?? {};
  if (typeof id !== 'string' || id === '' || typeof report !== 'string') return null;
  const known = labels !== null && typeof labels === 'object' ? (labels as Record<string, unknown>) : null;
  return {
    id, path, part, report,
    patientId: typeof patient === 'string' && patient !== '' ? patient : id,
    reportId: typeof reportId === 'string' && reportId !== '' ? reportId : id,
    labels: known && Uint8Array.from(LABELS, (label) => (known[label] === 0 || known[label] === 1 ? known[label] : UNLABELLED)),
  };
}
