import { beforeAll, describe, expect, it } from 'vitest';
import '../../src/autograd/index.ts';
import { allKernels, Device, type Kernel } from '../../src/engine/index.ts';
import { PipelineCache } from '../../src/engine/pipelines.ts';
import { requestNodeAdapter } from '../../src/platform/node-adapter.ts';

const paramTypes: Record<string, string> = { u32: 'u32', i32: 'i32', f32: 'f32', 'vec4<u32>': 'vec4u', 'vec4<i32>': 'vec4i', 'vec4<f32>': 'vec4f', vec4u: 'vec4u', vec4i: 'vec4i', vec4f: 'vec4f' };

interface Binding {
  name: string;
  kind: 'input' | 'output' | 'params';
}

/** The kernel's text without comments. */
const code = ({ source }: Kernel): string => source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');

/** The declared bindings in the order of their numbers; throws where the numbers are not 0, 1, 2 … of group 0. */
function declaredBindings(kernel: Kernel): Binding[] {
  const found = [...code(kernel).matchAll(/@group\((\d+)\)\s*@binding\((\d+)\)\s*var<\s*(storage\s*,\s*read_write|storage\s*,\s*read|storage|uniform)\s*>\s*(\w+)/g)];
  const declarations = [...code(kernel).matchAll(/@binding\(/g)];
  expect(found.length, 'bindings that this test could read').toBe(declarations.length);
  const sorted = found.sort((a, b) => Number(a[2]) - Number(b[2]));
  sorted.forEach(([, group, binding], index) => expect([Number(group), Number(binding)]).toEqual([0, index]));
  return sorted.map(([, , , access, name]) => ({ name: name!, kind: access === 'uniform' ? 'params' : access!.includes('write') ? 'output' : 'input' }));
}

/** Fields of `struct Params` in order. */
function declaredParams(kernel: Kernel): [string, string][] {
  const struct = /struct\s+Params\s*\{([^}]*)\}/.exec(code(kernel));
  if (!struct) return [];
  return [...struct[1]!.matchAll(/(\w+)\s*:\s*(vec4<\w+>|\w+)/g)].map(([, name, type]) => [name!, paramTypes[type!] ?? type!]);
}

/** Kernels that bind a few numbers, partial sums of millions of values, windows of a fixed size (block-copy), or what `fitsProducts` lets through. */
const neverLarge = new Set(['conv3d.columns', 'attention.weights', 'attention.score-gradients', 'block-copy', 'gradient-norm.clip', 'gradient-norm.finish', 'loss-scale', 'scalar-product']);

const kernels = allKernels();

it('finds the kernels', () => {
  expect(kernels.length).toBeGreaterThan(20);
});

describe.each(kernels.map((kernel) => [kernel.label, kernel] as const))('%s', (_, kernel) => {
  let device: Device;
  beforeAll(async () => {
    device = await nullDevice();
  });

  const elements = Object.keys(kernel.elements ?? {});
  it.each([['compiles', []], ...(elements.length ? [['compiles with f16', elements] as const] : [])] as const)('%s', async (_, halves) => {
    const needed = [...(kernel.features ?? []), ...(halves.length ? (['shader-f16'] as const) : [])];
    // A failure and no skip: a kernel that nobody compiled is not known to compile.
    expect(needed.filter((feature) => !device.gpu.features.has(feature)), 'features that the null backend lacks').toEqual([]);
    const failures: Promise<Error | null>[] = [];
    new PipelineCache(device.gpu, (failure) => failures.push(failure)).get(kernel, undefined, halves);
    expect((await Promise.all(failures)).filter((error) => error !== null)).toEqual([]);
  });

  it('leaves the element type open of the bindings that its spec says, and of no others', () => {
    const open = [...code(kernel).matchAll(/var<storage[^>]*>\s*(\w+)\s*:\s*array<(?:vec4<)?(\w+)_t\b/g)];
    for (const [, name, alias] of open) expect(alias).toBe(name);
    expect(open.map(([, name]) => name!).sort()).toEqual([...elements].sort());
  });

  it('binds what its spec says, in order', () => {
    const { inputs, outputs, params } = kernel;
    const expected: Binding[] = [...inputs.map((name) => ({ name, kind: 'input' as const })), ...outputs.map((name) => ({ name, kind: 'output' as const }))];
    if (params && Object.keys(params).length > 0) expected.push({ name: 'params', kind: 'params' });
    expect(declaredBindings(kernel)).toEqual(expected);
    expect(inputs.length + outputs.length, 'storage bindings, of which every adapter has 8').toBeLessThanOrEqual(8);
  });

  it('has the params of its spec, in order', () => {
    expect(declaredParams(kernel)).toEqual(Object.entries(kernel.params ?? {}));
  });

  it('has the constants that its spec sets', () => {
    const declared = [...code(kernel).matchAll(/\boverride\s+(\w+)/g)].map(([, name]) => name);
    expect(declared).toEqual(expect.arrayContaining(Object.keys(kernel.constants ?? {})));
  });

  it('splits along a param and bindings that it has', () => {
    expect(kernel.slab !== undefined || kernel.split !== undefined || neverLarge.has(kernel.label), 'no axis to split along, and not on the list of kernels without large bindings').toBe(true);
    if (!kernel.slab) return;
    expect(Object.keys(kernel.params ?? {})).toContain(kernel.slab.param);
    expect([...kernel.inputs, ...kernel.outputs]).toEqual(expect.arrayContaining([...kernel.slab.bindings]));
  });
});

let opened: Promise<Device> | null = null;

function nullDevice(): Promise<Device> {
  opened ??= requestNodeAdapter({ adapter: 'null' }).then(({ adapter }) => Device.open(adapter));
  return opened;
}
