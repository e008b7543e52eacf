import { EngineError } from './errors.ts';

/** Types a field of a kernel's `params` uniform may have. Vectors take an array of 4 numbers. */
export type ParamType = 'u32' | 'i32' | 'f32' | 'vec4u' | 'vec4i' | 'vec4f';
export type ParamValue = number | readonly number[];
export type Params = Record<string, ParamValue>;

/**
 * One compute kernel: what its WGSL binds, in order, and how many workgroups it takes.
 *
 * In the WGSL all bindings are in `@group(0)`: `inputs` (`var<storage, read>`), then `outputs` (`var<storage, read_write>`),
 * then, where there are params, `var<uniform> params: Params`. Names are the WGSL's own, and `test/validate` compares them.
 * The entry point is `main`. Workgroups are counted flat: the device lays them out as x·y, so a kernel finds its own by
 * `workgroup_id.x + workgroup_id.y * num_workgroups.x` and must ignore indices past its work.
 */
export interface KernelSpec {
  /** File stem, for example `layer-norm.forward`. Unique. */
  label: string;
  source: string;
  inputs: readonly string[];
  outputs: readonly string[];
  /** Fields of `struct Params`, in WGSL order. */
  params?: Readonly<Record<string, ParamType>>;
  /** Defaults of the `override` constants that the host needs to know or sets. `RUN`, elements an invocation, is the device's to set. */
  constants?: Readonly<Record<string, number>>;
  /** Flat number of workgroups. */
  workgroups: (params: Record<string, number>, constants: Record<string, number>) => number;
  /** The simplest way to cut a dispatch into pieces (see `split`): `param` counts rows, each listed binding has that many of them. */
  slab?: { param: string; bindings: readonly string[] };
  /**
   * The axes along which a dispatch whose bindings exceed the device's binding limit can be cut into pieces, best first. Which one is
   * taken follows from the sizes; a piece that is still too large is cut again. Without an axis an oversized binding is an error.
   */
  split?: (params: Record<string, number>) => readonly SplitAxis[];
  /**
   * The bindings that may hold f16, with the type of their elements otherwise. The WGSL declares such a binding `x` as `array<x_t>` or
   * `array<vec4<x_t>>`, converts what it loads (`f32(x[i])`) and stores (`x_t(value)`), and leaves the alias `x_t` to the pipeline, which
   * is made anew for each combination of types that is bound. So no kernel is written twice, and its arithmetic stays in f32.
   */
  elements?: Readonly<Record<string, 'f32' | 'u32'>>;
  /** Device features without which the kernel does not compile. */
  features?: readonly GPUFeatureName[];
}

/** One axis along which pieces of a dispatch do not depend on each other, or only by a sum. */
export interface SplitAxis {
  extent: number;
  /** Pieces start at multiples of it. Default 1. */
  unit?: number;
  /** Where the axis lies in each binding that has it. The others are bound whole. */
  bindings: Readonly<Record<string, AxisLayout>>;
  /** The params of the piece of `count` positions from `first` on that differ from those of the whole. */
  params: (first: number, count: number) => Params;
  /** Outputs without the axis that every piece computes anew: they are added up in the order of the pieces. */
  sums?: readonly string[];
  /** Outputs without the axis that a piece goes on from where the piece before left them. */
  resumes?: readonly string[];
}

/**
 * A binding is row-major [outer, extent, inner]. Give `outer`, or `inner` in elements of the binding; the other follows from the binding's
 * size. Default: outer 1. A binding of one element stands for an operand that is absent, and is bound as it is.
 */
export interface AxisLayout {
  outer?: number;
  inner?: number;
  /** Positions in this binding, where not the axis's own. */
  extent?: number;
  /** First position and number of those that a piece needs (outputs: has), where not the piece's own. Outputs must not overlap. */
  window?: (first: number, count: number) => readonly [first: number, count: number];
}

/** `elements` of bindings of numbers: f16, or f32. */
export function floats(...bindings: string[]): Record<string, 'f32'> {
  return Object.fromEntries(bindings.map((name) => [name, 'f32']));
}

/** The WGSL of a kernel whose bindings `halves` hold f16. Lines keep their numbers. */
export function sourceFor({ source, elements = {} }: KernelSpec, halves: readonly string[]): string {
  const aliases = Object.entries(elements).map(([name, type]) => `alias ${name}_t = ${halves.includes(name) ? 'f16' : type};`);
  return `${halves.length ? 'enable f16; ' : ''}${source}\n${aliases.join('\n')}\n`;
}

export interface Kernel extends KernelSpec {
  readonly id: number;
  readonly paramLayout: ParamLayout;
}

interface ParamLayout {
  bytes: number;
  fields: { name: string; type: ParamType; offset: number }[];
}

const registry = new Map<string, Kernel>();

/** Registers a kernel. Module level only: one call a kernel, so that `allKernels` can be compiled by the validate tests. */
export function defineKernel(spec: KernelSpec): Kernel {
  if (registry.has(spec.label)) throw new EngineError('defineKernel', `label "${spec.label}" is taken`);
  const kernel: Kernel = { ...spec, id: registry.size, paramLayout: layoutParams(spec.params ?? {}) };
  registry.set(spec.label, kernel);
  return kernel;
}

/** Every kernel defined so far by the modules that were imported. */
export function allKernels(): Kernel[] {
  return [...registry.values()];
}

function layoutParams(params: Readonly<Record<string, ParamType>>): ParamLayout {
  const fields: ParamLayout['fields'] = [];
  let offset = 0;
  for (const [name, type] of Object.entries(params)) {
    const isVector = type.startsWith('vec4');
    if (isVector) offset = Math.ceil(offset / 16) * 16;
    fields.push({ name, type, offset });
    offset += isVector ? 16 : 4;
  }
  return { bytes: Math.ceil(offset / 16) * 16, fields };
}

/** Writes `params` in WGSL's uniform layout at `offset` of `target`. Throws for a missing, extra or out-of-range field. */
export function packParams(kernel: Kernel, params: Params, target: DataView, offset: number): void {
  const { fields } = kernel.paramLayout;
  for (const { name, type, offset: at } of fields) {
    const value = params[name];
    if (value === undefined) throw new EngineError(kernel.label, `param "${name}" is missing`);
    if (type.startsWith('vec4')) {
      const vector = value as readonly number[];
      if (!Array.isArray(vector) || vector.length !== 4) throw new EngineError(kernel.label, `param "${name}" takes 4 numbers, got ${String(value)}`);
      vector.forEach((component, lane) => write(target, offset + at + 4 * lane, type.slice(-1), component, kernel.label, name));
    } else {
      write(target, offset + at, type[0]!, value as number, kernel.label, name);
    }
  }
  for (const name of Object.keys(params)) {
    if (!fields.some((field) => field.name === name)) throw new EngineError(kernel.label, `has no param "${name}"`);
  }
}

function write(target: DataView, at: number, kind: string, value: number, label: string, name: string): void {
  if (typeof value !== 'number') throw new EngineError(label, `param "${name}" takes a number, got ${String(value)}`);
  if (kind === 'f') return target.setFloat32(at, value, true);
  if (!Number.isInteger(value) || Math.abs(value) > 0xffffffff || (kind === 'u' && value < 0)) {
    throw new EngineError(label, `param "${name}" takes a 32-bit ${kind === 'u' ? 'unsigned ' : ''}integer, got ${value}`);
  }
  if (kind === 'u') target.setUint32(at, value, true);
  else target.setInt32(at, value, true);
}
