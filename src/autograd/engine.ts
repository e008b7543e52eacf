import fillSource from '../../kernels/fill.wgsl';
import { byteLength, check, checkShape, countingAdapter, defineKernel, Device, floats, formatShape, sizeOf, type DType, type FloatType, type PoolStats, type Shape, type TuningStore } from '../engine/index.ts';
import { PlanTable } from './plan-table.ts';
import { requireF16 } from './require-f16.ts';
import { castView, runPieces } from './split.ts';
import { reachableNodes, releaseNode, type TapeNode } from './tape.ts';
import { Tensor } from './tensor.ts';
import { tunePlans, type TuneOptions, type TuningReport } from './tune.ts';

export interface TensorOptions {
  requiresGrad?: boolean;
  /** Of numbers: f32 (default), or f16, which needs an adapter with `shader-f16`. */
  dtype?: FloatType;
}

interface Scope {
  tensors: Set<Tensor>;
  nodes: TapeNode[];
}

const fillKernel = defineKernel({
  label: 'fill',
  source: fillSource,
  inputs: [],
  outputs: ['y'],
  elements: floats('y'),
  params: { count: 'u32', value: 'f32' },
  constants: { WORKGROUP_SIZE: 64, RUN: 1 },
  workgroups: ({ count }, { WORKGROUP_SIZE, RUN }) => Math.ceil(count! / (WORKGROUP_SIZE! * RUN!)),
  slab: { param: 'count', bindings: ['y'] },
});

/** Makes tensors on one device and frees them: the entry to everything that computes. Open one with `openEngine`. */
export class Engine {
  readonly device: Device;
  /** Which kernel plans ops take. */
  readonly plans = new PlanTable();
  private readonly tuningStore: TuningStore | null;
  private scopes: Scope[] = [];
  private tracking = true;

  /** `tuningStore`: where `tune` keeps what it finds unless told otherwise. */
  constructor(device: Device, { tuningStore = null }: { tuningStore?: TuningStore | null } = {}) {
    this.device = device;
    this.tuningStore = tuningStore;
  }

  /**
   * A tensor with a copy of `data`. Uint32Array gives u32, Uint8Array u8, all else f32 or, where the options say so, f16. Throws when the
   * length does not fit the shape.
   */
  tensor(data: Float32Array | Uint32Array | Uint8Array | readonly number[], shape: Shape = [data.length], options: TensorOptions = {}): Tensor {
    checkShape(shape, 'tensor');
    check(data.length === sizeOf(shape), 'tensor', () => `shape ${formatShape(shape)} holds ${sizeOf(shape)} values, got ${data.length}`);
    const values = data instanceof Float32Array || data instanceof Uint32Array || data instanceof Uint8Array ? unshared(data) : Float32Array.from(data);
    const tensor = this.empty(shape, values instanceof Uint32Array ? 'u32' : values instanceof Uint8Array ? 'u8' : 'f32');
    tensor.requiresGrad = options.requiresGrad ?? false;
    tensor.write(values);
    return options.dtype === 'f16' ? this.halved(tensor) : tensor;
  }

  /** An f32 tensor rounded to f16, in its place. */
  private halved(tensor: Tensor): Tensor {
    check(tensor.dtype === 'f32', 'tensor', () => `dtype f16 takes numbers, got ${tensor.dtype}`);
    requireF16(this.device);
    const half = this.empty(tensor.shape, 'f16');
    castView(this.device, tensor.view, half.view);
    half.requiresGrad = tensor.requiresGrad;
    tensor.dispose();
    return half;
  }

  /** A tensor of undefined content: for ops, which overwrite it. */
  empty(shape: Shape, dtype: DType = 'f32'): Tensor {
    checkShape(shape, this.device.currentOp);
    return new Tensor(this, shape, dtype, this.device.pool.allocate(byteLength(sizeOf(shape), dtype), this.device.currentOp));
  }

  zeros(shape: Shape, options: TensorOptions = {}): Tensor {
    return this.full(shape, 0, options);
  }

