/** Fills a model from somebody's checkpoint and says which of its tensors were used. */
import type { Engine, Tensor } from '../autograd/index.ts';
import type { WeightSource } from './weight-source.ts';

/** Where the tensors of a checkpoint went. Names as the checkpoint spells them. */
export interface KeyReport {
  used: string[];
  /** In the file, and read by nothing. */
  unused: string[];
  /** Wanted, and not in the file. */
  missing: string[];
  /** In the file, with another shape than the rest of it asks for. */
  wrongShape: { name: string; expected: readonly number[]; found: readonly number[] }[];
}

/** A tensor of a checkpoint and the parameters that it fills: one, or several that are stretches of its rows. */
export interface WeightTarget {
  name: string;
  /** Of the whole tensor; a leading 1 may be missing or extra. */
  shape: readonly number[];
  /** Filled one after another, in row-major order. */
  parts: readonly Tensor[];
}

/** Bytes uploaded before the GPU is waited for, so that staging copies do not pile up. */
const bytesInFlight = 256 * 2 ** 20;

/** Compares what a model wants with what a checkpoint has. Reads nothing. */
export function compareKeys(source: WeightSource, targets: readonly WeightTarget[]): KeyReport {
  const report: KeyReport = { used: [], unused: [], missing: [], wrongShape: [] };
  const wanted = new Set(targets.map(({ name }) => name));
  for (const { name, shape } of targets) {
    const found = source.tensors.get(name);
    if (!found) report.missing.push(name);
    else if (withoutOnes(found.shape) !== withoutOnes(shape)) report.wrongShape.push({ name, expected: shape, found: found.shape });
    else report.used.push(name);
  }
  report.unused = [...source.tensors.keys()].filter((name) => !wanted.has(name));
  return report;
}

function withoutOnes(shape: readonly number[]): string {
  const first = shape.findIndex((size) => size !== 1);
  return first < 0 ? '' : shape.slice(first).join();
}

/** @throws Error naming what is missing and what has another shape; the whole report is its `keys` */
export function requireKeys(op: string, source: WeightSource, report: KeyReport): void {
  const { missing, wrongShape } = report;
  if (!missing.length && !wrongShape.length) return;
  const some = (names: readonly string[]): string => `${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
  const parts = [
    ...(missing.length ? [`${missing.length} tensors are missing: ${some(missing)}`] : []),
    ...(wrongShape.length ? [`${wrongShape.length} have another shape: ${some(wrongShape.map(({ name, expected, found }) => `${name} must be [${expected.join(', ')}], got [${found.join(', ')}]`))}`] : []),
  ];
  const error = new Error(`${op}: ${source.name}: ${parts.join('; ')}; give a complete checkpoint of this model (ct-lite convert FILE lists what a file holds)`);
  throw Object.assign(error, { keys: report });
}

/** Fills parameters, holding one stretch of one tensor at a time on the CPU. The report must have been required. */
export async function fillWeights(engine: Engine, source: WeightSource, targets: readonly WeightTarget[], onProgress?: (done: number, total: number) => void): Promise<void> {
  const total = targets.reduce((sum, { parts }) => sum + parts.reduce((bytes, tensor) => bytes + tensor.bytes, 0), 0);
  let [done, unsynced] = [0, 0];
  for (const { name, parts } of targets) {
    let start = 0;
    for (const tensor of parts) {
      const end = start + tensor.size;
      const values = await source.readFloat32(name, parts.length > 1 ? { start, end } : undefined);
      if (values.length !== tensor.size) throw new Error(`${source.name}: tensor "${name}": elements ${start} to ${end} must be ${tensor.size}, the file gave ${values.length}`);
      tensor.write(values);
      start = end;
      done += tensor.bytes;
      unsynced += tensor.bytes;
      onProgress?.(done, total);
      if (unsynced < bytesInFlight) continue;
      await engine.sync();
      unsynced = 0;
    }
  }
}
