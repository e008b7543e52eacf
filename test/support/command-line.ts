/** The command line as its users have it: bundled, in a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type BuildOptions } from 'esbuild';
// @ts-expect-error plain JavaScript
import { builds } from '../../esbuild.mjs';

const nodeBuild = (builds as BuildOptions[]).find(({ platform }) => platform === 'node')!;

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  out: string;
  err: string;
}

export interface RunningCommand {
  process: ChildProcess;
  finished: Promise<Finished>;
}

export interface StartOptions {
  cwd?: string;
  /** False for what ends before it needs an adapter: it is then not told which to take. */
  gpu?: boolean;
  /** A module for `node --import`, loaded before the command line. */
  preload?: URL;
  /** Added to the environment. */
  env?: Record<string, string>;
  /** User to run as; only root may choose. */
  uid?: number;
}

export interface CommandLine {
  start(args: readonly string[], options?: StartOptions): RunningCommand;
  run(args: readonly string[], options?: StartOptions): Promise<Finished>;
  remove(): Promise<void>;
}

/** Bundles the sources as they are now into a folder of the test's own below dist/, where packages are still found. */
export async function buildCommandLine(name: string): Promise<CommandLine> {
  const folder = fileURLToPath(new URL(`../../dist/test-${name}`, import.meta.url));
  await build({ ...nodeBuild, outdir: folder, sourcemap: false });
  const adapter = process.env.CT_LITE_ADAPTER;
  const start: CommandLine['start'] = (args, { cwd, gpu = true, preload, env, uid } = {}) => {
    const nodeArguments = preload ? ['--import', preload.href] : [];
    const child = spawn(process.execPath, [...nodeArguments, join(folder, 'cli.js'), ...args, ...(adapter && gpu ? ['--adapter', adapter] : [])], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      ...(cwd && { cwd }),
      ...(uid !== undefined && { uid }),
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (err += data));
    const finished = new Promise<Finished>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code, signal, out, err }));
    });
    return { process: child, finished };
  };
  return { start, run: (args, options) => start(args, options).finished, remove: () => rm(folder, { recursive: true, force: true }) };
}
