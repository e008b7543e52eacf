/** What `ct-lite eval` writes and prints. */
import { formatCsv, UNLABELLED } from '../data/index.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { evaluationCsv, evaluationJson, renderEvaluation, type EvaluationResult, type Interval } from '../train/index.ts';
import type { ScoredModel, ScoredPart } from './scored-model.ts';

export const SCORES_FILE = 'scores.csv';
export const TRUTHS_FILE = 'truths.csv';

const write = (folder: string, name: string, text: string): Promise<void> => nodeFiles.writeFile(nodeFiles.join(folder, name), new TextEncoder().encode(text));

/** scores.csv and truths.csv, which `eval --scores` and `--compare` read. */
export async function writeScores(folder: string, { labels, validation, test }: Pick<ScoredModel, 'labels' | 'validation' | 'test'>): Promise<void> {
  await nodeFiles.makeDirectory(folder);
  const rows = (split: string, { ids, patientIds, scores }: ScoredPart): (string | number)[][] => ids.map((id, row) => [id, patientIds[row]!, split, ...scores.subarray(row * labels.length, (row + 1) * labels.length)]);
  const truths = ({ ids, truths: values }: ScoredPart): (string | number)[][] => ids.map((id, row) => [id, ...Array.from(values.subarray(row * labels.length, (row + 1) * labels.length), (value) => (value === UNLABELLED ? '' : value))]);
  await write(folder, SCORES_FILE, formatCsv([['id', 'patient', 'split', ...labels], ...rows('validation', validation), ...rows('test', test)]));
  await write(folder, TRUTHS_FILE, formatCsv([['id', ...labels], ...truths(validation), ...truths(test)]));
}

/** Returns the JSON's text and the report's path. */
export async function writeEvaluation(folder: string, result: EvaluationResult): Promise<{ json: string; report: string }> {
  await nodeFiles.makeDirectory(folder);
  const json = evaluationJson(result);
  await write(folder, 'evaluation.json', json);
  await write(folder, 'evaluation.csv', formatCsv(evaluationCsv(result)));
  await write(folder, 'evaluation.html', renderEvaluation(result));
  return { json, report: nodeFiles.join(folder, 'evaluation.html') };
}

const fixed = (value: number | null | undefined): string => value?.toFixed(3) ?? '–';
const range = (interval: Interval | null | undefined): string => (interval ? `[${fixed(interval.low)}, ${fixed(interval.high)}]` : '[–]');

export function printEvaluation({ metrics, intervals, comparison, retrieval, notes, split }: EvaluationResult, print: (line: string) => void): void {
  const { measures } = intervals;
  for (const [at, { label, auroc, averagePrecision, positives, negatives, reason, classification }] of metrics.labels.entries()) {
    const figures = `AUROC ${fixed(auroc)} ${range(measures.auroc.labels[at])}  AP ${fixed(averagePrecision)}  F1 ${fixed(classification?.weightedF1)}  accuracy ${fixed(classification?.accuracy)}  precision ${fixed(classification?.precision)}`;
    print(`${label.padEnd(36)} ${auroc === null ? `not measurable: ${reason}` : figures}  (${positives}+/${negatives}−)`);
  }
  const { mean } = metrics;
  print(`${`mean of ${mean.aurocLabels} labels, ${split}`.padEnd(36)} AUROC ${fixed(mean.auroc)} ${range(measures.auroc.mean)}  AP ${fixed(mean.averagePrecision)} ${range(measures.averagePrecision.mean)}  F1 ${fixed(mean.classification?.weightedF1)} ${range(measures.weightedF1.mean)}`);
  if (comparison?.mean.test) {
    const { test, bootstrap } = comparison.mean;
    print(`${comparison.a} − ${comparison.b}: mean AUROC ${fixed(test.a)} − ${fixed(test.b)} = ${fixed(test.difference)} ${range(bootstrap)} over patients, ${comparison.mean.labels} labels; DeLong p ${test.p === null ? '–' : test.p < 0.0001 ? '< 0.0001' : test.p.toPrecision(2)}`);
  }
  if (comparison && !comparison.mean.test) print(`${comparison.a} − ${comparison.b}: not compared: no label has two scans of each class on ${split}`);
  if (retrieval) {
    for (const [name, { recalls, candidates }] of [['volume to report', retrieval.volumeToReport], ['report to volume', retrieval.reportToVolume]] as const) {
      print(`${name}: ${recalls.map(({ k, recall, interval, chance }) => `R@${k} ${fixed(recall)} ${range(interval)} (chance ${fixed(chance)})`).join(', ') || 'too few candidates'}; ${candidates} candidates`);
    }
  }
  for (const note of notes) print(note);
}
