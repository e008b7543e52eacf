/** `ct-lite convert`: a PyTorch checkpoint to safetensors, or a list of what is in it. */
import { realpath } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { elementCount, ELEMENT_BYTES, safetensorsParts, type TensorFile } from '../data/index.ts';
import { nodeFiles, writeFileParts } from '../platform/node-files.ts';
import { createProgress } from '../platform/progress.ts';
import { Interrupted, interruptSignal } from './interrupt.ts';
import { openWeightFile } from './weight-files.ts';

interface ConvertFlags {
  out?: string;
  dtype?: 'f32' | 'f16';
}

export function convertCommand(): Command {
  return new Command('convert')
    .description('read a PyTorch checkpoint (.pt, .pth, .bin) or a safetensors file without running anything in it, and write safetensors; without --out list its tensors')
    .argument('<file>', 'checkpoint; a state dictionary inside a training checkpoint is found')
    .option('--out <file>', 'the safetensors file to write')
    .addOption(new Option('--dtype <type>', 'type of the floating-point tensors; default: as they are').choices(['f32', 'f16']))
    .action(runConvert);
}

async function runConvert(path: string, { out, dtype }: ConvertFlags): Promise<void> {
  const file = await openWeightFile(path);
  if (!out) return void process.stdout.write(listing(file));
  if (await nodeFiles.exists(out)) throw new Error(`convert: --out ${out}: ${(await isSameFile(path, out)) ? 'is the file that is read; choose another name' : 'a file of that name is there already; choose another, or remove it'}`);
  await write(file, out, dtype === undefined ? {} : { dtype: dtype === 'f32' ? 'F32' : 'F16' });
  const elements = [...file.tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  process.stdout.write(`${file.tensors.size} tensors, ${elements.toLocaleString('en')} elements: ${out}\n`);
}

async function isSameFile(a: string, b: string): Promise<boolean> {
  return (await realpath(a)) === (await realpath(b));
}

async function write(file: TensorFile, out: string, options: { dtype?: 'F32' | 'F16' }): Promise<void> {
  const signal = interruptSignal();
  const mebibyte = 2 ** 20;
  const total = [...file.tensors.values()].reduce((sum, { dtype, shape }) => sum + elementCount(shape) * ELEMENT_BYTES[dtype], 0);
  const progress = createProgress({ title: 'MiB', total: Math.ceil(total / mebibyte) });
  const onProgress = (bytes: number, all: number): void => {
    if (signal.aborted) throw new Interrupted(`interrupted; nothing was written to ${out}`);
    progress.update(Math.round((bytes / all) * Math.ceil(total / mebibyte)));
  };
  try {
    await writeFileParts(out, safetensorsParts(file, { ...options, onProgress }));
  } finally {
    progress.stop();
  }
}

/** A line a tensor: name, type, shape. */
function listing(file: TensorFile): string {
  const lines = [...file.tensors].map(([name, { dtype, shape }]) => `${name}\t${dtype}\t[${shape.join(', ')}]`);
  const bytes = [...file.tensors.values()].reduce((sum, { dtype, shape }) => sum + elementCount(shape) * ELEMENT_BYTES[dtype], 0);
  return `${[...lines, `${file.tensors.size} tensors, ${(bytes / 2 ** 20).toFixed(1)} MiB`].join('\n')}\n`;
}
