import { ELEMENT_BYTES } from './element-types.ts';
import type { RandomAccess } from './random-access.ts';
import { parseSafetensorsHeader, SAFETENSORS_START_BYTES, safetensorsDataStart, safetensorsFailures, type SafetensorsEntry } from './safetensors-header.ts';
import { TensorFile, type ElementRange } from './tensor-file.ts';

/**
 * Opens a safetensors file: reads and checks its header, and nothing else until a tensor is asked for.
 *
 * @throws Error "openSafetensors: NAME: …" for a foreign, cut or inconsistent file, with a remedy
 */
export async function openSafetensors(access: RandomAccess, name: string): Promise<TensorFile> {
  const failures = safetensorsFailures('openSafetensors', name);
  const first = await access.read(0, Math.min(SAFETENSORS_START_BYTES, access.byteLength));
  const dataStart = safetensorsDataStart(first, access.byteLength, failures);
  const { entries, metadata } = parseSafetensorsHeader(await access.read(0, dataStart), access.byteLength - dataStart, failures);
  return new SafetensorsFile(access, name, dataStart, entries, metadata);
}

class SafetensorsFile extends TensorFile {
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  private readonly access: RandomAccess;
  private readonly dataStart: number;

  constructor(access: RandomAccess, name: string, dataStart: number, entries: readonly SafetensorsEntry[], metadata: Record<string, string>) {
    super(name, metadata);
    this.access = access;
    this.dataStart = dataStart;
    this.tensors = new Map(entries.map((entry) => [entry.name, entry]));
  }

  protected readRange(tensor: string, { start, end }: ElementRange): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.tensors.get(tensor)!;
    const bytes = ELEMENT_BYTES[entry.dtype];
    return this.access.read(this.dataStart + entry.start + start * bytes, (end - start) * bytes);
  }
}
