/** What the documents name is there: links, files, npm scripts, commands and their flags. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/run.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...readdirSync(join(root, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : []))];
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Flags that the documents name and other programs have. */
const foreignFlags = ['--sshlogin'];
/** Those of the benches, which have no --help of commander's. */
const benchFlags = ['bench/main.ts', 'bench/peers/main.ts'].flatMap((path) => [...read(path).matchAll(/^ {2}'?([\w-]+)'?: \{ type: '(?:string|boolean)'/gm)].map(([, name]) => `--${name}`));

const fence = /^```[^\n]*\n([\s\S]*?)^```/gm;

/** Code in a document: lines of its fences and of indented blocks, and spans, which may go over a line's end. */
function codeOf(text: string): string[] {
  const fenced = [...text.matchAll(fence)].flatMap(([, body]) => body!.split('\n'));
  const prose = text.replace(fence, '');
  const indented = [...prose.matchAll(/^ {4}(\S.*)$/gm)].map(([, line]) => line!);
  const spans = [...prose.matchAll(/`([^`]+)`/g)].map(([, span]) => span!.replace(/\s*\n\s*/g, ' '));
  return [...fenced, ...indented, ...spans];
}

/** Every file of the repository, but what is installed or built. */
function files(folder = ''): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder ? `${folder}/${entry.name}` : entry.name;
    if (entry.isDirectory()) return ['node_modules', 'dist', '.git', 'runs'].includes(entry.name) ? [] : files(path);
    return [path];
  });
}

/** As GitHub makes them of headings. */
const anchorOf = (heading: string): string => heading.trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/ /g, '-');

function brokenLinks(path: string): string[] {
  const text = read(path).replace(fence, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target]) => {
    if (/^[a-z]+:/.test(target!)) return [];
    const [file, anchor] = target!.split('#') as [string, string?];
    const at = file ? join(root, dirname(path), file) : join(root, path);
    if (!existsSync(at)) return [target!];
    const anchors = anchor === undefined ? [] : [...readFileSync(at, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchorOf(heading!));
    return anchor === undefined || anchors.includes(anchor) ? [] : [target!];
  });
}

describe.each(documents)('%s', (path) => {
  const code = codeOf(read(path));
  const flagsOf = new Map<string, Set<string>>();

  beforeAll(async () => {
    const help = async (...args: string[]): Promise<string> => {
      let text = '';
      await runCommandLine([...args, '--help'], { out: (piece) => (text += piece), err: (piece) => (text += piece) });
      return text;
    };
    const commands = [...(await help()).matchAll(/^ {2}([a-z][a-z-]+) /gm)].map(([, name]) => name!);
    for (const name of commands) if (name !== 'help') flagsOf.set(name, new Set([...(await help(name)).matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag]) => flag!)));
  });

  it('links to what is there', () => {
    expect(brokenLinks(path)).toEqual([]);
  });

  it('names sources that are there', () => {
    const all = files();
    const named = code.filter((span) => /^[\w./-]+\.(ts|mjs|wgsl|py)$/.test(span) && !span.includes('STEM'));
    expect(named.filter((span) => !all.some((file) => `/${file}`.endsWith(`/${span.replace(/^\.\//, '')}`)))).toEqual([]);
    const folders = code.filter((span) => /^(src|kernels|web|bench|test|docs|experiments)\/[\w./-]*$/.test(span) && !span.includes('STEM'));
    expect(folders.filter((span) => !existsSync(join(root, span)))).toEqual([]);
  });

  it('names npm scripts, commands and flags that are there', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const unknown: string[] = [];
    const any = new Set([...[...flagsOf.values()].flatMap((flags) => [...flags]), ...benchFlags, ...foreignFlags]);
    expect(any.size).toBeGreaterThan(50);
    for (const line of code.map((text) => text.replace(/(^|\s)# .*$/, ''))) {
      for (const [, script] of line.matchAll(/npm run ([\w:]+)/g)) if (!(script! in scripts)) unknown.push(`npm run ${script}`);
      const [, rest] = /(?:ct-lite|node dist\/cli\.js)\s+(.*)$/.exec(line) ?? [];
      const [, training] = /node train\.js(.*)$/.exec(line) ?? [];
      const called = training === undefined ? /^[a-z-]+/.exec(rest ?? '')?.[0] : 'train';
      if (called !== undefined && !flagsOf.has(called)) unknown.push(line);
      const known = called === undefined ? (line.startsWith('--') ? any : null) : flagsOf.get(called);
      for (const [flag] of (training ?? rest ?? line).matchAll(/(?<=^|\s)--[a-z][a-z-]*/g)) if (known && !known.has(flag)) unknown.push(`${called ?? ''} ${flag}`);
    }
    expect(unknown).toEqual([]);
  });
});
