import { BufferPool, GPUBufferUsageFlags, mebibytes, type PoolBuffer, type PoolStats } from './buffers.ts';
import type { DType } from './dtype.ts';
import { check, DeviceLostError, EngineError, OutOfMemoryError } from './errors.ts';
import { packParams, type Kernel, type Params } from './kernel.ts';
import { BINDING_ALIGNMENT, checkLimits } from './limits.ts';
import { PipelineCache, type CompiledKernel } from './pipelines.ts';
import { Profiler, type DeviceProfile, type KernelTime, type Stretch } from './profile.ts';

export interface DeviceOptions {
  /** Most bytes of GPU buffers, lent and held for reuse together. Default: no limit but the adapter's. */
  memoryBudget?: number;
  /** Treats bindings above this as too large although the adapter would take them (for tests). In bytes. */
  bindingLimit?: number;
  /** Submits every dispatch by itself in its own error scope: slow, but an error names its very op. */
  debug?: boolean;
  /**
   * Runs the host's garbage collector. WebGPU has no call to free a bind group: it lives until its JavaScript object is collected,
   * which a host does not hurry for objects this small. Lavapipe maps a page of memory for each, and a Linux process that has 65,530
   * pages mapped dies. Without it the host's own pace has to do.
   */
  collectGarbage?: () => void;
}

/** A stretch of a buffer as a kernel binds it. `offset` and `bytes` in bytes. */
export interface BufferView {
  buffer: PoolBuffer;
  offset: number;
  bytes: number;
  /** Type of the elements. Only f16 makes a difference to kernels; default f32. */
  dtype?: DType;
}

const dispatchesPerBatch = 128;
/** Of the first batch for a GPU that has nothing left to do: it then works while the next one is recorded. */
const dispatchesToStart = 16;
const uniformAlignment = BINDING_ALIGNMENT;
/** Where a view that a kernel binds may start. In bytes. */
export const storageAlignment = BINDING_ALIGNMENT;
/** On CPU adapters an invocation costs as much as dozens of elements. */
const softwareRun = 64;
/** How long a device that is gone may take to say so. */
const lossNoticeMs = 1000;
const maxCachedBindGroups = 8192;
/** New bind groups, of all devices, after which those that nobody holds any more are collected. */
const bindGroupsBetweenCollections = 8192;
let newBindGroups = 0;
const subgroupMatrixFeature = 'chromium-experimental-subgroup-matrix' as GPUFeatureName; // Dawn's: @webgpu/types does not know it
const wantedFeatures: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query', subgroupMatrixFeature];

/** A product that the adapter's matrix units compute: M × K by K × N, of one type of operands and one of sums. */
export interface SubgroupMatrixConfig {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}

/**
 * A GPUDevice with a buffer pool, a pipeline cache and batched submission.
 *
 * Dispatches are recorded into one compute pass and submitted every 128, or when something is read. Errors that the GPU reports
 * later are kept and thrown by the next `checkErrors`, `sync` or `read`.
 */
export class Device {
  readonly gpu: GPUDevice;
  readonly adapterInfo: GPUAdapterInfo;
  /** None where the device lacks `chromium-experimental-subgroup-matrix`. */
  readonly subgroupMatrixConfigs: readonly SubgroupMatrixConfig[];
  readonly pool: BufferPool;
  readonly bindingLimit: number;
  /** Op whose dispatches are being recorded; in the message of every error and label. */
  currentOp = 'engine';
  /** Bytes that `upload` has sent so far. */
  uploadedBytes = 0;
  private readonly debug: boolean;
  private readonly collectGarbage: () => void;
  private readonly pipelines: PipelineCache;
  private readonly bindGroups = new Map<string, GPUBindGroup>();
  private readonly uniforms: GPUBuffer;
  private readonly uniformBytes = new Uint8Array(dispatchesPerBatch * uniformAlignment);
  private readonly uniformData = new DataView(this.uniformBytes.buffer);
  private encoder: GPUCommandEncoder | null = null;
  private pass: GPUComputePassEncoder | null = null;
  private dispatches = 0;
  /** All that was submitted is done. */
  private drained = true;
  private batch = 0;
  private opsInBatch = new Set<string>();
  private failures = new Set<Promise<EngineError | null>>();
  private firstError: EngineError | null = null;
  private firstErrorOrder = Infinity;
  private watched = 0;
  private lostError: DeviceLostError | null = null;
  private profiler: Profiler | null = null;
  /** Resolves when the device is lost for a reason other than `destroy`. */
  readonly lost: Promise<DeviceLostError>;

