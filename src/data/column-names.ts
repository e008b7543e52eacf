/**
 * A hospital's own column names: a JSON file that says which column of its CSV files is what, so that the files stay as they are.
 *
 * `{ "scan": "StudyFile", "patient": "PatNr", "findings": "Befund", "impression": "Beurteilung", "labels": { "Emphysema": "Emphysem" } }`
 */
import { findColumn, type CsvTable } from './csv.ts';
import { LABELS } from './labels.ts';

/** From our column names to theirs. */
export type ColumnNames = Record<string, string>;

const OURS = { scan: 'VolumeName', patient: 'PatientID', findings: 'Findings_EN', impression: 'Impressions_EN' } as const;

/** @throws `readColumnNames: name: …` for a key that means nothing or a value that is no column name */
export function readColumnNames(bytes: Uint8Array, name: string): ColumnNames {
  const where = `readColumnNames: ${name}`;
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new Error(`${where}: not valid JSON (${(cause as Error).message})`, { cause });
  }
  if (json === null || typeof json !== 'object' || Array.isArray(json)) throw new Error(`${where}: must be an object with ${Object.keys(OURS).join(', ')} and labels`);
  const { labels = {}, ...rest } = json as { labels?: unknown };
  if (labels === null || typeof labels !== 'object' || Array.isArray(labels)) throw new Error(`${where}: labels must be an object from our label to your column`);
  const pairs = [
    ...Object.entries(rest).map(([key, column]) => ({ key, column, ours: OURS[key as keyof typeof OURS] as string | undefined, known: Object.keys(OURS) as readonly string[] })),
    ...Object.entries(labels).map(([key, column]) => ({ key, column: column as unknown, ours: LABELS.find((label) => label.toLowerCase() === key.toLowerCase()) as string | undefined, known: LABELS as readonly string[] })),
  ];
  return Object.fromEntries(pairs.map(({ key, column, ours, known }) => {
    if (ours === undefined) throw new Error(`${where}: '${key.slice(0, 60)}' is none of ${known.join(', ')}`);
    if (typeof column !== 'string' || column.trim() === '') throw new Error(`${where}: '${key}' must be the name of a column, got ${JSON.stringify(column)}`);
    return [ours, column];
  }));
}

/** The table under our names. A column that had one of our names without being meant loses it. */
export function renameColumns(table: CsvTable, names: ColumnNames): CsvTable {
  const found = Object.entries(names).map(([ours, theirs]) => ({ ours, at: findColumn(table, theirs) })).filter(({ at }) => at >= 0);
  const taken = new Set(found.map(({ ours }) => ours.toLowerCase()));
  const columns = table.columns.map((column, at) => found.find((each) => each.at === at)?.ours ?? (taken.has(column.toLowerCase()) ? `${column} (not used)` : column));
  return { ...table, columns };
}
