/** The texts of a training step and which volume each belongs to. */
import { allLabelPrompts, LABELS, type CohortScan, type Tokenizer } from '../data/index.ts';
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
 */
export function drawTexts(scans: readonly CohortScan[], frequencies: ReadonlyMap<string, number>, { unit, sentencesPerScan }: TrainConfig['text'], seed: number, step: number): StepTexts {
  if (unit === 'report') {
    const reports = new Map(scans.map(({ reportId, report }) => [reportId, report]));
    return { texts: [...reports.values()], matches: matchMatrix(scans, [...reports.keys()], (scan, id) => scan.reportId === id) };
  }
  if (unit === 'prompt') {
    // Positive and negative prompt of each label in turn: column 2·label says present, column 2·label + 1 absent.
    return { texts: allLabelPrompts(), matches: matchMatrix(scans, LABELS.flatMap((_, label) => [{ label, present: 1 }, { label, present: 0 }]), ({ labels }, { label, present }) => labels?.[label] === present) };
  }
  const held = scans.map(({ report }) => new Set(sentencesOf(report)));
  const drawn = new Set<string>();
  held.forEach((sentences, row) => {
    const random = seededRandom(seed, step, row, 'sentences');
    const pool = [...sentences];
    for (let n = 0; n < sentencesPerScan && pool.length; n++) {
      const weights = pool.map((sentence) => frequencies.get(sentence) ?? 1);
      drawn.add(pool.splice(weightedIndex(weights, uniform(random)), 1)[0]!);
    }
  });
  const texts = [...drawn];
  return { texts, matches: matchMatrix(held, texts, (sentences, text) => sentences.has(text)) };
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

function matchMatrix<Row, Text>(rows: readonly Row[], texts: readonly Text[], fits: (row: Row, text: Text) => boolean): Uint8Array {
  const matches = new Uint8Array(rows.length * texts.length);
  rows.forEach((row, i) => texts.forEach((text, j) => (matches[i * texts.length + j] = fits(row, text) ? 1 : 0)));
  return matches;
}

/** Texts as the text tower takes them: padded to the longest, cut at `maxTokens`. */
export function tokenize(tokenizer: Tokenizer, texts: readonly string[], maxTokens: number): TextBatch {
  return tokenizer.encodeBatch([...texts], maxTokens);
}
