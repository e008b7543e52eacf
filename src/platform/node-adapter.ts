/**
 * A WebGPU adapter in Node, through Dawn (npm `webgpu`): the machine's best GPU, or the one asked for by name, or SwiftShader
 * where Linux has no usable Vulkan driver.
 *
 * On lavapipe Dawn writes two warnings to stderr ("maxDynamicUniformBuffersPerPipelineLayout artificially reduced …", and the same
 * of storage buffers): its own, written while it lists adapters because that driver reports a million of them, before any limit is
 * asked for. webgpu 0.6 has no switch for them. SwiftShader gives none.
 */
import { create } from 'webgpu';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';
import { loadVulkanLoader, swiftShaderObstacle, unpackSwiftShader, useVulkanDrivers } from './swiftshader.ts';

export interface NodeAdapter {
  adapter: GPUAdapter;
  /** Dawn's instance; kept alive by this module until the process ends. */
  gpu: GPU;
  kind: 'hardware' | 'software';
  /** For people: the driver's own name, for example "llvmpipe: Mesa 25.0.7 (LLVM 15.0.6)". */
  name: string;
  /** True where the machine's own drivers did not serve and SwiftShader stepped in. */
  fallback: boolean;
  /** For `DeviceOptions.collectGarbage`. */
  collectGarbage: () => void;
}

export interface NodeAdapterOptions {
  /**
   * `swiftshader`, `lavapipe`, `null` (Dawn's null backend: compiles and validates, never executes), or a part of the adapter's
   * name in either case. Without it, the machine's best.
   */
  adapter?: string;
}

const SYSTEM_MANIFESTS = ['/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/etc/vulkan/icd.d'];

let collect: (() => void) | null = null;

/** Node's garbage collector, which has no name unless the flag is set; contexts made after that have it. */
function collectGarbage(): void {
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  collect();
}

/** Dawn's devices crash the process once their instance is collected: every instance lives as long as the process. */
const instances: GPU[] = [];

/**
 * Dawn tears an instance down when it is collected, and the process then dies of a segmentation fault at its end if a device was
 * made from it (seen with webgpu 0.6.2): so an instance that gave an adapter is held for good.
 */
const held: GPU[] = [];

/** Lets adapters offer what WebGPU has not agreed on yet, of which `chromium-experimental-subgroup-matrix` is used. */
const experimental = 'enable-dawn-features=allow_unsafe_apis';

/** One Dawn instance and its adapter. Flags: Dawn matches `adapter=NAME` as a case-sensitive substring. */
async function request(flags: string[]): Promise<{ adapter: GPUAdapter; gpu: GPU } | null> {
  const gpu = create([experimental, ...flags]);
  instances.push(gpu);
  // Only a preference: a machine with an integrated GPU alone still gets it.
  const adapter = (await gpu.requestAdapter({ powerPreference: 'high-performance' })) ?? (await gpu.requestAdapter());
  if (!adapter) return null;
  held.push(gpu);
  return { adapter, gpu };
}

/** Names of the adapters that Dawn sees now. Its only list is the message it gives when asked for one that is not there. */
async function adapterNames(): Promise<string[]> {
  try {
    await create(['adapter=\u0001']).requestAdapter();
    return [];
  } catch (error) {
    return [...String(error).matchAll(/name: '([^']*)'/g)].map(([, name]) => name!);
  }
}

export function isSoftwareAdapter(info: Pick<GPUAdapterInfo, 'vendor' | 'architecture' | 'device' | 'description'> & { isFallbackAdapter?: boolean }): boolean {
  if (info.isFallbackAdapter) return true;
  return /llvmpipe|lavapipe|swiftshader|basic render|null-backend/i.test(`${info.architecture} ${info.device} ${info.description}`);
}

function adapterName({ vendor, architecture, device, description }: GPUAdapterInfo): string {
  return description || [vendor, architecture, device].filter(Boolean).join(' ') || 'unnamed adapter';
}

function found(pair: { adapter: GPUAdapter; gpu: GPU }, fallback: boolean): NodeAdapter {
  const { info } = pair.adapter;
  return { ...pair, kind: isSoftwareAdapter(info) ? 'software' : 'hardware', name: adapterName(info), fallback, collectGarbage };
}