  /** A tensor of f32 or, where the options say so, f16 with every element `value`. */
  full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
    const tensor = this.empty(shape, options.dtype);
    runPieces(this.device, fillKernel, { y: tensor.view }, { count: tensor.size, value });
    tensor.requiresGrad = options.requiresGrad ?? false;
    return tensor;
  }

  /** A new tensor with the values of `x`, without history. */
  copyOf(x: Tensor): Tensor {
    const y = this.empty(x.shape, x.dtype);
    this.device.copy(x.view, y.view);
    return y;
  }

  /**
   * Runs `work` and disposes every tensor made in it, except those it returns (in any nesting of arrays and plain objects) and
   * those given to `keep`. When the outermost scope ends, histories that no returned tensor depends on are freed too. `work` may
   * be async; then no other scope may be opened beside it until it has ended.
   */
  scope<R>(work: () => R): R {
    const scope: Scope = { tensors: new Set(), nodes: [] };
    this.scopes.push(scope);
    let result: R;
    try {
      result = work();
    } catch (error) {
      this.endScope(scope, []);
      throw error;
    }
    if (result instanceof Promise) {
      return result.then(
        (value) => (this.endScope(scope, tensorsIn(value)), value),
        (error) => {
          this.endScope(scope, []);
          throw error;
        },
      ) as R;
    }
    this.endScope(scope, tensorsIn(result));
    return result;
  }

  /** Takes tensors out of every open scope: they live until they are disposed by hand. Returns the first. */
  keep<T extends Tensor>(first: T, ...others: Tensor[]): T {
    for (const tensor of [first, ...others]) for (const scope of this.scopes) scope.tensors.delete(tensor);
    return first;
  }

  /** Bytes and buffers in use. */
  get memory(): PoolStats {
    return this.device.memory;
  }

  /** An engine that allocates what this one would for the same work, and computes nothing: see `countingAdapter`. */
  async counting(): Promise<Engine> {
    const engine = new Engine(await Device.open(countingAdapter(this.device), { bindingLimit: this.device.bindingLimit }));
    engine.plans.pin(this.plans.choices);
    return engine;
  }

  /** Submits what is recorded and waits until the GPU has done it. */
  sync(): Promise<void> {
    return this.device.sync();
  }

  /**
   * Measures the plans of the kernels that ran since `plans.isNoting` was set and pins the fastest, or those that `store` remembers of
   * this adapter. Plans round differently, so results change in their last bits. Call it between steps, outside of scopes.
   */
  tune(options: TuneOptions = {}): Promise<TuningReport> {
    check(this.scopes.length === 0, 'tune', () => 'a scope is open; tune between steps, after it has ended');
    return tunePlans(this, { store: this.tuningStore, ...options });
  }

  /** Frees the device. Every tensor of this engine is lost. */
  destroy(): void {
    this.device.destroy();
  }

  /** Runs `work` under the name of an op: errors and labels carry it, and intermediates are disposed when it returns. */
  inOp<R>(op: string, work: () => R): R {
    const { device } = this;
    const before = device.currentOp;
    device.currentOp = op;
    try {
      return this.scope(work);
    } finally {
      device.currentOp = before;
    }
  }

  /** Called by each new tensor. */
  track(tensor: Tensor): void {
    if (this.tracking) this.scopes.at(-1)?.tensors.add(tensor);
  }

  trackNode(node: TapeNode): void {
    this.scopes.at(-1)?.nodes.push(node);
  }

  /** Runs `work` so that no scope owns the tensors it makes. */
  untracked<R>(work: () => R): R {
    const before = this.tracking;
    this.tracking = false;
    try {
      return work();
    } finally {
      this.tracking = before;
    }
  }

  /** Hands a tensor from the innermost scope to the one around it. */
  moveToOuterScope(tensor: Tensor): void {
    if (this.scopes.at(-1)?.tensors.delete(tensor)) this.scopes.at(-2)?.tensors.add(tensor);
  }

  private endScope(scope: Scope, escaping: Tensor[]): void {
    const index = this.scopes.lastIndexOf(scope);
    check(index === this.scopes.length - 1, 'scope', () => 'an async scope ended while another was open inside it; await one scope before opening the next');
    this.scopes.pop();
    const outer = this.scopes.at(-1);
    for (const tensor of escaping) if (scope.tensors.delete(tensor)) outer?.tensors.add(tensor);
    for (const tensor of scope.tensors) tensor.dispose();
    if (outer) {
      for (const node of scope.nodes) if (node.saved) outer.nodes.push(node);
      return;
    }
    const needed = reachableNodes(escaping);
    for (const node of scope.nodes) if (!needed.has(node)) releaseNode(node);
  }
}

function tensorsIn(value: unknown, found: Tensor[] = []): Tensor[] {
  if (value instanceof Tensor) found.push(value);
  else if (Array.isArray(value)) for (const item of value) tensorsIn(item, found);
  else if (value && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    for (const item of Object.values(value)) tensorsIn(item, found);
  }
  return found;
}

/** Memory that no other thread writes to while it is uploaded: shared memory is copied first. */
function unshared(data: Float32Array | Uint32Array | Uint8Array): Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Uint8Array<ArrayBuffer> {
  return data.buffer instanceof ArrayBuffer ? (data as Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>) : data.slice();
}
