import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type BuildOptions } from 'esbuild';
import { describe, expect, it } from 'vitest';
// @ts-expect-error plain JavaScript
import { builds } from '../../esbuild.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What each room of src/ may import (STYLE, "The house"). `types` are allowed in type-only imports. */
const rooms: Record<string, { values: string[]; types: string[] }> = {
  kernels: { values: [], types: [] },
  engine: { values: [], types: [] },
  autograd: { values: ['engine', 'kernels'], types: [] },
  model: { values: ['autograd'], types: ['engine'] },
  data: { values: [], types: ['engine'] },
  train: { values: ['model', 'data', 'autograd'], types: ['engine'] },
  // The worker threads of Node decode scans and render phantoms: data's code, started from here.
  platform: { values: ['data'], types: ['engine'] },
};
/** Rooms that may import anything and use the machine they run on. */
const openRooms = ['cli', 'entry'];
/** Only these may name Node's modules and globals or the browser's. */
const machineRooms = ['platform', ...openRooms];
/** Text of the report page's own script, which runs where the report is read. */
const pageScripts = ['src/train/report-charts.ts'];

interface Import {
  from: string;
  to: string;
  typeOnly: boolean;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? sourceFiles(path) : path.endsWith('.ts') ? [path] : [];
  });
}

/** src/engine/device.ts → engine; kernels/x.wgsl → kernels; src/index.ts → entry. */
function roomOf(path: string): string {
  const parts = path.split('/');
  if (parts[0] === 'kernels') return 'kernels';
  return parts.length > 2 ? parts[1]! : 'entry';
}

const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
const files = sourceFiles('src');
const texts = new Map(files.map((path) => [path, withoutComments(readFileSync(join(root, path), 'utf8'))]));

/** Imports between our own files, type-only ones included, which a bundler erases. */
const imports: Import[] = [...texts].flatMap(([from, text]) =>
  [...text.matchAll(/(?:^|\n)\s*(import|export)\s+(type\s+)?(?:([^'";]*?)\s+from\s+)?'(\.[^']+)'/g)].map(([, , type, names = '', specifier]) => ({
    from,
    to: relative(root, join(root, dirname(from), specifier!)).replaceAll('\\', '/'),
    typeOnly: type !== undefined || (/^\{[\s\S]*\}$/.test(names) && names.slice(1, -1).split(',').filter((name) => name.trim()).every((name) => /^\s*type\s/.test(name))),
  })),
);

describe('rooms', () => {
  it('finds files and imports', () => {
    expect(files.length).toBeGreaterThan(80);
    expect(imports.length).toBeGreaterThan(200);
    expect(new Set(files.map(roomOf))).toEqual(new Set([...Object.keys(rooms).filter((room) => room !== 'kernels'), ...openRooms]));
  });

  it('import downward only', () => {
    const wrong = imports.filter(({ from, to, typeOnly }) => {
      const [room, target] = [roomOf(from), roomOf(to)];
      if (room === target || openRooms.includes(room)) return false;
      return !rooms[room]!.values.includes(target) && !(typeOnly && rooms[room]!.types.includes(target));
    });
    expect(wrong).toEqual([]);
  });

  it('meet at an index.ts', () => {
    const shared = ['engine', 'autograd', 'model', 'data', 'train'];
    const wrong = imports.filter(({ from, to }) => roomOf(from) !== roomOf(to) && !openRooms.includes(roomOf(from)) && shared.includes(roomOf(to)) && !to.endsWith('/index.ts'));
    expect(wrong).toEqual([]);
  });

  it('leave the machine to platform and cli', () => {
    const wrong = [...texts].filter(([path, text]) => !machineRooms.includes(roomOf(path)) && !pageScripts.includes(path) && /from\s+'node:|import\('node:|\bprocess\.\w|\bdocument\.\w|\bnavigator\.\w|\bBuffer\.\w/.test(text)).map(([path]) => path);
    expect(wrong).toEqual([]);
  });

  it('have no circles', () => {
    const graph = new Map<string, string[]>();
    for (const { from, to, typeOnly } of imports) if (!typeOnly) graph.set(from, [...(graph.get(from) ?? []), to]);
    expect(circles(graph)).toEqual([]);
  });
});

describe('bundles', () => {
  const bundled = (builds as BuildOptions[]).map(async (options) => ({ options, metafile: (await build({ ...options, write: false, metafile: true, sourcemap: false })).metafile! }));

  it('of the browser hold nothing of Node and no test reference that is not used', async () => {
    for (const { options, metafile } of await Promise.all(bundled)) {
      if (options.platform !== 'browser') continue;
      const used = Object.keys(metafile.inputs);
      expect(used).toContain('src/engine/device.ts');
      expect(used.filter((path) => /node-|swiftshader/.test(path))).toEqual([]);
      expect(Object.values(metafile.inputs).flatMap((file) => file.imports).filter(({ path, external }) => (external && path !== '<runtime>') || path.startsWith('node:'))).toEqual([]);
    }
  });

  it('follow the rooms in what they really import', async () => {
    for (const { metafile } of await Promise.all(bundled)) {
      for (const [from, { imports: used }] of Object.entries(metafile.inputs)) {
        if (!from.startsWith('src/') || openRooms.includes(roomOf(from))) continue;
        const targets = used.filter(({ external, path }) => !external && /^(src|kernels)\//.test(path)).map(({ path }) => roomOf(path));
        for (const target of targets) if (target !== roomOf(from)) expect(rooms[roomOf(from)]!.values, from).toContain(target);
      }
    }
  });
});

/** Every file that imports itself through others, as the path that leads back. */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const visit = (file: string, path: readonly string[]): void => {
    if (state.get(file) === 'done') return;
    if (state.get(file) === 'open') {
      found.push([...path.slice(path.indexOf(file)), file].join(' → '));
      return;
    }
    state.set(file, 'open');
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    state.set(file, 'done');
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}
