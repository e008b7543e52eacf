import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { mergeResults } from '../../../bench/results-file.ts';

it('replaces what was measured again, keeps the rest, and leaves no temporary file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ct-lite-results-'));
  try {
    const file = pathToFileURL(join(folder, 'results', 'a.json'));
    const key = ({ name }: { name: string }): string => name;
    await mergeResults(file, { adapter: 'a' }, 'cases', [{ name: 'x', ms: 1 }, { name: 'y', ms: 2 }], key);
    await mergeResults(file, { adapter: 'a' }, 'cases', [{ name: 'y', ms: 3 }, { name: 'z', ms: 4 }], key);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ adapter: 'a', cases: [{ name: 'x', ms: 1 }, { name: 'y', ms: 3 }, { name: 'z', ms: 4 }] });
    expect(await readdir(join(folder, 'results'))).toEqual(['a.json']);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it('keeps an earlier entry that its successor may not replace', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ct-lite-results-'));
  try {
    const file = pathToFileURL(join(folder, 'a.json'));
    const merge = (entry: { name: string; ms: number | null }): Promise<string> => mergeResults(file, {}, 'cases', [entry], ({ name }) => name, (after) => after.ms !== null);
    for (const ms of [1, null]) await merge({ name: 'x', ms });
    await merge({ name: 'y', ms: null });
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ cases: [{ name: 'x', ms: 1 }, { name: 'y', ms: null }] });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
