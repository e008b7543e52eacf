/** The tables of docs/PERFORMANCE.md, made of the JSON in bench/results. */
import { readdir, readFile } from 'node:fs/promises';
import { cases } from './cases.ts';
import { replaceBetween } from './document-tables.ts';
import { isKernelResults, kernelsTable, type KernelResults } from './kernels-table.ts';
import { problems } from './peers/problems.ts';
import type { PeerResults } from './peers/row.ts';
import { peersTable } from './peers-table.ts';

const read = async (file: URL): Promise<object> => JSON.parse(await readFile(file, 'utf8')) as object;

/** The page with the tables that `root`'s bench/results give. */
export async function withTables(page: string, root: URL): Promise<string> {
  const folder = new URL('bench/results/', root);
  const peers: PeerResults[] = [];
  const kernels: KernelResults[] = [];
  for (const name of (await readdir(folder)).sort()) {
    if (!name.endsWith('.json') || name.endsWith('.tuned.json')) continue;
    const json = await read(new URL(name, folder));
    if (name.endsWith('.peers.json')) peers.push(json as PeerResults);
    else if (isKernelResults(json)) kernels.push(json);
  }
  return replaceBetween(replaceBetween(page, 'peers', peersTable(peers, problems)), 'kernels', kernelsTable(kernels, cases));
}
