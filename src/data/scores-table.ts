/**
 * Anybody's scores as CSV, joined with a CSV of truths.
 *
 * Scores: a scan column (`id` or a name that report files use), optional `patient` and `split` (validation or test), and one column of
 * scores a label; higher means more likely present. Truths: a scan column, optional patient and split, and for each scored label a
 * column of 0 and 1; an empty cell means that nobody said. Scans are matched by file name without folder and ending.
 */
import { parseCtRateName, scanId } from './cohort-files.ts';
import { firstFew, PATIENT_COLUMNS, VOLUME_COLUMNS } from './cohort-tables.ts';
import { findColumn, listColumns, requireColumn, type CsvTable } from './csv.ts';
import { UNLABELLED } from './labels.ts';

export const SCORE_ID_COLUMNS = ['id', ...VOLUME_COLUMNS];
const SPLIT_COLUMNS = ['split'];
const SPLIT_NAMES: Record<string, 'validation' | 'test'> = { validation: 'validation', valid: 'validation', val: 'validation', dev: 'validation', test: 'test' };

export interface ScoredScans {
  /** What the scores are called: the file's name. */
  name: string;
  labels: string[];
  ids: string[];
  /** The patient column's; else of CT-RATE's names; else each scan by itself. */
  patientIds: string[];
  /** null: the files do not say; the scan is evaluated, and no threshold is fitted on it. */
  splits: ('validation' | 'test' | null)[];
  /** [scans, labels] */
  scores: Float64Array;
  /** [scans, labels], 0, 1 or UNLABELLED. */
  truths: Uint8Array;
  /** What the reader should know, each a sentence. */
  notes: string[];
}

/**
 * @throws `readScores: file: …` naming missing columns, cells that are no number, scans that are there twice or without truths
 */
export function readScores(scores: CsvTable, truths: CsvTable): ScoredScans {
  const table = openTable(scores);
  const truthTable = openTable(truths);
  const labels = labelColumns(table, truthTable);
  const rows = scores.rows;
  const unknown = table.ids.filter((id) => !truthTable.rowOf.has(id));
  if (unknown.length > 0) {
    throw new Error(`readScores: ${scores.name}: ${truths.name} has no labels for ${unknown.length} of ${rows.length} scans: ${firstFew(unknown)}; scans are matched by file name without folder and ending`);
  }
  const truthRows = table.ids.map((id) => truths.rows[truthTable.rowOf.get(id)!]!);
  const notes: string[] = [];
  const unscored = truthTable.ids.length - rows.length;
  if (unscored > 0) notes.push(`${unscored} of the ${truthTable.ids.length} scans in ${truths.name} have no scores in ${scores.name} and are not counted`);
  const { patientIds, note } = patientsOf(table, truthTable, rows, truthRows);
  if (note) notes.push(note);
  return {
    name: scores.name,
    labels: labels.map(({ label }) => label),
    ids: table.ids,
    patientIds,
    splits: rows.map((row, at) => splitOf(scores.name, table.split, row) ?? splitOf(truths.name, truthTable.split, truthRows[at]!)),
    scores: Float64Array.from(rows.flatMap((row, at) => labels.map(({ label, column }) => parseScore(row[column]!, () => `${scores.name}: ${table.ids[at]}: ${label}`)))),
    truths: Uint8Array.from(truthRows.flatMap((row, at) => labels.map(({ label, truthColumn }) => parseTruth(row[truthColumn]!, () => `${truths.name}: ${table.ids[at]}: ${label}`)))),
    notes,
  };
}

/**
 * The second model's scores in the order of the first's scans and labels.
 * @throws where a scan or a label of the first has no score in the second
 */
export function alignScores(first: Pick<ScoredScans, 'name' | 'ids' | 'labels'>, second: CsvTable): Float64Array {
  const table = openTable(second);
  const missing = first.ids.filter((id) => !table.rowOf.has(id));
  if (missing.length > 0) {
    throw new Error(`readScores: ${second.name}: both models must score the same scans, ${missing.length} of the ${first.ids.length} in ${first.name} are missing: ${firstFew(missing)}`);
  }
  const columns = first.labels.map((label) => ({ label, column: requireColumn(second, `label '${label}'`, label) }));
  return Float64Array.from(first.ids.flatMap((id) => columns.map(({ label, column }) => parseScore(second.rows[table.rowOf.get(id)!]![column]!, () => `${second.name}: ${id}: ${label}`))));
}