function systemManifests(pattern: RegExp): string[] {
  return SYSTEM_MANIFESTS.flatMap((folder) => {
    try {
      return readdirSync(folder).filter((name) => pattern.test(name)).map((name) => join(folder, name));
    } catch {
      return [];
    }
  });
}

async function swiftShader(fallback: boolean): Promise<NodeAdapter> {
  const { loader, manifest } = await unpackSwiftShader();
  loadVulkanLoader(loader);
  useVulkanDrivers([manifest]);
  const pair = await request([]);
  if (pair) return found(pair, fallback);
  const hint = isMainThread ? 'check that the process may map executable files from that folder' : 'ask for the adapter on the main thread';
  throw new Error(`adapter: SwiftShader was loaded from ${loader} but Dawn found no adapter; ${hint}`);
}

async function lavapipe(): Promise<NodeAdapter> {
  const manifests = systemManifests(/^lvp_icd.*\.json$/);
  if (manifests.length > 0) useVulkanDrivers(manifests);
  // Without a manifest in the usual folders VK_DRIVER_FILES may still name one.
  return byName('llvmpipe', 'lavapipe: install it (Debian: apt-get install mesa-vulkan-drivers libvulkan1), or use --adapter swiftshader');
}

async function byName(part: string, remedy: string): Promise<NodeAdapter> {
  const names = await adapterNames();
  const name = names.find((candidate) => candidate.toLowerCase().includes(part.toLowerCase()));
  const pair = name === undefined ? null : await request([`adapter=${name}`]);
  if (pair) return found(pair, false);
  const seen = names.length > 0 ? names.map((each) => `"${each}"`).join(', ') : 'none';
  throw new Error(`adapter: no adapter's name contains "${part}", the machine has ${seen}; ${remedy}`);
}

/** A container often has a driver's manifest but no loader: the loader of @sparticuz/chromium then finds the real GPU. */
async function driverWithoutLoader(): Promise<NodeAdapter | null> {
  if (process.env.VK_DRIVER_FILES !== undefined || systemManifests(/\.json$/).length === 0) return null;
  loadVulkanLoader((await unpackSwiftShader()).loader);
  const pair = await request([]);
  return pair && found(pair, false);
}

async function best(): Promise<NodeAdapter> {
  const pair = await request([]);
  if (pair) return found(pair, false);
  const obstacle = swiftShaderObstacle();
  if (obstacle) {
    throw new Error(`adapter: Dawn found no GPU adapter on this machine, and ${obstacle}; install the GPU's driver (Linux: its Vulkan driver, or mesa-vulkan-drivers for a software one)`);
  }
  return (await driverWithoutLoader()) ?? swiftShader(true);
}

/**
 * The adapter to compute on. On Linux x64 without a usable Vulkan driver or loader, SwiftShader is unpacked and loaded into this
 * process (see swiftshader.ts); the environment variables VK_DRIVER_FILES and VK_ICD_FILENAMES then stay set for the process.
 *
 * @throws Error with the adapters that were seen and a remedy, where none fits
 */
export async function requestNodeAdapter({ adapter }: NodeAdapterOptions = {}): Promise<NodeAdapter> {
  switch (adapter?.toLowerCase()) {
    case undefined:
    case '':
      return best();
    case 'null': {
      const pair = await request(['backend=null']);
      if (!pair) throw new Error('adapter: Dawn was built without its null backend; reinstall the package "webgpu"');
      return { ...found(pair, false), name: 'null backend (validates, never executes)' };
    }
    case 'swiftshader':
      return swiftShader(false);
    case 'lavapipe':
    case 'llvmpipe':
      return lavapipe();
    default:
      return byName(adapter!, 'leave --adapter out to take the best one');
  }
}

/** One line for people: which adapter computes, and that a software one is slow. */
export function describeAdapter({ kind, name, fallback }: Pick<NodeAdapter, 'kind' | 'name' | 'fallback'>): string {
  if (kind === 'hardware') return `adapter: ${name}`;
  const why = fallback ? 'no usable Vulkan driver was found, SwiftShader stepped in; ' : '';
  return `adapter: ${name} — software, ${why}slow: a GPU is far faster`;
}
