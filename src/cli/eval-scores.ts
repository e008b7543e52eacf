/** `ct-lite eval --scores`: scores and truths from CSV files. */
import { alignScores, readCsv, readScores, type CsvTable, type ScoredScans } from '../data/index.ts';
import { nodeFiles } from '../platform/node-files.ts';
import type { EvalFlags, ScoredModel, ScoredPart } from './scored-model.ts';
import { say } from './terminal.ts';
import { SCORES_FILE } from './eval-output.ts';

export async function readTable(path: string): Promise<CsvTable> {
  return readCsv(await nodeFiles.readFile(path), path.split(/[\\/]/).pop()!);
}

/** A scores CSV by its path or by the folder that an eval wrote; null where it is neither. */
export async function findScores(path: string): Promise<string | null> {
  if (/\.csv$/i.test(path)) return path;
  const inside = nodeFiles.join(path, SCORES_FILE);
  return (await nodeFiles.exists(inside)) ? inside : null;
}

/** The second model's scores from a file, in the order of the first's test scans. */
export async function readOther(path: string, first: { name: string; ids: string[]; labels: string[] }): Promise<{ name: string; scores: Float64Array }> {
  return { name: modelName(path), scores: alignScores(first, await readTable(path)) };
}

/** What people call a model by its file: of runs/a/scores.csv, "a". */
export function modelName(path: string): string {
  const parts = path.replace(/[\\/]+$/, '').split(/[\\/]/);
  const last = parts.pop()!;
  return /^(scores\.csv|checkpoint\.safetensors)$/.test(last) && parts.length > 0 ? parts.pop()! : last.replace(/\.(csv|safetensors|pt|pth|bin)$/i, '');
}

export async function readScoredFiles(flags: EvalFlags): Promise<ScoredModel> {
  if (!flags.labels) throw new Error('eval: --scores needs --labels, a CSV with the scans and 0 or 1 for each scored label');
  const path = (await findScores(flags.scores!)) ?? flags.scores!;
  const all = readScores(await readTable(path), await readTable(flags.labels));
  for (const note of all.notes) say(note);
  const everything = flags.split === 'all';
  const rowsOf = (wanted: (split: ScoredScans['splits'][number]) => boolean): number[] => all.splits.flatMap((split, row) => (wanted(split) ? [row] : []));
  const validation = part(all, everything ? [] : rowsOf((split) => split === 'validation'));
  const test = part(all, rowsOf((split) => everything || split !== 'validation'));
  if (test.ids.length === 0) throw new Error(`eval: ${all.name}: every scan is of the validation split, none is left to evaluate; --split all takes them`);
  const notes = [...all.notes];
  if (validation.ids.length === 0) notes.push("No scan is marked as validation (a 'split' column), so no threshold is fitted: there is no F1, accuracy or precision.");
  const name = modelName(path);
  return {
    name, labels: all.labels, validation, test, notes, retrieval: null,
    splitName: everything || validation.ids.length === 0 ? 'all scored scans' : 'the test split',
    other: flags.compare === undefined ? null : await otherOf(flags.compare, { name: all.name, ids: test.ids, labels: all.labels }),
    facts: [['Scores', path], ['Truths', flags.labels]],
  };
}

async function otherOf(compare: string, first: { name: string; ids: string[]; labels: string[] }): Promise<{ name: string; scores: Float64Array }> {
  const path = await findScores(compare);
  if (!path) throw new Error(`eval: --compare ${compare}: beside --scores it must be a scores CSV or a folder that an eval wrote`);
  return readOther(path, first);
}

function part({ ids, patientIds, scores, truths, labels }: ScoredScans, rows: number[]): ScoredPart {
  const cells = rows.flatMap((row) => labels.map((_, label) => row * labels.length + label));
  return { ids: rows.map((row) => ids[row]!), patientIds: rows.map((row) => patientIds[row]!), scores: Float64Array.from(cells, (at) => scores[at]!), truths: Uint8Array.from(cells, (at) => truths[at]!) };
}