  /**
   * Opens a device on an adapter with the largest buffers and bindings it offers, and `shader-f16`, `subgroups`, `timestamp-query`
   * and `chromium-experimental-subgroup-matrix` where it has them. Throws EngineError where the adapter lacks a limit that the kernels need, or gives no
   * device.
   */
  static async open(adapter: GPUAdapter, options: DeviceOptions = {}): Promise<Device> {
    const { limits, info } = adapter;
    const name = info.description || info.device || info.vendor || 'unnamed adapter';
    checkLimits(adapter, name);
    const requiredLimits: Record<string, number> = {
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
    };
    let gpu: GPUDevice;
    try {
      gpu = await adapter.requestDevice({
        label: 'ct-lite',
        requiredLimits,
        requiredFeatures: wantedFeatures.filter((feature) => adapter.features.has(feature)),
      });
    } catch (cause) {
      throw new EngineError('Device.open', `the adapter "${name}" gives no device: ${String(cause)}; choose another adapter, or update its driver`, { cause });
    }
    return new Device(gpu, info, options);
  }

  private constructor(gpu: GPUDevice, adapterInfo: GPUAdapterInfo, options: DeviceOptions) {
    this.gpu = gpu;
    this.adapterInfo = adapterInfo;
    this.subgroupMatrixConfigs = gpu.features.has(subgroupMatrixFeature) ? matrixConfigsOf(adapterInfo) : [];
    this.debug = options.debug ?? false;
    this.collectGarbage = options.collectGarbage ?? (() => {});
    this.bindingLimit = Math.min(options.bindingLimit ?? Infinity, gpu.limits.maxStorageBufferBindingSize);
    this.pool = new BufferPool(gpu, options.memoryBudget ?? Infinity, (where, scope) => this.watchScope(where, scope));
    this.pool.beforeTrim = () => this.flush();
    this.pipelines = new PipelineCache(gpu, (failure) => this.watch(failure), this.isSoftware ? softwareRun : 1);
    this.uniforms = gpu.createBuffer({ label: 'params', size: this.uniformData.byteLength, usage: GPUBufferUsageFlags.UNIFORM | GPUBufferUsageFlags.COPY_DST });
    gpu.addEventListener?.('uncapturederror', (event) => {
      this.firstError ??= new EngineError('device', (event as GPUUncapturedErrorEvent).error.message);
    });
    this.lost = gpu.lost.then((info) => {
      this.lostError = new DeviceLostError(info.reason, info.message || 'no further message');
      return info.reason === 'destroyed' ? new Promise<never>(() => {}) : this.lostError;
    });
  }

  /** True on adapters that run on the CPU (SwiftShader, lavapipe, WARP): kernels choose plans without workgroup memory there. */
  get isSoftware(): boolean {
    const { vendor, architecture, device, description } = this.adapterInfo;
    return /swiftshader|llvmpipe|lavapipe|software|basic render/i.test(`${vendor} ${architecture} ${device} ${description}`);
  }

  /** Whether kernels can read and write f16 here. */
  get canF16(): boolean {
    return this.gpu.features.has('shader-f16');
  }

  get memory(): PoolStats {
    return this.pool.snapshot;
  }

  /** Counts `memory.peakBytes` anew, from what is in use now. */
  resetPeakMemory(): void {
    this.pool.resetPeak();
  }

