/** `ct-lite phantom`: writes the invented cohort that everything can be tried on. */
import { Command, Option } from 'commander';
import { interruptSignal } from './interrupt.ts';
import { wholeNumber } from './options.ts';
import { writePhantomCohort } from './phantom-cohort.ts';

interface PhantomFlags {
  out: string;
  patients: number;
  validationPatients: number;
  seed: number;
  resolution: 'small' | 'full';
}

export function phantomCommand(): Command {
  return new Command('phantom')
    .description('write a cohort of invented chest CT scans with reports and labels, in CT-RATE\'s layout; run again to go on')
    .requiredOption('--out <folder>', 'folder of the cohort')
    .option('--patients <n>', 'training patients', wholeNumber(1), 100)
    .option('--validation-patients <n>', 'patients of CT-RATE\'s valid side', wholeNumber(0), 25)
    .option('--seed <n>', 'the same seed gives the same bytes', wholeNumber(0, 0x7fffffff), 1)
    .addOption(new Option('--resolution <name>', 'small: 96 to 128 pixels a side; full: 512, as scanners give').choices(['small', 'full']).default('small'))
    .action(async ({ out, ...options }: PhantomFlags) => {
      const { volumes, skipped, bytes } = await writePhantomCohort({ out, ...options, signal: interruptSignal() });
      const kept = skipped > 0 ? `, ${skipped} of them were there already` : '';
      process.stdout.write(`${volumes} volumes in ${out}${kept}; ${(bytes / 2 ** 20).toFixed(1)} MiB written\n`);
    });
}
