import { EngineError } from './errors.ts';
import { sourceFor, type Kernel } from './kernel.ts';

export interface CompiledKernel {
  pipeline: GPUComputePipeline;
  layout: GPUBindGroupLayout;
  /** Distinguishes bind groups of different kernels in the bind-group cache. */
  id: number;
  constants: Record<string, number>;
}

/** Compiles each kernel once for each set of constants and of f16 bindings, with an explicit bind-group layout. */
export class PipelineCache {
  private readonly device: GPUDevice;
  private readonly compiled = new Map<string, CompiledKernel>();
  private readonly onError: (failure: Promise<EngineError | null>) => void;
  private readonly run: number;

  /** `run`: the constant RUN of the kernels that have it, elements that an invocation takes one after another. */
  constructor(device: GPUDevice, onError: (failure: Promise<EngineError | null>) => void, run = 1) {
    this.device = device;
    this.onError = onError;
    this.run = run;
  }

  get size(): number {
    return this.compiled.size;
  }

  /** `halves`: the bindings that hold f16, among the kernel's `elements`. */
  get(kernel: Kernel, overrides: Record<string, number> | undefined, halves: readonly string[] = []): CompiledKernel {
    const label = halves.length ? `${kernel.label}, f16 ${halves.join(' ')}` : kernel.label;
    const key = overrides ? `${label}|${JSON.stringify(overrides)}` : label;
    const known = this.compiled.get(key);
    if (known) return known;
    const needed: readonly GPUFeatureName[] = halves.length ? [...(kernel.features ?? []), 'shader-f16'] : (kernel.features ?? []);
    for (const feature of needed) {
      if (!this.device.features.has(feature)) throw new EngineError(kernel.label, `needs the feature "${feature}", which this adapter does not offer`);
    }
    const made = this.compile(kernel, halves, { ...kernel.constants, ...(kernel.constants?.RUN !== undefined && { RUN: this.run }), ...overrides });
    this.compiled.set(key, made);
    return made;
  }

  private compile(kernel: Kernel, halves: readonly string[], constants: Record<string, number>): CompiledKernel {
    const { device } = this;
    const { label } = kernel;
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ label: `${label}.wgsl`, code: sourceFor(kernel, halves) });
    const layout = device.createBindGroupLayout({ label, entries: layoutEntries(kernel) });
    const pipeline = device.createComputePipeline({
      label,
      layout: device.createPipelineLayout({ label, bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main', constants },
    });
    const scope = device.popErrorScope();
    this.onError(explainFailure(kernel, module, scope));
    return { pipeline, layout, id: this.compiled.size, constants };
  }
}

function layoutEntries(kernel: Kernel): GPUBindGroupLayoutEntry[] {
  const COMPUTE = 4; // GPUShaderStage.COMPUTE; the global object exists only in browsers
  const entries: GPUBindGroupLayoutEntry[] = [];
  for (const _ of kernel.inputs) entries.push({ binding: entries.length, visibility: COMPUTE, buffer: { type: 'read-only-storage' } });
  for (const _ of kernel.outputs) entries.push({ binding: entries.length, visibility: COMPUTE, buffer: { type: 'storage' } });
  if (kernel.paramLayout.bytes > 0) {
    entries.push({
      binding: entries.length,
      visibility: COMPUTE,
      buffer: { type: 'uniform', hasDynamicOffset: true, minBindingSize: kernel.paramLayout.bytes },
    });
  }
  return entries;
}

async function explainFailure(kernel: Kernel, module: GPUShaderModule, scope: Promise<GPUError | null>): Promise<EngineError | null> {
  const error = await scope;
  if (!error) return null;
  const { messages } = await module.getCompilationInfo();
  const lines = kernel.source.split('\n');
  const details = messages
    .filter((message) => message.type === 'error')
    .map(({ lineNum, linePos, message }) => `${kernel.label}.wgsl:${lineNum}:${linePos}: ${message}\n${excerpt(lines, lineNum, linePos)}`);
  return new EngineError(kernel.label, `the kernel does not compile\n${details.length ? details.join('\n') : error.message}`);
}

function excerpt(lines: readonly string[], lineNum: number, linePos: number): string {
  const first = Math.max(1, lineNum - 1);
  const shown: string[] = [];
  for (let number = first; number <= Math.min(lines.length, lineNum + 1); number++) {
    shown.push(`${String(number).padStart(5)} | ${lines[number - 1]}`);
    if (number === lineNum) shown.push(`${' '.repeat(5)} | ${' '.repeat(Math.max(0, linePos - 1))}^`);
  }
  return shown.join('\n');
}