  /** Uploads `data` to the start of `buffer`. Copies at once: the array may be reused. */
  upload(buffer: PoolBuffer, data: ArrayBufferView<ArrayBuffer>): void {
    this.throwIfLost();
    if (buffer.lastBatch === this.batch) this.flush();
    this.uploadedBytes += data.byteLength;
    const bytes = Math.floor(data.byteLength / 4) * 4;
    if (bytes) this.gpu.queue.writeBuffer(buffer.gpu, 0, data.buffer, data.byteOffset, bytes);
    if (bytes !== data.byteLength) {
      const rest = new Uint8Array(4);
      rest.set(new Uint8Array(data.buffer, data.byteOffset + bytes, data.byteLength - bytes));
      this.gpu.queue.writeBuffer(buffer.gpu, bytes, rest);
    }
  }

  /** Submits all recorded work and reads `bytes` of a buffer. Throws what the GPU reported since the last check. */
  async read(view: BufferView): Promise<ArrayBuffer> {
    this.throwIfLost();
    const bytes = Math.ceil(view.bytes / 4) * 4;
    const staging = this.gpu.createBuffer({ label: `${this.currentOp} readback`, size: bytes, usage: GPUBufferUsageFlags.MAP_READ | GPUBufferUsageFlags.COPY_DST });
    try {
      this.endPass();
      this.openEncoder().copyBufferToBuffer(view.buffer.gpu, view.offset, staging, 0, bytes);
      this.flush();
      const { batch } = this;
      await staging.mapAsync(1 /* GPUMapMode.READ */);
      this.drained = batch === this.batch;
      await this.checkErrors();
      return staging.getMappedRange().slice(0, view.bytes);
    } catch (cause) {
      await this.checkErrors();
      // Only a lost device ends the wait for a buffer so, and in Chromium now and then before it says that it is lost.
      if (cause instanceof Error && cause.name === 'AbortError') await Promise.race([this.gpu.lost, new Promise((resolve) => setTimeout(resolve, lossNoticeMs))]);
      if (this.lostError) throw this.lostError;
      throw cause instanceof EngineError ? cause : new EngineError('read', String(cause), { cause });
    } finally {
      staging.destroy();
    }
  }

  /** Copies `bytes` between buffers, in order with the dispatches. */
  copy(from: BufferView, to: BufferView): void {
    this.throwIfLost();
    this.endPass();
    from.buffer.lastBatch = to.buffer.lastBatch = this.batch;
    this.openEncoder().copyBufferToBuffer(from.buffer.gpu, from.offset, to.buffer.gpu, to.offset, Math.ceil(from.bytes / 4) * 4);
  }

  /**
   * Records one dispatch of `kernel`. `bindings` holds a view for each input and output by name. Throws OutOfMemoryError where one is
   * larger than `bindingLimit`: ops go through autograd's `runPieces`, which cuts such dispatches.
   */
  run(kernel: Kernel, bindings: Record<string, BufferView>, params: Params = {}, constants?: Record<string, number>): void {
    this.throwIfLost();
    const names = [...kernel.inputs, ...kernel.outputs];
    for (const name of names) check(bindings[name] !== undefined, kernel.label, () => `binding "${name}" is missing`);
    for (const name of Object.keys(bindings)) check(names.includes(name), kernel.label, () => `has no binding "${name}"`);
    const halves = names.filter((name) => bindings[name]!.dtype === 'f16');
    const refused = halves.find((name) => !kernel.elements?.[name]);
    check(refused === undefined, this.currentOp, () => `takes no f16 (binding "${refused}" of ${kernel.label}); convert it first: ops.cast(x, 'f32')`);
    const large = names.find((name) => bindings[name]!.bytes > this.bindingLimit);
    if (large) {
      throw new OutOfMemoryError(
        `${this.currentOp} (${kernel.label})`,
        `binding "${large}" has ${mebibytes(bindings[large]!.bytes)}, the adapter binds at most ${mebibytes(this.bindingLimit)} and this operand cannot be split; use a smaller batch or preset`,
      );
    }
    this.dispatch(kernel, names, halves, bindings, params, constants);
  }

