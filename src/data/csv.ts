/** CSV tables with a header line, through `csv-parse` (quotes, line breaks in fields, byte-order mark). */
// The build that carries its own Buffer, so that the same code runs in Node and in a browser.
import { parse } from 'csv-parse/browser/esm/sync';

export interface CsvTable {
  /** File name for messages. */
  name: string;
  columns: string[];
  rows: string[][];
}

/**
 * @param pick which columns to keep, told by the header (null: all): a table of thousands of columns is then never held whole.
 * @throws `readCsv: name: …` with the line where quotes or the number of fields are wrong, or where there is no header.
 */
export function readCsv(content: Uint8Array | string, name: string, pick?: (columns: string[]) => number[] | null): CsvTable {
  const text = typeof content === 'string' ? content : decodeUtf8(content, name);
  let rows: string[][];
  try {
    let kept: number[] | null | undefined;
    const onRecord = (record: string[]): string[] => {
      // The first record is the header.
      if (kept === undefined) kept = pick?.(record.map((column) => column.trim())) ?? null;
      return kept ? kept.map((at) => record[at]!) : record;
    };
    rows = parse(text, { ...(pick && { on_record: onRecord }), bom: true, skip_empty_lines: true, relax_quotes: true, delimiter: sniff(text) });
  } catch (cause) {
    throw new Error(`readCsv: ${name}: ${(cause as Error).message}; give a table in CSV with a header line, fields with the separator in them in quotes`, { cause });
  }
  const [header, ...body] = rows;
  if (!header) throw new Error(`readCsv: ${name}: the file is empty; its first line must name the columns`);
  return { name, columns: header.map((column) => column.trim()), rows: body };
}

function decodeUtf8(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Error(`readCsv: ${name}: the text is not UTF-8; save the table as 'CSV UTF-8'`, { cause });
  }
}

/** Spreadsheets in half of Europe write semicolons: the mark that the header line holds most of. */
function sniff(text: string): string {
  const header = text.slice(0, text.search(/[\r\n]|$/));
  const count = (mark: string): number => header.split(mark).length;
  return [',', ';', '\t'].reduce((best, mark) => (count(mark) > count(best) ? mark : best), ',');
}

/** Index of the first of the names that is a column, whatever its case; -1 where none is. */
export function findColumn(table: CsvTable, ...names: string[]): number {
  const columns = table.columns.map((column) => column.toLowerCase());
  for (const name of names) {
    const index = columns.indexOf(name.toLowerCase());
    if (index >= 0) return index;
  }
  return -1;
}

/** @throws naming what is missing and the columns that are there. */
export function requireColumn(table: CsvTable, use: string, ...names: string[]): number {
  const index = findColumn(table, ...names);
  if (index >= 0) return index;
  throw new Error(`readCsv: ${table.name}: a column for the ${use} is needed (${names.join(' or ')}), found ${listColumns(table)}`);
}

export function listColumns(table: CsvTable): string {
  return table.columns.length === 0 ? 'none' : table.columns.map((column) => `'${column.slice(0, 60)}'`).slice(0, 30).join(', ');
}

/** RFC 4180 with line feeds; what `readCsv` reads again. */
export function formatCsv(rows: readonly (readonly (string | number)[])[]): string {
  const field = (value: string): string => (/[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return `${rows.map((row) => row.map((value) => field(String(value))).join(',')).join('\n')}\n`;
}
