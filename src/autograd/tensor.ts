import { byteLength, check, formatShape, sizeOf, type BufferView, type DType, type PoolBuffer, type Shape } from '../engine/index.ts';
import type { Engine } from './engine.ts';
import { castView } from './split.ts';
import { runBackward, type TapeNode } from './tape.ts';

/** A pool buffer and the number of tensor handles that share it; the last one to go returns it to the pool. */
class Storage {
  readonly buffer: PoolBuffer;
  handles = 0;

  constructor(buffer: PoolBuffer) {
    this.buffer = buffer;
  }
}

/** What a handle holds. Apart from the tensor, so that the finalization registry can release it after the tensor is collected. */
class Lease {
  readonly storage: Storage;
  readonly engine: Engine;
  released = false;

  constructor(engine: Engine, storage: Storage) {
    this.engine = engine;
    this.storage = storage;
    storage.handles++;
  }

  release(): void {
    if (this.released) return;
    this.released = true;
    if (--this.storage.handles === 0) this.engine.device.pool.release(this.storage.buffer);
  }
}

const collected = new FinalizationRegistry<Lease>((lease) => lease.release());

/**
 * An n-dimensional array on the GPU, row-major and contiguous.
 *
 * A tensor is a handle: `reshape` and `detach` give further handles on the same memory. Memory returns to the pool when every
 * handle is disposed: by `dispose()`, by the end of the `engine.scope` that made it, or, as a last resort, by garbage collection.
 */
export class Tensor {
  readonly engine: Engine;
  readonly shape: Shape;
  readonly dtype: DType;
  /** Whether `backward` leaves this leaf's gradient in `grad`, or the tape passes through it. */
  requiresGrad: boolean;
  /** Accumulated gradient of a leaf: every `backward` adds to it. Dispose and null it (`zeroGrad`) between steps. */
  grad: Tensor | null = null;
  /** The op that made it, while its gradient is still to be computed. Not for users. */
  node: TapeNode | null = null;
  private readonly lease: Lease;

  /** Not for users: `engine.tensor`, `engine.zeros` and the ops make tensors. */
  constructor(engine: Engine, shape: Shape, dtype: DType, source: PoolBuffer | Tensor, requiresGrad = false) {
    this.engine = engine;
    this.shape = shape;
    this.dtype = dtype;
    this.requiresGrad = requiresGrad;
    this.lease = new Lease(engine, source instanceof Tensor ? source.lease.storage : new Storage(source));
    collected.register(this, this.lease, this);
    engine.track(this);
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  get rank(): number {
    return this.shape.length;
  }

  /** Of its values. u8 counts whole words, as it is bound. */
  get bytes(): number {
    return this.dtype === 'f16' ? 2 * this.size : byteLength(this.size, this.dtype);
  }

  get disposed(): boolean {
    return this.lease.released;
  }

  /** True when no other handle shares the memory, so that an op may write into it. */
  get isSoleHandle(): boolean {
    return this.lease.storage.handles === 1;
  }

  /** The memory as kernels bind it. Throws when disposed. */
  get view(): BufferView {
    check(!this.disposed, this.engine.device.currentOp, () => `a tensor ${formatShape(this.shape)} is used after it was disposed; keep it with engine.keep or return it from the scope`);
    return { buffer: this.lease.storage.buffer, offset: 0, bytes: this.bytes, dtype: this.dtype };
  }

  /** Another handle on the same memory, optionally with another shape of the same size, without history. */
  alias(shape: Shape = this.shape): Tensor {
    check(sizeOf(shape) === this.size, 'alias', () => `${formatShape(this.shape)} cannot be seen as ${formatShape(shape)}`);
    check(!this.disposed, 'alias', () => `a tensor ${formatShape(this.shape)} is used after it was disposed`);
    return new Tensor(this.engine, shape, this.dtype, this);
  }

  /** The same values without history: gradients stop here. Shares the memory. */
  detach(): Tensor {
    return this.alias();
  }

  /** Reads the values back: Float32Array for f32 and f16, Uint32Array for u32, Uint8Array for u8. Waits for the GPU. */
  async toArray(): Promise<Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>> {
    if (this.dtype === 'f16') return this.widened();
    const buffer = await this.engine.device.read(this.view);
    if (this.dtype === 'f32') return new Float32Array(buffer, 0, this.size);
    if (this.dtype === 'u8') return new Uint8Array(buffer, 0, this.size);
    return new Uint32Array(buffer, 0, this.size);
  }

  /** Values of f16, converted by the GPU. */
  private async widened(): Promise<Float32Array<ArrayBuffer>> {
    const { device } = this.engine;
    const bytes = byteLength(this.size, 'f32');
    const buffer = device.pool.allocate(bytes, 'toArray');
    const view: BufferView = { buffer, offset: 0, bytes };
    try {
      castView(device, this.view, view);
      return new Float32Array(await device.read(view), 0, this.size);
    } finally {
      device.pool.release(buffer);
    }
  }

  /** The value of a one-element tensor. */
  async item(): Promise<number> {
    check(this.size === 1, 'item', () => `takes a tensor of one element, got ${formatShape(this.shape)}`);
    return (await this.toArray())[0]!;
  }

  /** Overwrites the values with `data` of the same length and type. */
  write(data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>): void {
    check(data.length === this.size, 'write', () => `takes ${this.size} values, got ${data.length}`);
    check(this.dtype !== 'f16', 'write', () => 'cannot write to f16; make an f32 tensor and convert it: ops.cast(x, \'f16\')');
    this.engine.device.upload(this.view.buffer, data);
  }

  /**
   * Adds the gradient of this tensor (a scalar, or weighted by `dY` of the same shape) to `grad` of every leaf it depends on.
   * The history is used up. Resolves when the GPU accepted the work; throws what it reported.
   */
  async backward(dY?: Tensor): Promise<void> {
    runBackward(this, dY);
    await this.engine.device.checkErrors();
  }

  /** Drops `grad`, so that the next `backward` starts from zero. */
  zeroGrad(): void {
    this.grad?.dispose();
    this.grad = null;
  }

  /** Releases this handle. Safe to call twice. The tape keeps what it saved for backward. */
  dispose(): void {
    collected.unregister(this);
    this.lease.release();
  }
}
