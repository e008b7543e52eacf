#!/usr/bin/env node
// Trains the page's demo model on drawn chests and puts it beside the page: `npm run web:demo` (about a minute and a half on
// lavapipe, four on SwiftShader). Flags go to train.js, for example `npm run web:demo -- --adapter swiftshader`.
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const work = await mkdtemp(join(tmpdir(), 'ct-lite-demo-'));
try {
  const { status } = spawnSync(process.execPath, ['train.js', ...process.argv.slice(2), '--out', join(work, 'run')], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error('the training ended with an error; see above');
  await mkdir(join(root, 'dist', 'web', 'demo'), { recursive: true });
  await copyFile(join(work, 'run', 'checkpoint.safetensors'), join(root, 'dist', 'web', 'demo', 'checkpoint.safetensors'));
  console.log('demo model: dist/web/demo/checkpoint.safetensors');
} catch (error) {
  console.error(`web:demo: ${error.message}`);
  process.exitCode = 1;
} finally {
  await rm(work, { recursive: true, force: true });
}
