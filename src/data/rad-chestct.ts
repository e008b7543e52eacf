/**
 * Rad-ChestCT (Draelos et al. 2021): `trn00001.npz`, `val…`, `tst…`; tables `img{train,valid,test}_Abnormality_and_Location_Labels.csv`
 * with a column `abnormality*location` for each of some 83 abnormalities at 52 locations, and a metadata table with `MRN_DEID`. It
 * has no reports. Read in public code [C]: file names, columns, and the array's axes and spacing (npz.ts); the mapping to the 18
 * labels is ours [O], in rad-chestct.labels.json.
 */
import { findColumn, type CsvTable } from './csv.ts';
import { LABELS } from './labels.ts';
import defaultMap from './rad-chestct.labels.json' with { type: 'json' };
import type { Split } from './splits.ts';

/** Of each of the 18 labels: the abnormalities, or `abnormality*location`, any of which make it present. Empty: not labelled. */
export type LabelMap = Record<string, string[]>;

export const RAD_CHESTCT_LABELS: LabelMap = defaultMap.labels;

const SCAN_COLUMN = 'NoteAcc_DEID';
const SIDES: Record<string, Split> = { trn: 'train', val: 'validation', tst: 'test' };

/** The split that a scan's name says; null for any other name. */
export function radChestCtSplit(id: string): Split | null {
  return SIDES[/^(trn|val|tst)\d+$/.exec(id)?.[1] ?? ''] ?? null;
}

/**
 * A mapping from a file like rad-chestct.labels.json.
 * @throws naming what is no label or no list of names
 */
export function readLabelMap(bytes: Uint8Array, name: string): LabelMap {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new Error(`readLabelMap: ${name}: not valid JSON (${(cause as Error).message})`, { cause });
  }
  const labels = (json as { labels?: unknown } | null)?.labels;
  if (labels === null || typeof labels !== 'object') throw new Error(`readLabelMap: ${name}: must hold "labels", an object from each of the 18 labels to a list of abnormalities`);
  for (const [label, names] of Object.entries(labels)) {
    if (!LABELS.some((each) => each === label)) throw new Error(`readLabelMap: ${name}: '${label}' is none of the 18 labels: ${LABELS.join(', ')}`);
    if (!Array.isArray(names) || !names.every((each) => typeof each === 'string' && each !== '')) throw new Error(`readLabelMap: ${name}: '${label}' must have a list of names, [] where it is not labelled`);
  }
  return labels as LabelMap;
}

export function isRadChestCtHeader(columns: readonly string[]): boolean {
  return columns.includes(SCAN_COLUMN) && columns.some((column) => column.includes('*'));
}

/** Columns of the wide label tables that the mapping needs: the thousands of others are dropped while reading. */
export function radChestCtColumns(columns: readonly string[], map: LabelMap): number[] | null {
  if (!isRadChestCtHeader(columns)) return null;
  const wanted = new Set(Object.values(map).flat());
  return columns.flatMap((column, at) => (column === SCAN_COLUMN || wanted.has(column) || wanted.has(column.split('*')[0]!) ? [at] : []));
}

/**
 * A label table in CT-RATE's columns: a label for each that the mapping fills.
 * @throws naming abnormalities that the table does not have
 */
export function mapRadChestCt(table: CsvTable, map: LabelMap): CsvTable {
  const scan = findColumn(table, SCAN_COLUMN);
  const columnsOf = (name: string): number[] => table.columns.flatMap((column, at) => (column === name || column.split('*')[0] === name ? [at] : []));
  const mapped = Object.entries(map).filter(([, names]) => names.length > 0).map(([label, names]) => ({ label, names, columns: names.flatMap(columnsOf) }));
  const missing = mapped.flatMap(({ names }) => names.filter((name) => columnsOf(name).length === 0));
  if (missing.length > 0) throw new Error(`mapRadChestCt: ${table.name}: has no column for ${missing.map((name) => `'${name}'`).join(', ')}; change the mapping and give it with --label-map`);
  return {
    name: table.name,
    columns: ['VolumeName', ...mapped.map(({ label }) => label)],
    rows: table.rows.map((row) => [row[scan]!, ...mapped.map(({ columns }) => anyPresent(columns.map((column) => row[column]!)))]),
  };
}

/** '1' where a cell is, '0' where all are or are empty (no such location), else the odd cell, for the reader of labels to refuse. */
function anyPresent(cells: string[]): string {
  const odd = cells.find((cell) => !/^\s*([01](\.0*)?)?\s*$/.test(cell));
  return odd ?? (cells.some((cell) => cell.trim().startsWith('1')) ? '1' : '0');
}
