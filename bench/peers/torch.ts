/** PyTorch eager, where `python3` has torch with CUDA: a process of its own, spoken to in lines of JSON. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Peer, Prepared } from './peer.ts';
import { operandsOf, type Problem } from './problems.ts';

type Ask = (request: object) => Promise<Record<string, unknown>>;

/** `CT_LITE_PYTHON` names another interpreter, `CT_LITE_TORCH_DEVICE=cpu` tries the exchange itself without a GPU. */
export async function open(precision: 'f32' | 'bf16'): Promise<Peer> {
  const script = fileURLToPath(new URL('../torch_peer.py', import.meta.url));
  const child = spawn(process.env.CT_LITE_PYTHON ?? 'python3', [script, precision, process.env.CT_LITE_TORCH_DEVICE ?? 'cuda'], { stdio: ['pipe', 'pipe', 'pipe'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let complaint = '';
  child.stderr.on('data', (data: Buffer) => (complaint = String(data).trim().split('\n').at(-1) ?? ''));
  const ended = new Promise<never>((_, reject) => {
    child.on('error', () => reject(new Error('there is no python3')));
    child.on('close', () => reject(new Error(complaint || 'python3 ended')));
  });
  ended.catch(() => {});
  const line = async (): Promise<Record<string, unknown>> => {
    const { value, done } = await Promise.race([lines.next(), ended]);
    if (done) await ended;
    return JSON.parse(value as string) as Record<string, unknown>;
  };
  const { version } = await line();
  const ask: Ask = (request) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    return line();
  };
  return { version: String(version), prepare: async (problem) => (problem.kind === 'trainingStep' ? null : prepare(ask, problem)) };
}

async function prepare(ask: Ask, problem: Problem): Promise<Prepared> {
  const folder = await mkdtemp(join(tmpdir(), 'ct-lite-bench-'));
  const files: Record<string, { file: string; shape: number[] }> = {};
  for (const [name, values] of Object.entries(operandsOf(problem))) {
    files[name] = { file: join(folder, `${name}.in`), shape: problem.shapes[name]! };
    await writeFile(files[name].file, values);
  }
  await ask({ kind: 'prepare', operands: files, backward: problem.backward, problemKind: problem.kind });
  return {
    run: async () => void (await ask({ kind: 'run' })),
    async outputs() {
      const { names } = await ask({ kind: 'outputs', folder });
      const read = async (name: string): Promise<[string, Float32Array]> => [name, new Float32Array(new Uint8Array(await readFile(join(folder, `${name}.out`))).buffer)];
      return Object.fromEntries(await Promise.all((names as string[]).map(read)));
    },
    dispose: () => void rm(folder, { recursive: true, force: true }),
  };
}