  private dispatch(kernel: Kernel, names: string[], halves: string[], bindings: Record<string, BufferView>, params: Params, constants?: Record<string, number>): void {
    const compiled = this.pipelines.get(kernel, constants, halves);
    const [x, y] = this.layOut(kernel, kernel.workgroups(params as Record<string, number>, compiled.constants));
    const hasParams = kernel.paramLayout.bytes > 0;
    const offset = this.dispatches * uniformAlignment;
    packParams(kernel, params, this.uniformData, offset);
    const group = this.bindGroup(kernel, compiled, names, bindings);
    for (const name of names) bindings[name]!.buffer.lastBatch = this.batch;
    const pass = this.openPass(kernel.label);
    pass.setPipeline(compiled.pipeline);
    pass.setBindGroup(0, group, hasParams ? [offset] : []);
    pass.dispatchWorkgroups(x, y);
    this.opsInBatch.add(this.currentOp);
    this.dispatches++;
    if (this.profiler) this.endPass();
    if (this.dispatches >= (this.drained ? dispatchesToStart : dispatchesPerBatch) || this.debug || this.profiler?.full) this.flush();
  }

  private layOut(kernel: Kernel, workgroups: number): [number, number] {
    const limit = this.gpu.limits.maxComputeWorkgroupsPerDimension;
    check(Number.isInteger(workgroups) && workgroups > 0 && workgroups <= limit * limit, kernel.label, () => `cannot dispatch ${workgroups} workgroups`);
    const y = Math.ceil(workgroups / limit);
    return [Math.ceil(workgroups / y), y];
  }

  private bindGroup(kernel: Kernel, compiled: CompiledKernel, names: string[], bindings: Record<string, BufferView>): GPUBindGroup {
    let key = `${compiled.id}`;
    for (const name of names) {
      const { buffer, offset, bytes } = bindings[name]!;
      key += `,${buffer.id}:${offset}:${bytes}`;
    }
    const known = this.bindGroups.get(key);
    if (known) return known;
    const entries: GPUBindGroupEntry[] = names.map((name, binding) => {
      const { buffer, offset, bytes } = bindings[name]!;
      return { binding, resource: { buffer: buffer.gpu, offset, size: Math.ceil(bytes / 4) * 4 } };
    });
    if (kernel.paramLayout.bytes) entries.push({ binding: names.length, resource: { buffer: this.uniforms, size: kernel.paramLayout.bytes } });
    this.openEncoder(); // its error scope covers the bind groups of the batch too
    const group = this.gpu.createBindGroup({ label: `${this.currentOp} (${kernel.label})`, layout: compiled.layout, entries });
    if (this.bindGroups.size >= maxCachedBindGroups) this.bindGroups.clear();
    this.bindGroups.set(key, group);
    if (++newBindGroups >= bindGroupsBetweenCollections) {
      newBindGroups = 0;
      this.collectGarbage();
    }
    return group;
  }

  private openEncoder(): GPUCommandEncoder {
    if (!this.encoder) {
      this.gpu.pushErrorScope('validation');
      this.encoder = this.gpu.createCommandEncoder({ label: `batch ${this.batch}` });
    }
    return this.encoder;
  }

  private openPass(label: string): GPUComputePassEncoder {
    if (!this.pass) {
      const encoder = this.openEncoder();
      this.pass = encoder.beginComputePass(this.profiler ? { label, timestampWrites: this.profiler.timestampWrites({ kernel: label, op: this.currentOp, batch: this.batch }) } : { label: `batch ${this.batch}` });
    }
    return this.pass;
  }

  private endPass(): void {
    this.pass?.end();
    this.pass = null;
  }

