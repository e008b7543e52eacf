/** `ct-lite prepare`: scans to JPEG volumes on a preset's grid. */
import { Command, Option } from 'commander';
import { DEFAULT_JPEG_QUALITY } from '../data/index.ts';
import { presets } from '../model/index.ts';
import type { PresetName } from '../model/index.ts';
import { interruptSignal } from './interrupt.ts';
import { wholeNumber } from './options.ts';
import { prepareCohort } from './prepare-cohort.ts';

interface PrepareFlags {
  data: string;
  reports?: string;
  labels?: string;
  preset: PresetName;
  quality: number;
  out: string;
  keepHu?: boolean;
}

export function prepareCommand(): Command {
  return new Command('prepare')
    .description('compress scans to JPEG volumes that train, eval and predict read; run again to go on')
    .requiredOption('--data <folder>', 'folder with the scans (.nii, .nii.gz, folders or .zip of DICOM slices), anywhere below it')
    .option('--reports <csv>', 'reports; without it, those found below the folder')
    .option('--labels <csv>', 'labels; without it, those found below the folder')
    .addOption(new Option('--preset <name>', 'whose input grid').choices(Object.keys(presets)).default('tiny'))
    .option('--quality <n>', 'JPEG quality, 1 to 100', wholeNumber(1, 100), DEFAULT_JPEG_QUALITY)
    .requiredOption('--out <folder>', 'folder of the prepared cohort')
    .option('--keep-hu', 'write the uncompressed volumes too (int16 .nii.gz on the same grid, in hu/)')
    .action(async ({ preset, keepHu = false, ...options }: PrepareFlags) => {
      const { grid, antialias } = presets[preset];
      const summary = await prepareCohort({ ...options, preset, grid, antialias, keepHu, signal: interruptSignal() });
      for (const problem of summary.problems) process.stderr.write(`note: ${problem}\n`);
      const { prepared, skipped, failed, sourceBytes, jpegBytes } = summary;
      const ratio = jpegBytes > 0 ? `, ${mebibytes(sourceBytes)} of scans to ${mebibytes(jpegBytes)} of JPEG volumes (${(sourceBytes / jpegBytes).toFixed(1)} to 1)` : '';
      process.stdout.write(`${prepared} scans in ${options.out}${skipped ? `, ${skipped} of them were there already` : ''}${failed ? `; ${failed} bad, left out` : ''}${ratio}\n`);
    });
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
