/** `ct-lite prepare`: scans to JPEG volumes on a preset's grid. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_JPEG_QUALITY } from '../data/index.ts';
import { presets } from '../model/index.ts';
import type { PresetName } from '../model/index.ts';
import { withCohortFlags } from './cohort-session.ts';
import { interruptSignal } from './interrupt.ts';
import { wholeNumber } from './options.ts';
import { prepareCohort, type PrepareCohortOptions } from './prepare-cohort.ts';
import { parseShard, prepareShard, type Shard } from './prepare-shard.ts';
import { print, say } from './terminal.ts';

interface PrepareFlags {
  data: string;
  reports?: string;
  labels?: string;
  columns?: string;
  labelMap?: string;
  preset: PresetName;
  quality: number;
  out: string;
  keepHu?: boolean;
  shard?: Shard;
}

export function prepareCommand(): Command {
  return withCohortFlags(new Command('prepare'), true)
    .description('compress scans to JPEG volumes that train, eval and predict read; run again to go on')
    .addOption(new Option('--preset <name>', 'whose input grid').choices(Object.keys(presets)).default('tiny'))
    .option('--quality <n>', 'JPEG quality, 1 to 100', wholeNumber(1, 100), DEFAULT_JPEG_QUALITY)
    .requiredOption('--out <folder>', 'folder of the prepared cohort')
    .option('--keep-hu', 'write the uncompressed volumes too (int16 .nii.gz on the same grid, in hu/)')
    .option('--shard <i/n>', 'write one of n WebDataset shards, i from 0, as OUT/shard-00000i.tar: one task of a cluster (docs/CLUSTER.md)', shardOption)
    .action(async ({ preset, keepHu = false, shard, ...options }: PrepareFlags) => {
      const { grid, antialias } = presets[preset];
      if (shard) return runShard({ ...options, preset, grid, antialias, keepHu, signal: interruptSignal() }, shard);
      const summary = await prepareCohort({ ...options, preset, grid, antialias, keepHu, signal: interruptSignal() });
      for (const problem of summary.problems) process.stderr.write(`note: ${problem}\n`);
      const { prepared, skipped, failed, sourceBytes, jpegBytes } = summary;
      const ratio = jpegBytes > 0 ? `, ${mebibytes(sourceBytes)} of scans to ${mebibytes(jpegBytes)} of JPEG volumes (${(sourceBytes / jpegBytes).toFixed(1)} to 1)` : '';
      process.stdout.write(`${prepared} scans in ${options.out}${skipped ? `, ${skipped} of them were there already` : ''}${failed ? `; ${failed} bad, left out` : ''}${ratio}\n`);
    });
}

function shardOption(text: string): Shard {
  try {
    return parseShard(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

async function runShard(options: PrepareCohortOptions, shard: Shard): Promise<void> {
  if (options.keepHu) throw new Error('prepare: shards hold JPEG volumes only; give --shard or --keep-hu');
  const { path, alreadyThere, scans, failed, problems } = await prepareShard(options, shard);
  for (const problem of problems) say(`note: ${problem}`);
  print(alreadyThere ? `${path} is there already` : `${scans} scans in ${path}${failed.length > 0 ? `; ${failed.length} bad, left out` : ''}`);
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
