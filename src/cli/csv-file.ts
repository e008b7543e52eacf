import { nodeFiles } from '../platform/node-files.ts';

/** Writes RFC 4180 with line feeds, whole or not at all. */
export function writeCsv(path: string, rows: readonly (readonly (string | number)[])[]): Promise<void> {
  const field = (value: string | number): string => (/[",\n\r]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  return nodeFiles.writeFile(path, new TextEncoder().encode(`${rows.map((row) => row.map(field).join(',')).join('\n')}\n`));
}
