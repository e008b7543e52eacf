/** The texts of a training step and which volume each belongs to. */
import { labelPrompts, LABELS, UNLABELLED, type CohortScan, type Tokenizer } from '../data/index.ts';
import type { TextBatch } from '../model/index.ts';
import type { TrainConfig } from './config.ts';
import { seededRandom, uniform } from './sampler.ts';

export interface StepTexts {
  texts: string[];
  /** [volumes, texts], 1 where the volume's report is or holds the text. */
  matches: Uint8Array;
}

/** The sentences of a report, trimmed, without repeats. Decimal points and abbreviations inside a sentence do not end it. */
export function sentencesOf(report: string): string[] {
  const sentences = report.split(/(?<=[.!?])\s+(?=\p{Lu})|\n+/u).map((sentence) => sentence.trim());
  return [...new Set(sentences.filter((sentence) => /\p{L}/u.test(sentence)))];
}

/**
 * Texts of one step. With `unit` report: each different report of the batch, matched by report id, since several volumes may
 * share one (MODEL §3). With `unit` sentence [O]: some sentences of each report, each matched to every volume of the batch whose
 * report holds it word by word; so the statements that reports share become classes. A sentence is drawn in proportion to the
 * number of reports that have it: one that stands in a single report says least about the others.
 *
 * With `labelPrompts` [O] the 36 prompts stand before them, matched by the labels, where every volume of the batch has labels.
 */
export function drawTexts(scans: readonly CohortScan[], frequencies: ReadonlyMap<string, number>, options: TrainConfig['text'], seed: number, step: number): StepTexts {
  const columns = options.unit === 'report' ? reportColumns(scans) : sentenceColumns(scans, frequencies, options.sentencesPerScan, seed, step);
  if (options.labelPrompts && scans.every(({ labels }) => labels)) {
    const prompts = promptColumns(scans);
    const asked = new Set(prompts.map(({ text }) => text));
    columns.splice(0, columns.length, ...prompts, ...columns.filter(({ text }) => !asked.has(text)));
  }
  const matches = new Uint8Array(scans.length * columns.length);
  scans.forEach((scan, i) => columns.forEach(({ fits }, j) => (matches[i * columns.length + j] = fits(scan) ? 1 : 0)));
  return { texts: columns.map(({ text }) => text), matches };
}

/** A text and the volumes it is true of. */
interface TextColumn {
  text: string;
  fits: (scan: CohortScan) => boolean;
}

function reportColumns(scans: readonly CohortScan[]): TextColumn[] {
  const reports = new Map(scans.filter(({ report }) => report !== '').map(({ reportId, report }) => [reportId, report]));
  return [...reports].map(([id, text]) => ({ text, fits: (scan) => scan.reportId === id }));
}

function sentenceColumns(scans: readonly CohortScan[], frequencies: ReadonlyMap<string, number>, perScan: number, seed: number, step: number): TextColumn[] {
  const held = new Map(scans.map((scan) => [scan, new Set(sentencesOf(scan.report))]));
  const drawn = new Set<string>();
  scans.forEach((scan, row) => {
    const random = seededRandom(seed, step, row, 'sentences');
    const pool = [...held.get(scan)!];
    for (let n = 0; n < perScan && pool.length; n++) {
      const weights = pool.map((sentence) => frequencies.get(sentence) ?? 1);
      drawn.add(pool.splice(weightedIndex(weights, uniform(random)), 1)[0]!);
    }
  });
  return [...drawn].map((text) => ({ text, fits: (scan) => held.get(scan)!.has(text) }));
}

/** "X is present." and "X is not present." of each label in turn, but for those that some scan of the batch has no word about. */
function promptColumns(scans: readonly CohortScan[]): TextColumn[] {
  return LABELS.flatMap((name, label) => {
    if (scans.some(({ labels }) => labels![label] === UNLABELLED)) return [];
    const { positive, negative } = labelPrompts(name);
    return [
      { text: positive, fits: ({ labels }: CohortScan) => labels![label] === 1 },
      { text: negative, fits: ({ labels }: CohortScan) => labels![label] === 0 },
    ];
  });
}

/** In how many of the different reports each sentence stands. */
export function sentenceFrequencies(scans: readonly CohortScan[]): Map<string, number> {
  const frequencies = new Map<string, number>();
  const reports = new Map(scans.map(({ reportId, report }) => [reportId, report]));
  for (const report of reports.values()) for (const sentence of sentencesOf(report)) frequencies.set(sentence, (frequencies.get(sentence) ?? 0) + 1);
  return frequencies;
}

/** Index drawn in proportion to the weights by `at` in [0, 1). */
function weightedIndex(weights: readonly number[], at: number): number {
  let left = at * weights.reduce((sum, weight) => sum + weight, 0);
  const index = weights.findIndex((weight) => (left -= weight) < 0);
  return index < 0 ? weights.length - 1 : index;
}

/** Texts as the text tower takes them: padded to the longest, cut at `maxTokens`. */
export function tokenize(tokenizer: Tokenizer, texts: readonly string[], maxTokens: number): TextBatch {
  return tokenizer.encodeBatch([...texts], maxTokens);
}
