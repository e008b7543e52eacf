/** `ct-lite eval`: zero-shot metrics of a checkpoint on a cohort. */
import { Command, Option } from 'commander';
import { presets } from '../model/index.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { createProgress } from '../platform/progress.ts';
import { decodeCheckpoint, evaluateSplit, scoreScans } from '../train/index.ts';
import { openCohortSession, openNodeEngine } from './cohort-session.ts';
import { interruptSignal } from './interrupt.ts';
import { wholeNumber } from './options.ts';
import { findCheckpoint } from './run-folder.ts';

interface EvalFlags {
  checkpoint: string;
  data: string;
  reports?: string;
  labels?: string;
  split: 'test' | 'all';
  model: 'student' | 'teacher';
  quality?: number;
  adapter?: string;
  seed: number;
  json?: boolean;
}

export function evalCommand(): Command {
  return new Command('eval')
    .description('score the 18 findings of a cohort with a checkpoint: AUROC with 95 % intervals, F1, accuracy, precision')
    .requiredOption('--checkpoint <path>', 'checkpoint.safetensors or a run folder')
    .requiredOption('--data <folder>', 'scans, as train takes them')
    .option('--reports <csv>', 'VolumeName with Findings_EN and Impressions_EN')
    .option('--labels <csv>', 'VolumeName with the 18 labels as 0 and 1')
    .addOption(new Option('--split <name>', 'test: thresholds from the validation split; all: every scan, AUROC only').choices(['test', 'all']).default('test'))
    .addOption(new Option('--model <name>', 'student on JPEG input, or teacher on uncompressed').choices(['student', 'teacher']).default('student'))
    .option('--quality <n>', 'JPEG quality; default that of the run', wholeNumber(1, 100))
    .option('--adapter <name>', 'swiftshader, lavapipe, or a part of the adapter\'s name')
    .option('--seed <n>', 'of the split and the bootstrap', wholeNumber(0, 0x7fffffff), 0)
    .option('--json', 'print JSON')
    .action(runEval);
}

async function runEval(flags: EvalFlags): Promise<void> {
  const file = await findCheckpoint(flags.checkpoint);
  const opened = await openNodeEngine(flags.adapter);
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  say(opened.line);
  const { engine } = opened;
  const state = decodeCheckpoint(engine, await nodeFiles.readFile(file), file);
  const model = state[flags.model];
  if (!model) throw new Error(`${file}: holds no ${flags.model}; choose the other with --model`);
  const source = { data: flags.data, ...(flags.reports && { reports: flags.reports }), ...(flags.labels && { labels: flags.labels }) };
  const { cohort, volumes, pool } = await openCohortSession(source, state.config.preset, flags.seed, say, interruptSignal());
  try {
    const everything = flags.split === 'all' || cohort.splitTooSmall;
    const scans = (split: string): typeof cohort.scans => cohort.scans.filter((scan) => scan.labels && (everything || scan.split === split));
    const [validation, test] = [scans('validation'), scans('test')];
    if (test.length === 0) throw new Error(`eval: no scan of the ${everything ? 'cohort' : 'test split'} has labels; give --labels a CSV with VolumeName and the 18 labels`);
    const progress = createProgress({ title: 'scoring', total: test.length + (everything ? 0 : validation.length) });
    let before = 0;
    const options = {
      engine, model, tokenizer: state.tokenizer, volumes, shape: presets[state.config.preset].grid.shape, batch: state.config.batch,
      quality: flags.model === 'teacher' ? null : (flags.quality ?? state.config.quality),
      onProgress: (done: number) => progress.update(before + done),
    };
    const testScores = await scoreScans(test, options);
    before = test.length;
    const validationScores = everything ? testScores : await scoreScans(validation, options);
    progress.stop();
    if (everything) say('thresholds are fitted on the very scans they are measured on: read the AUROC, not F1, accuracy and precision');
    const { metrics, intervals } = evaluateSplit(validationScores, testScores, test, flags.seed, everything ? 'the cohort' : 'the test split');
    if (flags.json) {
      process.stdout.write(`${JSON.stringify({ mean: metrics.mean, interval: intervals.mean, labels: metrics.labels.map(({ roc: _, ...label }, index) => ({ ...label, interval: intervals.labels[index] })) }, null, 2)}\n`);
      return;
    }
    const fixed = (value: number | null | undefined): string => value?.toFixed(3) ?? '–';
    for (const [index, { label, auroc, positives, negatives, reason, classification }] of metrics.labels.entries()) {
      const interval = intervals.labels[index];
      process.stdout.write(`${label.padEnd(36)} ${auroc === null ? `not measurable: ${reason}` : `AUROC ${fixed(auroc)} [${fixed(interval?.low)}, ${fixed(interval?.high)}]  F1 ${fixed(classification?.weightedF1)}  accuracy ${fixed(classification?.accuracy)}  precision ${fixed(classification?.precision)}`}  (${positives}+/${negatives}−)\n`);
    }
    const { mean } = metrics;
    process.stdout.write(`${'mean'.padEnd(36)} AUROC ${fixed(mean.auroc)} [${fixed(intervals.mean?.low)}, ${fixed(intervals.mean?.high)}] over ${mean.aurocLabels} labels\n`);
  } finally {
    await pool.close();
    engine.destroy();
  }
}
