/**
 * One shard of a cohort: `OUT/shard-000003.tar`, and `shard-000003.json` that says what is in it. Each scan is compressed into
 * `shard-000003.partial/` first, so that a task that was killed goes on; the archive appears when all are there.
 */
import { describeSample, encodeJpegVolume, initJpegCodec, openCohort, sampleKey, shardName, shardOf, type CohortScan } from '../data/index.ts';
import { openDecodePool } from '../platform/node-decode-pool.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { nodeJpegWasm } from '../platform/node-jpeg.ts';
import { writeTarFile, type TarFile } from '../platform/node-tar.ts';
import { createProgress } from '../platform/progress.ts';
import { cohortOptions, decodeJob } from './cohort-session.ts';
import { anySeed, checkRecord, MOST_BAD, type PrepareCohortOptions } from './prepare-cohort.ts';

export interface Shard {
  /** From 0. */
  index: number;
  count: number;
}

export interface ShardSummary {
  path: string;
  /** The archive was there already and nothing was done. */
  alreadyThere: boolean;
  scans: number;
  failed: { id: string; reason: string }[];
  /** What did not fit in the cohort as it was found. */
  problems: string[];
}

/** `i/n`: shard i of n, i from 0. Throws what is wrong with it. */
export function parseShard(text: string): Shard {
  const match = /^(\d{1,6})\/(\d{1,6})$/.exec(text.trim());
  const [index, count] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || count < 1 || index >= count) throw new Error(`It must be i/n, shard i (from 0 to n − 1) of n, got '${text.slice(0, 20)}'.`);
  return { index, count };
}

/** @throws where more than a tenth of the shard's scans are bad, or where the folder holds shards of another grid, quality or number */
export async function prepareShard(options: PrepareCohortOptions, { index, count }: Shard): Promise<ShardSummary> {
  const { out } = options;
  const path = nodeFiles.join(out, shardName(index));
  await nodeFiles.makeDirectory(out);
  await checkRecord(options, { shards: count });
  if (await nodeFiles.exists(path)) return { path, alreadyThere: true, scans: 0, failed: [], problems: [] };
  const cohort = await openCohort(nodeFiles, await cohortOptions(options, anySeed));
  const scans = cohort.scans.filter(({ id }) => shardOf(id, count) === index).sort((a, b) => (a.id < b.id ? -1 : 1));
  const partial = path.replace(/\.tar$/, '.partial');
  await nodeFiles.makeDirectory(partial);
  const volumePath = ({ id }: CohortScan): string => nodeFiles.join(partial, `${sampleKey(id)}.zip`);
  const failed = await compressScans(options, scans, volumePath);
  const bad = new Set(failed.map(({ id }) => id));
  const good = scans.filter(({ id }) => !bad.has(id));
  await writeTarFile(path, filesOf(good, volumePath));
  const { problems } = cohort;
  await nodeFiles.writeFile(path.replace(/\.tar$/, '.json'), new TextEncoder().encode(`${JSON.stringify({ shard: index, of: count, scans: good.length, failed, problems }, null, 2)}\n`));
  await nodeFiles.remove(partial);
  return { path, alreadyThere: false, scans: good.length, failed, problems };
}

async function* filesOf(scans: readonly CohortScan[], volumePath: (scan: CohortScan) => string): AsyncGenerator<TarFile> {
  for (const scan of scans) {
    const key = sampleKey(scan.id);
    yield { name: `${key}.json`, content: new TextEncoder().encode(describeSample(scan)) };
    yield { name: `${key}.zip`, content: await nodeFiles.readFile(volumePath(scan)) };
  }
}

async function compressScans({ grid, antialias, quality, signal }: PrepareCohortOptions, scans: readonly CohortScan[], volumePath: (scan: CohortScan) => string): Promise<ShardSummary['failed']> {
  const todo: CohortScan[] = [];
  for (const scan of scans) if (!(await nodeFiles.exists(volumePath(scan)))) todo.push(scan);
  const failed: ShardSummary['failed'] = [];
  let done = scans.length - todo.length;
  const progress = createProgress({ title: 'prepare', total: scans.length, start: done });
  const pool = openDecodePool();
  initJpegCodec(nodeJpegWasm);
  try {
    for await (const { job, scan: decoded, error } of pool.stream(todo.map((scan) => ({ scan, ...decodeJob(scan), grid, antialias })))) {
      signal?.throwIfAborted();
      if (error) {
        failed.push({ id: job.scan.id, reason: error.message });
        progress.note(`left out: ${error.message}`);
        if (failed.length > Math.max(1, MOST_BAD * scans.length)) {
          throw new Error(`prepare: ${failed.length} of the shard's ${scans.length} scans are bad, at most a tenth may be; the last: ${error.message}; mend or remove them, then run again to go on`);
        }
      } else {
        for (const warning of decoded.warnings) progress.note(`${job.scan.id}: ${warning}`);
        await nodeFiles.writeFile(volumePath(job.scan), await encodeJpegVolume(decoded.values, grid, { quality, source: job.path.split(/[\\/]/).pop()! }));
      }
      progress.update(++done);
    }
  } finally {
    progress.stop();
    await pool.close();
  }
  return failed;
}
