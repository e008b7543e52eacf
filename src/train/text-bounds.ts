/** How many texts a step reads at most, and how long they are. */
import { allLabelPrompts, type CohortScan, type Tokenizer } from '../data/index.ts';
import type { TrainConfig } from './config.ts';
import { sentencesOf } from './texts.ts';

/** Beyond so many texts, the longest first, the rest are taken to be as long as they may be. */
const mostTokenized = 4096;
/** [CLS] and [SEP]. */
const specialTokens = 2;

/** @param volumes of a step */
export function textBounds(scans: readonly CohortScan[], tokenizer: Tokenizer, { unit, sentencesPerScan, maxTokens, labelPrompts }: TrainConfig['text'], volumes: number): { count: number; tokens: number } {
  const prompts = labelPrompts ? allLabelPrompts() : [];
  const drawn = new Set(scans.flatMap(({ report }) => (unit === 'report' ? [report] : sentencesOf(report))));
  const count = Math.min(drawn.size, volumes * (unit === 'report' ? 1 : sentencesPerScan)) + prompts.length;
  let tokens = specialTokens + 1;
  // A text has at most a token for each of its decomposed characters.
  const texts = [...new Set([...drawn, ...prompts])].map((text) => ({ text, most: text.normalize('NFD').length + specialTokens })).sort((a, b) => b.most - a.most);
  for (const [index, { text, most }] of texts.entries()) {
    if (most <= tokens) break;
    if (index >= mostTokenized) return { count, tokens: Math.min(maxTokens, most) };
    tokens = Math.max(tokens, tokenizer.encode(text, maxTokens).length);
    if (tokens >= maxTokens) break;
  }
  return { count: Math.max(1, count), tokens: Math.min(tokens, maxTokens) };
}
