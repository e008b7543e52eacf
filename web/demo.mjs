#!/usr/bin/env node
// Makes the demo model that the page ships, web/demo/: trains on drawn chests, keeps the weights and leaves the optimiser's state,
// and writes down how it was made. `npm run web:demo`; flags go to train.js, for example `npm run web:demo -- --adapter lavapipe`.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'web', 'demo');
/** Longer than the default run, which is there to be quick. */
const recipe = ['--preset', 'tiny', '--seed', '0', '--steps', '420'];

/** A safetensors file without the tensors whose names begin with `prefix`. */
export function withoutTensors(bytes, prefix) {
  const headBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + headBytes));
  const kept = {};
  const parts = [];
  let at = 0;
  const { __metadata__, ...tensors } = header;
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(tensors)) {
    if (name.startsWith(prefix)) continue;
    kept[name] = { dtype, shape, data_offsets: [at, at + end - start] };
    parts.push(bytes.subarray(8 + headBytes + start, 8 + headBytes + end));
    at += end - start;
  }
  const text = JSON.stringify({ __metadata__: { ...__metadata__, optimizerSteps: '0' }, ...kept });
  const head = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(head.length));
  return Buffer.concat([length, head, ...parts]);
}

/** Runs train.js, shows what it says, and returns that. */
function train(flags, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'train.js'), ...flags], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const [stream, own] of [[child.stdout, process.stdout], [child.stderr, process.stderr]]) {
      stream.on('data', (piece) => {
        said += piece;
        own.write(piece);
      });
    }
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(said) : reject(new Error('the training ended with an error; see above'))));
  });
}

/** The commit, marked where files differ from it; null outside a checkout. */
function commit() {
  const { status, stdout } = spawnSync('git', ['describe', '--always', '--abbrev=12', '--dirty'], { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}

async function replace(name, content) {
  await writeFile(join(folder, `${name}.tmp`), content);
  await rename(join(folder, `${name}.tmp`), join(folder, name));
}

async function make(flags, work) {
  const madeFrom = commit();
  const run = join(work, 'run');
  const said = await train([...recipe, ...flags, '--out', run], work);
  const checkpoint = withoutTensors(await readFile(join(run, 'checkpoint.safetensors')), 'optimizer.');
  const { student } = JSON.parse(await readFile(join(run, 'evaluation.json'), 'utf8'));
  const { auroc } = student.mean;
  const provenance = {
    what: 'CT-Lite, trained on drawn chests (phantoms) alone: it shows how the software works and knows nothing of real patients',
    command: ['npm run web:demo', ...(flags.length ? ['--', ...flags] : [])].join(' '),
    training: ['node train.js', ...recipe, ...flags].join(' '),
    commit: madeFrom,
    adapter: /^adapter: (.*)$/m.exec(said)?.[1] ?? null,
    test: { scans: 'the drawn test patients of the same cohort', meanAuroc: auroc, interval95: [student.meanInterval.low, student.meanInterval.high] },
    bytes: checkpoint.length,
    sha256: createHash('sha256').update(checkpoint).digest('hex'),
  };
  await mkdir(folder, { recursive: true });
  await replace('checkpoint.safetensors', checkpoint);
  await replace('provenance.json', `${JSON.stringify(provenance, null, 2)}\n`);
  console.log(`demo model: web/demo/checkpoint.safetensors, ${(checkpoint.length / 1e6).toFixed(1)} MB, mean AUROC ${auroc.toFixed(3)}; the next build takes it along`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const work = await mkdtemp(join(tmpdir(), 'ct-lite-demo-'));
  try {
    await make(process.argv.slice(2), work);
  } catch (error) {
    console.error(`web:demo: ${error.message}`);
    process.exitCode = 1;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
