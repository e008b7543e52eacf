/** `ct-lite compress-head CHECKPOINT`: dense projection heads to Block Tensor Trains. */
import { dirname } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { nodeFiles } from '../platform/node-files.ts';
import { compressCheckpoint } from '../train/index.ts';
import { wholeNumber } from './options.ts';
import { findCheckpoint } from './run-folder.ts';

interface CompressHeadFlags {
  out: string;
  rank?: number;
  keep?: number;
  json?: boolean;
}

export function compressHeadCommand(): Command {
  return new Command('compress-head')
    .description('convert the dense projection heads of a checkpoint (train --head dense) to Block Tensor Trains by block-wise truncated SVD; eval and predict load the result')
    .argument('<checkpoint>', 'checkpoint.safetensors or a run folder')
    .requiredOption('--out <file>', 'the converted checkpoint, a .safetensors file')
    .addOption(new Option('--rank <r>', 'rank of every block; default that of the preset, which keeps about half').argParser(wholeNumber(1)).conflicts('keep'))
    .option('--keep <fraction>', 'share of the weights to keep, above 0 and at most 1: the largest rank within it', fraction)
    .option('--json', 'print JSON')
    .action(runCompressHead);
}

function fraction(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError('It must be a number above 0 and at most 1.');
  return value;
}

async function runCompressHead(checkpoint: string, { out, rank, keep, json }: CompressHeadFlags): Promise<void> {
  // Every command finds a checkpoint file by this ending.
  if (!out.endsWith('.safetensors')) throw new Error(`--out ${out}: must end in .safetensors; eval and predict take the checkpoint by that name`);
  const file = await findCheckpoint(checkpoint);
  if (await nodeFiles.exists(out)) throw new Error(`--out ${out}: a file of that name is there already; choose another, or remove it`);
  const result = compressCheckpoint(await nodeFiles.readFile(file), file, { ...(rank !== undefined && { rank }), ...(keep !== undefined && { keep }) });
  await nodeFiles.makeDirectory(dirname(out));
  await nodeFiles.writeFile(out, result.bytes);
  if (json) {
    process.stdout.write(`${JSON.stringify({ checkpoint: file, out, rank: result.rank, heads: result.heads }, null, 2)}\n`);
    return;
  }
  for (const { head, inFeatures, latent, relativeError, parametersBefore, parametersAfter } of result.heads) {
    const share = ((100 * parametersAfter) / parametersBefore).toFixed(1);
    process.stdout.write(`${head.padEnd(18)} ${inFeatures} → ${latent}, rank ${result.rank}: relative error ${relativeError.toPrecision(3)} (Frobenius), ${parametersBefore} → ${parametersAfter} parameters (${share} %)\n`);
  }
  process.stdout.write(`${out}\n`);
}
