/**
 * SwiftShader, a software Vulkan driver, for Linux x64 machines without a usable Vulkan driver or without any Vulkan loader.
 * The npm package @sparticuz/chromium carries the driver and a loader; they are unpacked once into the user's cache folder and
 * brought into this process. No root, no system package and no restart of the process is needed.
 */
import { brotliDecompress } from 'node:zlib';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from './cache-folder.ts';

const PACKAGE = '@sparticuz/chromium';
const LOADER = 'libvulkan.so.1';
const MANIFEST = 'vk_swiftshader_icd.json';
const WANTED = ['libvk_swiftshader.so', LOADER, MANIFEST];
/** glibc's RTLD_NODELETE, which Node does not name. Node closes a library that is not an addon; this keeps it in the process. */
const RTLD_NODELETE = 0x1000;

export interface SwiftShaderFolder {
  folder: string;
  /** The Vulkan loader, libvulkan.so.1. */
  loader: string;
  /** The driver manifest for VK_DRIVER_FILES. */
  manifest: string;
}

/** Why SwiftShader can't serve on this machine, or null where it can. */
export function swiftShaderObstacle(platform: string = process.platform, arch: string = process.arch): string | null {
  return platform === 'linux' && arch === 'x64' ? null : `SwiftShader is carried for linux-x64 only, this is ${platform}-${arch}`;
}

/**
 * The regular files of a tar archive (ustar) that are in `wanted`. Names are compared whole, so an entry with a folder or `..`
 * in its name is never taken.
 *
 * @throws Error where an entry runs past the end, or a wanted file is missing
 */
export function readTarFiles(archive: Uint8Array, wanted: readonly string[]): Map<string, Uint8Array> {
  const block = 512;
  const text = (at: number, length: number) => {
    const field = archive.subarray(at, at + length);
    const end = field.indexOf(0);
    return new TextDecoder('latin1').decode(end < 0 ? field : field.subarray(0, end));
  };
  const files = new Map<string, Uint8Array>();
  for (let at = 0; at + block <= archive.length; ) {
    const name = text(at, 100);
    if (name === '') break;
    const size = Number.parseInt(text(at + 124, 12).trim() || '0', 8);
    const start = at + block;
    if (!(size >= 0) || start + size > archive.length) {
      throw new Error(`readTarFiles: ${name}: the entry must end inside the archive of ${archive.length} bytes, got ${size} bytes at ${start}`);
    }
    const type = text(at + 156, 1);
    if ((type === '0' || type === '') && wanted.includes(name)) files.set(name, archive.subarray(start, start + size));
    at = start + Math.ceil(size / block) * block;
  }
  const missing = wanted.filter((name) => !files.has(name));
  if (missing.length > 0) throw new Error(`readTarFiles: the archive must hold ${wanted.join(', ')}, missing ${missing.join(', ')}`);
  return files;
}

/** The folder that holds @sparticuz/chromium's package.json, or null where the optional dependency was not installed. */
function packageRoot(): string | null {
  try {
    // The package exports its entry only; package.json and bin/ lie above it.
    let folder = dirname(createRequire(import.meta.url).resolve(PACKAGE));
    for (; !folder.endsWith(join('@sparticuz', 'chromium')); folder = dirname(folder)) {
      if (folder === dirname(folder)) return null;
    }
    return folder;
  } catch {
    return null;
  }
}

async function filesThere(folder: string): Promise<boolean> {
  const sizes = await Promise.all(WANTED.map((name) => stat(join(folder, name)).then((s) => s.size, () => 0)));
  return sizes.every((size) => size > 0);
}

/** Makes a folder of this user's own. Code is loaded from it, so a folder that another user made or may write to is refused. */
async function privateFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const { uid, mode } = await stat(path);
  if (uid !== process.getuid?.() || (mode & 0o022) !== 0) throw new Error(`${path} must belong to this user alone, got owner ${uid}, mode ${(mode & 0o777).toString(8)}`);
  return path;
}

function cacheCandidates(): string[] {
  return [cacheFolder(), join(tmpdir(), `ct-lite-${process.getuid?.() ?? 'user'}`)];
}

/** Writes into a folder beside the target and renames it, so that two processes that start together don't see half a library. */
async function unpackInto(parent: string, name: string, files: () => Promise<Map<string, Uint8Array>>): Promise<string> {
  const folder = join(await privateFolder(parent), name);
  if (await filesThere(folder)) return folder;
  const contents = await files();
  const fresh = await mkdtemp(`${folder}.`);
  try {
    for (const [file, bytes] of contents) await writeFile(join(fresh, file), bytes);
    await chmod(fresh, 0o755);
    await rename(fresh, folder).catch(async (error: unknown) => {
      // Another process was first (its files serve as well), or an incomplete folder is in the way.
      if (await filesThere(folder)) return;
      await rm(folder, { recursive: true, force: true });
      await rename(fresh, folder).catch(() => Promise.reject(error));
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return folder;
}

/**
 * Unpacks the driver and the loader from @sparticuz/chromium, once a version, into the cache folder,
 * else into a folder of this user's own below the temporary directory.
 *
 * @throws Error with a remedy where the platform is not linux-x64, the package is missing, or no folder can be written
 */
export async function unpackSwiftShader(): Promise<SwiftShaderFolder> {
  const obstacle = swiftShaderObstacle();
  if (obstacle) throw new Error(`swiftshader: ${obstacle}; install a Vulkan driver for this machine`);
  const root = packageRoot();
  if (!root) {
    throw new Error(`swiftshader: the package ${PACKAGE} must be installed, it is missing; run "npm ci" without --omit=optional`);
  }
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const files = async () => readTarFiles(await promisify(brotliDecompress)(await readFile(join(root, 'bin', 'swiftshader.tar.br'))), WANTED);
  const failures: string[] = [];
  for (const parent of cacheCandidates()) {
    try {
      const folder = await unpackInto(parent, `swiftshader-${version}`, files);
      return { folder, loader: join(folder, LOADER), manifest: join(folder, MANIFEST) };
    } catch (error) {
      failures.push(`${parent}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(`swiftshader: a writable cache folder with 7 MB free is needed, tried ${failures.join('; ')}; set CT_LITE_CACHE to one`);
}

/**
 * Brings a Vulkan loader into this process, so that Dawn's own dlopen("libvulkan.so.1") finds it. Where the system has a loader,
 * that one may be in use already; loading a second one does no harm.
 */
export function loadVulkanLoader(path: string): void {
  try {
    process.dlopen({ exports: {} }, path, constants.dlopen.RTLD_NOW | RTLD_NODELETE);
  } catch (error) {
    // dlopen is meant for addons: "Module did not self-register" comes after the library is in, and is what is wanted here.
    if (error instanceof Error && error.message.includes('did not self-register')) return;
    throw new Error(`swiftshader: ${path} could not be loaded: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/**
 * Points the Vulkan loader of this process at the drivers named by their manifests. It takes effect at the next `create()` of
 * Dawn. In a worker thread process.env is a copy that the loader does not see: call it on the main thread.
 */
export function useVulkanDrivers(manifests: readonly string[]): void {
  // VK_ICD_FILENAMES is the older name, the only one that loaders before 1.3.207 know.
  process.env.VK_DRIVER_FILES = manifests.join(':');
  process.env.VK_ICD_FILENAMES = manifests.join(':');
}