interface OpenTable {
  table: CsvTable;
  ids: string[];
  rowOf: Map<string, number>;
  id: number;
  patient: number;
  split: number;
}

function openTable(table: CsvTable): OpenTable {
  const id = requireColumn(table, 'scan', ...SCORE_ID_COLUMNS);
  const ids = table.rows.map((row) => scanId(row[id]!));
  const empty = ids.indexOf('');
  if (empty >= 0) throw new Error(`readScores: ${table.name}: row ${empty + 1} names no scan in column '${table.columns[id]}'`);
  if (ids.length === 0) throw new Error(`readScores: ${table.name}: the table has no rows`);
  const rowOf = new Map(ids.map((each, row) => [each, row]));
  if (rowOf.size < ids.length) {
    const doubled = [...new Set(ids.filter((each, row) => rowOf.get(each) !== row))];
    throw new Error(`readScores: ${table.name}: each scan must be there once, ${doubled.length} are there again: ${firstFew(doubled)}`);
  }
  return { table, ids, rowOf, id, patient: findColumn(table, ...PATIENT_COLUMNS), split: findColumn(table, ...SPLIT_COLUMNS) };
}

function labelColumns({ table, id, patient, split }: OpenTable, truths: OpenTable): { label: string; column: number; truthColumn: number }[] {
  const found = table.columns.flatMap((label, column) => ([id, patient, split].includes(column) ? [] : [{ label, column, truthColumn: findColumn(truths.table, label) }]));
  if (found.length === 0) throw new Error(`readScores: ${table.name}: one column a label is needed beside the scan's, found ${listColumns(table)}`);
  const missing = found.filter(({ truthColumn }) => truthColumn < 0);
  if (missing.length > 0) {
    throw new Error(`readScores: ${truths.table.name}: no column for ${missing.map(({ label }) => `'${label}'`).join(', ')} of ${table.name}, found ${listColumns(truths.table)}; rename the column, or leave it out of the scores`);
  }
  return found;
}

function patientsOf(table: OpenTable, truths: OpenTable, rows: string[][], truthRows: string[][]): { patientIds: string[]; note: string | null } {
  let alone = 0;
  const patientIds = table.ids.map((id, at) => {
    const named = (table.patient >= 0 && rows[at]![table.patient]!.trim()) || (truths.patient >= 0 && truthRows[at]![truths.patient]!.trim()) || parseCtRateName(id)?.patientId;
    if (!named) alone += 1;
    return named || id;
  });
  return { patientIds, note: alone > 0 ? `${alone} scans name no patient: each counts as a patient of its own, and intervals are too narrow where patients have several scans (a 'patient' column mends it)` : null };
}

function splitOf(name: string, column: number, row: string[]): 'validation' | 'test' | null {
  const text = column < 0 ? '' : row[column]!.trim().toLowerCase();
  if (text === '') return null;
  const split = SPLIT_NAMES[text];
  if (!split) throw new Error(`readScores: ${name}: split must be validation or test, got '${text.slice(0, 20)}'`);
  return split;
}

function parseScore(text: string, where: () => string): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (Number.isNaN(value)) throw new Error(`readScores: ${where()}: a score must be a number, got '${text.slice(0, 20)}'`);
  return value;
}

function parseTruth(text: string, where: () => string): number {
  const value = text.trim().toLowerCase();
  if (value === '') return UNLABELLED;
  if (value === 'true' || /^1(\.0*)?$/.test(value)) return 1;
  if (value === 'false' || /^0(\.0*)?$/.test(value)) return 0;
  throw new Error(`readScores: ${where()}: a label must be 0, 1 or empty, got '${text.slice(0, 20)}'`);
}
