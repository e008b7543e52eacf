/**
 * What FAST takes of a foreign teacher (CT-CLIP), computed once a scan and kept on disk: the teacher is on the GPU only before the first
 * epoch, and never beside the student. Taps in half precision on the token grid that student and teacher have in common.
 */
import { noGrad, type Engine } from '../autograd/index.ts';
import { fromFloat32, halfBits, toFloat32, type CohortScan, type FileSystem } from '../data/index.ts';
import { poolTaps, type Tap, type TokenGrid, type VisionEncoder } from '../model/index.ts';
import type { TeacherConfig } from './config.ts';
import { decodeSafetensors, encodeSafetensors, type SafetensorsTensor } from './safetensors.ts';

const FORMAT = 'ct-lite-teacher-targets';
/** Part of every key: raise it where the teacher's input or the taps are made in another way. */
const VERSION = 1;
const TAP_NAMES = ['spatial', 'temporal'] as const;
const PARTS = ['residual', 'features'] as const;

/** Values of the taps of a batch, [B, N, C] each. */
export type HostTaps = Record<keyof Tap, Float32Array<ArrayBuffer>>[];

export interface TeacherTargetsOptions {
  files: FileSystem;
  /** Where the targets lie; made where it is missing. May be shared between runs. */
  folder: string;
  teacher: TeacherConfig;
  /** The scan as the student's preset has it, uncompressed: its bytes are part of the key. */
  raw: (scan: CohortScan) => Promise<Float32Array>;
}

/** The scan on the teacher's own grid, [D·Y·X] in [−1, 1], uncompressed. */
export type DecodeForTeacher = (scan: CohortScan) => Promise<Float32Array>;

export class TeacherTargets {
  readonly teacher: TeacherConfig;
  private readonly files: FileSystem;
  private readonly folder: string;
  private readonly raw: TeacherTargetsOptions['raw'];
  private readonly keys = new Map<string, Promise<string>>();

  constructor({ files, folder, teacher, raw }: TeacherTargetsOptions) {
    this.files = files;
    this.folder = folder;
    this.teacher = teacher;
    this.raw = raw;
  }

  /** Those of `scans` that have no targets yet. */
  async missing(scans: readonly CohortScan[]): Promise<CohortScan[]> {
    const found: CohortScan[] = [];
    for (const scan of scans) if (!(await this.files.exists(await this.path(scan)))) found.push(scan);
    return found;
  }

  /** Runs the teacher on one scan and writes its targets. `encoder.grid` is the teacher's own. */
  async make(engine: Engine, encoder: VisionEncoder, scan: CohortScan, inputShape: TokenGrid, decode: DecodeForTeacher): Promise<void> {
    const values = (await decode(scan)) as Float32Array<ArrayBuffer>;
    const tensors: Record<string, SafetensorsTensor> = {};
    await engine.scope(async () => {
      const taps = noGrad(() => engine.scope(() => poolTaps(encoder.forward(engine.tensor(values, [1, 1, ...inputShape])).taps, encoder.grid, this.teacher.grid)));
      for (const [index, tap] of taps.entries()) {
        for (const part of PARTS) {
          const [, tokens, channels] = tap[part].shape as [number, number, number];
          tensors[`${TAP_NAMES[index]!}.${part}`] = encodeTap((await tap[part].toArray()) as Float32Array<ArrayBuffer>, [tokens, channels], `${scan.id}: the teacher's ${TAP_NAMES[index]!} ${part}`);
        }
      }
    });
    await this.files.makeDirectory(this.folder);
    await this.files.writeFile(await this.path(scan), encodeSafetensors(tensors, { format: FORMAT, version: String(VERSION), scan: scan.id, teacher: this.teacher.weights, grid: JSON.stringify(this.teacher.grid) }));
  }

  /** Targets of a batch, scan after scan. @throws Error naming the file where it is missing, damaged or of another shape */
  async batch(scans: readonly CohortScan[]): Promise<HostTaps> {
    const { grid, width } = this.teacher;
    const size = grid[0] * grid[1] * grid[2] * width;
    const taps: HostTaps = TAP_NAMES.map(() => ({ residual: new Float32Array(scans.length * size), features: new Float32Array(scans.length * size) }));
    for (const [row, scan] of scans.entries()) {
      const path = await this.path(scan);
      const { tensors } = decodeSafetensors(await this.files.readFile(path), path);
      for (const [index, name] of TAP_NAMES.entries()) {
        for (const part of PARTS) taps[index]![part].set(decodeTap(tensors[`${name}.${part}`], size, `${path}: "${name}.${part}"`), row * size);
      }
    }
    return taps;
  }

  /** SHA-256 of everything that the targets depend on. */
  private path(scan: CohortScan): Promise<string> {
    const known = this.keys.get(scan.id);
    if (known) return known;
    const made = this.key(scan).then((key) => this.files.join(this.folder, `${key}.safetensors`));
    made.catch(() => this.keys.delete(scan.id));
    this.keys.set(scan.id, made);
    return made;
  }

  private async key(scan: CohortScan): Promise<string> {
    const { weights, input, grid, width } = this.teacher;
    const values = await this.raw(scan);
    const volume = await sha256(new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength));
    return sha256(new TextEncoder().encode(JSON.stringify({ FORMAT, VERSION, scan: scan.id, volume, weights, input, grid, width })));
  }
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Half precision; f32 where a value is beyond it. */
function encodeTap(values: Float32Array<ArrayBuffer>, shape: number[], what: string): SafetensorsTensor {
  let largest = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) throw new Error(`${what} hold ${value}; the scan or the teacher's weights are damaged`);
    largest = Math.max(largest, Math.abs(value));
  }
  if (halfBits(largest) === 0x7c00) return { dtype: 'F32', shape, data: values };
  const bytes = fromFloat32(values, 'F16');
  return { dtype: 'F16', shape, data: new Uint16Array(bytes.buffer) };
}

function decodeTap(tensor: SafetensorsTensor | undefined, size: number, what: string): Float32Array {
  if (!tensor || (tensor.dtype !== 'F16' && tensor.dtype !== 'F32') || tensor.data.length !== size) {
    throw new Error(`${what} must be ${size} numbers in F16 or F32, got ${tensor ? `${tensor.dtype} [${tensor.shape.join(', ')}]` : 'none'}; remove the file and run again, the teacher then makes it anew`);
  }
  return toFloat32(new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength), tensor.dtype);
}
