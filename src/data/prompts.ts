/**
 * The prompts of an evaluation, to change in a file: a JSON array of `{ "label", "positive", "negative" }`, or a CSV with these three
 * columns. Labels are the cohort's; a file may name some of them, each once.
 */
import { readCsv, requireColumn } from './csv.ts';
import { labelPrompts, LABELS } from './labels.ts';

export interface PromptPair {
  label: string;
  /** What a scan with the finding is like, and what one without it; the score is the softmax over the two. */
  positive: string;
  negative: string;
}

/** "X is present." and "X is not present." of each label: CT-CLIP's (MODEL §1.6). */
export function defaultPrompts(labels: readonly string[] = LABELS): PromptPair[] {
  return labels.map((label) => ({ label, ...labelPrompts(label) }));
}

/** As a file that `readPrompts` takes. */
export function formatPrompts(prompts: readonly PromptPair[]): string {
  return `${JSON.stringify(prompts, null, 2)}\n`;
}

/**
 * @param name file name; JSON where it ends so, else CSV
 * @param known the labels that may be asked for
 * @throws `readPrompts: name: …` for a label that is unknown or there twice, an empty prompt, or two equal prompts of a label
 */
export function readPrompts(bytes: Uint8Array, name: string, known: readonly string[] = LABELS): PromptPair[] {
  const where = `readPrompts: ${name}`;
  const prompts = /\.json$/i.test(name) ? fromJson(bytes, where) : fromCsv(bytes, name);
  if (prompts.length === 0) throw new Error(`${where}: at least one label is needed, got none; --write-prompts writes a file to start from`);
  const seen = new Set<string>();
  return prompts.map(({ label, positive, negative }, at) => {
    const found = known.find((each) => each.toLowerCase() === label.trim().toLowerCase());
    if (found === undefined) throw new Error(`${where}: entry ${at + 1}: '${label.slice(0, 60)}' is no label of the cohort; labels are ${known.map((each) => `'${each}'`).join(', ')}`);
    if (seen.has(found)) throw new Error(`${where}: '${found}' is there twice; keep one pair of prompts a label`);
    seen.add(found);
    const pair = { label: found, positive: positive.trim(), negative: negative.trim() };
    if (pair.positive === '' || pair.negative === '') throw new Error(`${where}: '${found}': both prompts must have words`);
    if (pair.positive === pair.negative) throw new Error(`${where}: '${found}': positive and negative prompt are the same, every score would be 0.5`);
    return pair;
  });
}

function fromJson(bytes: Uint8Array, where: string): PromptPair[] {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new Error(`${where}: not valid JSON (${(cause as Error).message})`, { cause });
  }
  const isPair = (entry: unknown): entry is PromptPair => entry !== null && typeof entry === 'object' && (['label', 'positive', 'negative'] as const).every((key) => typeof (entry as Record<string, unknown>)[key] === 'string');
  if (!Array.isArray(json) || !json.every(isPair)) throw new Error(`${where}: must be an array of { "label", "positive", "negative" }, each a text`);
  return json;
}

function fromCsv(bytes: Uint8Array, name: string): PromptPair[] {
  const table = readCsv(bytes, name);
  const [label, positive, negative] = ['label', 'positive', 'negative'].map((column) => requireColumn(table, 'prompts', column)) as [number, number, number];
  return table.rows.map((row) => ({ label: row[label]!, positive: row[positive]!, negative: row[negative]! }));
}