  /** Submits everything recorded so far. Does not wait. */
  flush(): void {
    if (!this.encoder) return;
    this.endPass();
    const profiled = this.profiler?.resolve(this.encoder);
    const { queue } = this.gpu;
    if (this.dispatches) queue.writeBuffer(this.uniforms, 0, this.uniformBytes, 0, this.dispatches * uniformAlignment);
    queue.submit([this.encoder.finish()]);
    this.drained = false;
    profiled?.submitted();
    this.watchScope([...this.opsInBatch].join(', ') || 'copy', this.gpu.popErrorScope());
    this.encoder = null;
    this.dispatches = 0;
    this.batch++;
    this.opsInBatch = new Set();
  }

  /** Submits, then throws the first error that the GPU reported for work submitted so far. Does not wait for the work itself. */
  async checkErrors(): Promise<void> {
    this.flush();
    await Promise.all(this.failures);
    const error = this.firstError ?? this.lostError;
    this.firstError = null;
    this.firstErrorOrder = Infinity;
    if (error) throw error;
  }

  /** Waits until the GPU has done everything recorded so far; throws what it reported. */
  async sync(): Promise<void> {
    this.flush();
    const { batch } = this;
    await this.gpu.queue.onSubmittedWorkDone();
    this.drained = batch === this.batch;
    await this.checkErrors();
  }

  get canProfile(): boolean {
    return this.gpu.features.has('timestamp-query');
  }

  /** Puts a timestamp around every dispatch from now on. Throws where the device lacks `timestamp-query`, or is profiled already. */
  startProfile(): void {
    check(this.canProfile, 'profile', () => 'this adapter does not offer "timestamp-query"');
    check(!this.profiler, 'profile', () => 'the device is profiled already; stop that first');
    this.flush();
    this.profiler = new Profiler(this.gpu);
  }

  /** Ends what `startProfile` began, waits for the GPU and gives the time of each dispatch, or of those in a stretch of time. */
  async stopProfile(stretch?: Stretch): Promise<DeviceProfile> {
    const { profiler } = this;
    check(profiler !== null, 'profile', () => 'the device is not profiled; start that first');
    this.flush();
    this.profiler = null;
    await this.sync();
    return profiler!.finish(stretch);
  }

  /** Runs `work` with a timestamp around every dispatch and returns the time of each kernel. Needs `timestamp-query`. */
  async profile(work: () => Promise<void> | void): Promise<KernelTime[]> {
    this.startProfile();
    try {
      await work();
    } catch (error) {
      await this.stopProfile();
      throw error;
    }
    return (await this.stopProfile()).kernels;
  }

  /** Destroys the device and every buffer. Whatever is still recorded is dropped. */
  destroy(): void {
    this.bindGroups.clear();
    this.gpu.destroy();
  }

  private throwIfLost(): void {
    if (this.lostError) throw this.lostError;
  }

  private watchScope(where: string, scope: Promise<GPUError | null>): void {
    this.watch(
      scope.then((error) => {
        if (!error) return null;
        const text = error.message;
        return /memory/i.test(error.constructor.name) ? new OutOfMemoryError(where, text) : new EngineError(where, text);
      }),
    );
  }

  /** Keeps the error of what was issued first, not of what is reported first: the cause, not the errors that follow from it. */
  private watch(failure: Promise<EngineError | null>): void {
    const order = this.watched++;
    const settled = failure
      .catch((cause: unknown) => (this.lostError ? null : new EngineError('device', String(cause), { cause })))
      .then((error) => {
        this.failures.delete(settled);
        if (error && order < this.firstErrorOrder) {
          this.firstError = error;
          this.firstErrorOrder = order;
        }
        return error;
      });
    this.failures.add(settled);
  }
}

/** Field by field, since Dawn gives objects whose fields are getters of their class. */
function matrixConfigsOf(info: GPUAdapterInfo): SubgroupMatrixConfig[] {
  const { subgroupMatrixConfigs = [] } = info as { subgroupMatrixConfigs?: Iterable<SubgroupMatrixConfig> };
  return [...subgroupMatrixConfigs].map(({ componentType, resultComponentType, M, N, K }) => ({ componentType, resultComponentType, M, N, K }));
}
