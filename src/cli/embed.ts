/** `ct-lite embed`: volume and text embeddings of a cohort, to files that need no GPU to use. */
import { Command, Option } from 'commander';
import { initJpegCodec } from '../data/index.ts';
import { openDecodePool } from '../platform/node-decode-pool.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { nodeJpegWasm } from '../platform/node-jpeg.ts';
import { createProgress } from '../platform/progress.ts';
import { decodeCheckpoint } from '../train/index.ts';
import { cohortSource, openNodeEngine, withCohortFlags, type CohortSource } from './cohort-session.ts';
import { embedCohort, type EmbedOptions } from './embed-cohort.ts';
import { interruptSignal } from './interrupt.ts';
import { wholeNumber } from './options.ts';
import { findCheckpoint } from './run-folder.ts';
import { print, say } from './terminal.ts';

interface EmbedFlags extends CohortSource {
  checkpoint: string;
  out: string;
  split: EmbedOptions['split'];
  model: 'student' | 'teacher';
  quality?: number;
  adapter?: string;
}

export function embedCommand(): Command {
  return withCohortFlags(new Command('embed'), true)
    .description('write the embeddings of a cohort\'s scans, reports and the label prompts as safetensors with CSV indices; run again to go on')
    .requiredOption('--checkpoint <path>', 'checkpoint.safetensors or a run folder')
    .requiredOption('--out <folder>', 'folder of the embeddings')
    .addOption(new Option('--split <name>', 'which scans').choices(['train', 'validation', 'test', 'all']).default('all'))
    .addOption(new Option('--model <name>', 'student on JPEG input, or teacher on uncompressed').choices(['student', 'teacher']).default('student'))
    .option('--quality <n>', 'JPEG quality; default that of the run', wholeNumber(1, 100))
    .option('--adapter <name>', 'swiftshader, lavapipe, or a part of the adapter\'s name')
    .action(runEmbed);
}

async function runEmbed(flags: EmbedFlags): Promise<void> {
  const file = await findCheckpoint(flags.checkpoint);
  const signal = interruptSignal();
  const { engine, line } = await openNodeEngine(flags.adapter);
  say(line);
  initJpegCodec(nodeJpegWasm);
  const pool = openDecodePool();
  try {
    const bytes = await nodeFiles.readFile(file);
    const state = decodeCheckpoint(engine, bytes, file);
    if (!state[flags.model]) throw new Error(`${file}: holds no ${flags.model}; choose the other with --model`);
    const { volumes, texts, skipped, problems } = await embedCohort({
      out: flags.out, split: flags.split, which: flags.model, checkpoint: { file, bytes }, state, pool, signal,
      source: cohortSource(flags),
      quality: flags.model === 'teacher' ? null : (flags.quality ?? state.config.quality),
      progress: (title, total, start) => createProgress({ title, total, start }),
    });
    for (const problem of problems) say(`note: ${problem}`);
    print(`${volumes} volumes and ${texts} texts in ${flags.out}${skipped.length ? `; ${skipped.length} scans could not be read, named in embed.json` : ''}`);
  } finally {
    await pool.close();
    engine.destroy();
  }
}
