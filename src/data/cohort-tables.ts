/**
 * The reports and the labels of a cohort from their CSV files: CT-RATE's columns (VolumeName, Findings_EN, Impressions_EN;
 * the 18 labels by name) and the few other spellings that are in use.
 */
import { scanId } from './cohort-files.ts';
import { findColumn, listColumns, requireColumn } from './csv.ts';
import type { CsvTable } from './csv.ts';
import { LABELS, UNLABELLED } from './labels.ts';

export interface ReportRow {
  text: string;
  patientId: string | null;
}

export interface LabelRow {
  labels: Uint8Array;
  patientId: string | null;
}

export const VOLUME_COLUMNS = ['VolumeName', 'Volume', 'FileName', 'File', 'Scan', 'AccessionNo', 'NoteAcc_DEID', 'VolumeAcc_DEID'];
const FINDINGS_COLUMNS = ['Findings_EN', 'Findings', 'report_text', 'Report', 'Text'];
const IMPRESSION_COLUMNS = ['Impressions_EN', 'Impression_EN', 'Impressions', 'Impression'];
export const PATIENT_COLUMNS = ['PatientID', 'Patient_ID', 'Patient', 'MRN_DEID'];
/** CT-RATE writes this where a section of the report is empty; it is no finding. */
const EMPTY_SECTION = /^not given\.?$/i;

/** Whether a table found below the data folder is one of reports. */
export function isReportTable(table: CsvTable): boolean {
  return findColumn(table, ...VOLUME_COLUMNS) >= 0 && findColumn(table, ...FINDINGS_COLUMNS, ...IMPRESSION_COLUMNS) >= 0;
}

/** Whether a table found below the data folder is one of labels. */
export function isLabelTable(table: CsvTable): boolean {
  return findColumn(table, ...VOLUME_COLUMNS) >= 0 && LABELS.some((label) => findColumn(table, label) >= 0);
}

/**
 * Reports by scan id: findings and impression in one text.
 * @throws naming the missing column and the columns found.
 */
export function readReports(table: CsvTable, problems: string[]): Map<string, ReportRow> {
  const volume = requireColumn(table, 'scan', ...VOLUME_COLUMNS);
  const findings = findColumn(table, ...FINDINGS_COLUMNS);
  const impression = findColumn(table, ...IMPRESSION_COLUMNS);
  if (findings < 0 && impression < 0) requireColumn(table, 'report', ...FINDINGS_COLUMNS.slice(0, 3), ...IMPRESSION_COLUMNS.slice(0, 1));
  const patient = findColumn(table, ...PATIENT_COLUMNS);
  const reports = new Map<string, ReportRow>();
  const repeated: string[] = [];
  for (const row of table.rows) {
    const id = scanId(row[volume]!);
    const text = [findings, impression].map((column) => section(row, column)).filter((part) => part !== '').join(' ');
    const earlier = reports.get(id);
    if (earlier && earlier.text !== text) repeated.push(id);
    if (!earlier) reports.set(id, { text, patientId: cell(row, patient) });
  }
  if (repeated.length > 0) problems.push(`${table.name}: scans with two different reports, the first is used (${repeated.length}): ${firstFew(repeated)}`);
  return reports;
}

/**
 * Labels by scan id in the order of LABELS. A label without a column, or an empty cell, is UNLABELLED; a row with another cell than 0
 * or 1 is left out. Both are named in `problems`.
 * @throws where no column is a label, naming those found.
 */
export function readLabels(table: CsvTable, problems: string[]): Map<string, LabelRow> {
  const volume = requireColumn(table, 'scan', ...VOLUME_COLUMNS);
  const columns = LABELS.map((label) => findColumn(table, label));
  const missing = LABELS.filter((_, index) => columns[index]! < 0);
  if (missing.length === LABELS.length) {
    throw new Error(`readCsv: ${table.name}: label columns under CT-RATE's names are needed ('${LABELS[0]}', '${LABELS[1]}', …; --columns names others), found ${listColumns(table)}`);
  }
  if (missing.length > 0) problems.push(`${table.name}: no column for ${missing.length} of the 18 labels, not evaluated: ${missing.join(', ')}`);
  const patient = findColumn(table, ...PATIENT_COLUMNS);
  const rows = new Map<string, LabelRow>();
  const unreadable: string[] = [];
  for (const row of table.rows) {
    const id = scanId(row[volume]!);
    const values = columns.map((column) => (column < 0 || row[column]!.trim() === '' ? UNLABELLED : parseLabel(row[column]!)));
    const bad = values.indexOf(null);
    if (bad >= 0) unreadable.push(`${id} (${LABELS[bad]}: '${row[columns[bad]!]!.slice(0, 20)}')`);
    else rows.set(id, { labels: Uint8Array.from(values as number[]), patientId: cell(row, patient) });
  }
  if (unreadable.length > 0) problems.push(`${table.name}: labels must be 0 or 1; rows left out (${unreadable.length}): ${firstFew(unreadable)}`);
  return rows;
}

/** Patients by scan id, of any table that names both. */
export function readPatients(table: CsvTable): Map<string, string> {
  const [volume, patient] = [findColumn(table, ...VOLUME_COLUMNS), findColumn(table, ...PATIENT_COLUMNS)];
  if (volume < 0 || patient < 0) return new Map();
  return new Map(table.rows.flatMap((row) => (row[patient]!.trim() === '' ? [] : [[scanId(row[volume]!), row[patient]!.trim()]])));
}

/** The first few names and how many more there are. */
export function firstFew(names: readonly string[], shown = 5): string {
  const rest = names.length - shown;
  return names.slice(0, shown).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

function section(row: string[], column: number): string {
  const text = column < 0 ? '' : row[column]!.trim();
  return EMPTY_SECTION.test(text) ? '' : text;
}

function cell(row: string[], column: number): string | null {
  const value = column < 0 ? '' : row[column]!.trim();
  return value === '' ? null : value;
}

function parseLabel(text: string): number | null {
  const value = text.trim().toLowerCase();
  if (value === 'true') return 1;
  if (value === 'false') return 0;
  return /^[01](\.0*)?$/.test(value) ? Number(value) : null;
}
