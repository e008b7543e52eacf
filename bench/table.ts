/** `npm run bench:table`: makes the tables of docs/PERFORMANCE.md again, of the JSON in bench/results. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { withTables } from './performance-page.ts';

const root = pathToFileURL(`${process.cwd()}/`);
const file = new URL('docs/PERFORMANCE.md', root);
const before = await readFile(file, 'utf8');
const after = await withTables(before, root);
const temporary = new URL(`${file.href}.tmp`);
await writeFile(temporary, after);
await rename(temporary, file);
process.stdout.write(`docs/PERFORMANCE.md: its tables ${after === before ? 'were up to date' : 'are new'}\n`);
