/** `ct-lite eval`: the evaluation protocol (MODEL §1.6) on a checkpoint's scores or on anybody's. */
import { Command, Option } from 'commander';
import { defaultPrompts, formatPrompts } from '../data/index.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { compareModels, evaluateSplit, type Comparison, type EvaluationResult } from '../train/index.ts';
import { withCohortFlags } from './cohort-session.ts';
import { scoreCheckpoint } from './eval-checkpoint.ts';
import { printEvaluation, writeEvaluation, writeScores } from './eval-output.ts';
import { readScoredFiles } from './eval-scores.ts';
import { requireModelFlags, withCtClipFlags } from './open-model.ts';
import { wholeNumber } from './options.ts';
import { print, say } from './terminal.ts';
import type { EvalFlags, ScoredModel, ScoredPart } from './scored-model.ts';
import { packageVersion } from './versions.ts';

/** Below, resamples repeat the same few scans: a percentile interval means little. */
const fewCases = 10;

export function evalCommand(): Command {
  const command = withCohortFlags(new Command('eval'), false)
    .description('evaluate a checkpoint or CT-CLIP on a cohort, or anybody\'s scores: AUROC, average precision, F1, accuracy, precision, calibration and retrieval with 95 % intervals over patients; compare two models')
    .option('--checkpoint <path>', 'checkpoint.safetensors or a run folder');
  return withCtClipFlags(command)
    .option('--scores <csv>', 'in place of a model and --data: a CSV with id, [patient], [split] and a column of scores a label; needs --labels')
    .addOption(new Option('--split <name>', 'test: thresholds from the validation split; all: every scan, without thresholds').choices(['test', 'all']).default('test'))
    .addOption(new Option('--model <name>', 'student on JPEG input, or teacher on uncompressed').choices(['student', 'teacher']).default('student'))
    .option('--quality <n>', 'JPEG quality; default that of the run, and of CT-CLIP none', wholeNumber(1, 100))
    .option('--prompts <file>', 'JSON or CSV with label, positive, negative; some of the labels, or all')
    .option('--write-prompts <file>', 'write the default prompts to a file to change, and do nothing else')
    .option('--compare <run or scores>', 'a second model on the same scans: a run folder, a checkpoint, a scores CSV, or the --out of an eval')
    .addOption(new Option('--compare-model <name>', 'of the second run; default as --model').choices(['student', 'teacher']))
    .option('--no-retrieval', 'leave out volume-to-report retrieval')
    .option('--resamples <n>', 'of the bootstrap', wholeNumber(10, 1_000_000), 1000)
    .option('--adapter <name>', 'swiftshader, lavapipe, or a part of the adapter\'s name')
    .option('--seed <n>', 'of the split and the bootstrap', wholeNumber(0, 0x7fffffff), 0)
    .option('--out <folder>', 'evaluation.json, evaluation.csv, scores.csv and evaluation.html; default runs/eval- and the time')
    .option('--json', 'print the JSON in place of the table')
    .action(runEval);
}

async function runEval(flags: EvalFlags): Promise<void> {
  if (flags.writePrompts) {
    if (await nodeFiles.exists(flags.writePrompts)) throw new Error(`eval: ${flags.writePrompts}: is there already; choose another file`);
    await nodeFiles.writeFile(flags.writePrompts, new TextEncoder().encode(formatPrompts(defaultPrompts())));
    print(`prompts: ${flags.writePrompts}`);
    return;
  }
  const madeAt = new Date().toISOString();
  const out = flags.out ?? nodeFiles.join('runs', `eval-${madeAt.replace(/\..*$/, '').replaceAll(':', '-')}`);
  const scored = await score(flags, out);
  const result = await evaluate(scored, flags, madeAt);
  const files = await writeEvaluation(out, result);
  if (flags.json) process.stdout.write(files.json);
  else printEvaluation(result, print);
  (flags.json ? say : print)(`report: ${files.report}`);
}

async function score(flags: EvalFlags, out: string): Promise<ScoredModel> {
  if (flags.scores) {
    if (flags.checkpoint || flags.ctClip || flags.data) throw new Error('eval: --scores stands in place of --checkpoint, --ct-clip and --data; give one or the other');
    if (flags.prompts) throw new Error('eval: --prompts needs a checkpoint; the scores are made already');
    const scored = await readScoredFiles(flags);
    await writeScores(out, scored);
    return scored;
  }
  requireModelFlags('eval', flags);
  if (flags.ctClip && flags.model === 'teacher') throw new Error('eval: --model chooses within a checkpoint of ct-lite, --ct-clip is one model; --compare-model chooses within the second');
  if (!(flags.checkpoint || flags.ctClip) || !flags.data) throw new Error('eval: needs --checkpoint and --data, or --scores and --labels; --ct-clip with --tokenizer stands in place of --checkpoint');
  // Hours of scoring on a large cohort: kept as soon as they are there.
  return scoreCheckpoint(flags, (scored) => writeScores(out, scored));
}

async function evaluate(scored: ScoredModel, { seed, resamples }: EvalFlags, madeAt: string): Promise<EvaluationResult> {
  const { name, labels, validation, test, splitName, other, retrieval, facts, notes } = scored;
  const { metrics, intervals } = evaluateSplit(validation, test, test.patientIds, { seed, resamples }, splitName, labels);
  const comparison: Comparison | null = other && compareModels({ a: name, b: other.name }, labels, test, { scores: other.scores, truths: test.truths }, test.patientIds, { seed, resamples });
  const unmeasured = metrics.labels.filter(({ auroc }) => auroc === null).map(({ label }) => label);
  const few = metrics.labels.filter(({ auroc, positives, negatives }) => auroc !== null && Math.min(positives, negatives) < fewCases).map(({ label }) => label);
  const count = (part: ScoredPart): number => new Set(part.patientIds).size;
  return {
    name, split: splitName, version: packageVersion('ct-lite') ?? 'unknown', madeAt,
    scans: { validation: validation.ids.length, test: test.ids.length }, patients: { validation: count(validation), test: count(test) },
    metrics, intervals, retrieval, comparison, facts,
    notes: [...notes, ...(unmeasured.length > 0 ? [`${unmeasured.length} of ${labels.length} labels lack a class on ${splitName} and are in no mean: ${unmeasured.join(', ')}.`] : []), ...(few.length > 0 ? [`Fewer than ${fewCases} scans of a class: intervals of ${few.join(', ')} are too narrow and say little.`] : [])],
  };
}
