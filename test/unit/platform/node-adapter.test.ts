import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeAdapter, isSoftwareAdapter } from '../../../src/platform/node-adapter.ts';
import { readTarFiles, swiftShaderObstacle } from '../../../src/platform/swiftshader.ts';

const linux64 = process.platform === 'linux' && process.arch === 'x64';
const swiftShaderHere = linux64 && existsSync('node_modules/@sparticuz/chromium/bin/swiftshader.tar.br');
const child = join('node_modules', '.cache', `ct-lite-adapter-${process.pid}.mjs`);
let cache: string;

beforeAll(async () => {
  cache = mkdtempSync(join(tmpdir(), 'ct-lite-cache-'));
  mkdirSync(join('node_modules', '.cache'), { recursive: true });
  // A child each: the Vulkan loader and its environment belong to a whole process.
  await build({
    stdin: {
      contents: `import { describeAdapter, requestNodeAdapter } from './src/platform/node-adapter.ts';
        try {
          const got = await requestNodeAdapter({ adapter: process.argv[2] });
          const device = await got.adapter.requestDevice();
          console.log(JSON.stringify({ line: describeAdapter(got), kind: got.kind, fallback: got.fallback, groups: device.limits.maxComputeWorkgroupsPerDimension }));
          device.destroy();
        } catch (error) { console.log(error.message); }`,
      resolveDir: '.',
    },
    bundle: true, platform: 'node', format: 'esm', external: ['webgpu'], outfile: child,
  });
});
afterAll(() => {
  rmSync(child, { force: true });
  rmSync(cache, { recursive: true, force: true });
});

function ask(adapter: string, env: Record<string, string> = {}) {
  const { status, signal, stdout } = spawnSync(process.execPath, [child, adapter], {
    encoding: 'utf8', timeout: 50_000, env: { ...process.env, XDG_CACHE_HOME: cache, ...env },
  });
  return { status, signal, said: stdout.trim() };
}

describe('requestNodeAdapter', () => {
  it.skipIf(!swiftShaderHere)('falls back to SwiftShader where no Vulkan driver serves, and unpacks it whole', () => {
    const { status, signal, said } = ask('', { VK_DRIVER_FILES: '/nonexistent', VK_ICD_FILENAMES: '/nonexistent' });
    // A segmentation fault at the end was the price of an instance that is collected too early.
    expect({ status, signal }).toEqual({ status: 0, signal: null });
    expect(JSON.parse(said)).toMatchObject({ kind: 'software', fallback: true, groups: 65535 });
    expect(said).toMatch(/SwiftShader.*software, no usable Vulkan driver was found.*slow/);
    const [folder, ...more] = readdirSync(join(cache, 'ct-lite'));
    expect(more).toEqual([]);
    expect(folder).toMatch(/^swiftshader-\d+\.\d+\.\d+$/);
    expect(readdirSync(join(cache, 'ct-lite', folder!)).sort()).toEqual(['libvk_swiftshader.so', 'libvulkan.so.1', 'vk_swiftshader_icd.json']);
  });

  it.skipIf(!swiftShaderHere)('repairs an unpacked folder that lost a file', () => {
    ask('swiftshader');
    const folder = join(cache, 'ct-lite', readdirSync(join(cache, 'ct-lite'))[0]!);
    writeFileSync(join(folder, 'libvk_swiftshader.so'), '');
    expect(JSON.parse(ask('swiftshader').said)).toMatchObject({ kind: 'software', fallback: false });
  });

  it.skipIf(!swiftShaderHere)('says what it tried where no cache folder can be written', () => {
    const { said } = ask('swiftshader', { CT_LITE_CACHE: '', XDG_CACHE_HOME: '/dev/null', HOME: '/dev/null', TMPDIR: '/dev/null' });
    expect(said).toMatch(/^swiftshader: a writable cache folder with 7 MB free is needed, tried \/dev\/null\/ct-lite: .*; set CT_LITE_CACHE to one$/);
  });

  it('gives the null backend', () => {
    const { status, said } = ask('null');
    expect(status).toBe(0);
    expect(JSON.parse(said).line).toMatch(/null backend/);
  });

  it('names the adapters there are when asked for another', () => {
    expect(ask('no such adapter').said).toMatch(/^adapter: no adapter's name contains "no such adapter", the machine has (none|".*"); leave --adapter out/);
  });

  const lavapipeHere = linux64 && existsSync('/usr/share/vulkan/icd.d') && readdirSync('/usr/share/vulkan/icd.d').some((name) => name.startsWith('lvp_icd'));
  it.skipIf(!lavapipeHere).each(['lavapipe', 'LLVM'])('finds lavapipe by %s', (name) => {
    expect(JSON.parse(ask(name).said)).toMatchObject({ kind: 'software', fallback: false, line: expect.stringMatching(/llvmpipe/) });
  });
});

describe('describeAdapter', () => {
  it('tells hardware from software', () => {
    expect(describeAdapter({ kind: 'hardware', name: 'NVIDIA H200', fallback: false })).toBe('adapter: NVIDIA H200');
    expect(describeAdapter({ kind: 'software', name: 'llvmpipe', fallback: false })).toMatch(/^adapter: llvmpipe — software, slow/);
  });

  it.each([
    ['mesa', 'software', 'llvmpipe-llvm-15', 'llvmpipe: Mesa 25', true],
    ['google', 'swiftshader', 'swiftshader-device', 'SwiftShader driver 5.0.0', true],
    ['microsoft', '', '', 'Microsoft Basic Render Driver', true],
    ['nvidia', 'hopper', 'nvidia-h200', 'NVIDIA: 550.54', false],
    ['amd', 'rdna-3', 'radeon-7900', 'radv: Mesa 24', false],
  ])('%s %s: software %#', (vendor, architecture, device, description, software) => {
    expect(isSoftwareAdapter({ vendor, architecture, device, description })).toBe(software);
  });
});

describe('readTarFiles', () => {
  /** A ustar archive, entry by entry: name, contents, type. */
  function tar(entries: [string, string, string?][]): Uint8Array {
    const blocks = entries.flatMap(([name, contents, type = '0']) => {
      const header = Buffer.alloc(512);
      header.write(name, 0);
      header.write(`${contents.length.toString(8).padStart(11, '0')}\0`, 124);
      header.write(type, 156);
      const body = Buffer.alloc(Math.ceil(contents.length / 512) * 512);
      body.write(contents);
      return [header, body];
    });
    return new Uint8Array(Buffer.concat([...blocks, Buffer.alloc(1024)]));
  }
  const read = (archive: Uint8Array, wanted: string[]) => [...readTarFiles(archive, wanted)].map(([name, data]) => [name, new TextDecoder().decode(data)]);

  it('takes the wanted regular files, at any size', () => {
    const long = 'x'.repeat(513);
    expect(read(tar([['skip', 'no'], ['a', long], ['b', ''], ['c', 'c']]), ['a', 'b', 'c'])).toEqual([['a', long], ['b', ''], ['c', 'c']]);
  });

  it('never takes a path or a link', () => {
    const archive = tar([['../a', 'evil'], ['a', '', '2']]);
    expect(() => readTarFiles(archive, ['a'])).toThrow('the archive must hold a, missing a');
  });

  it('refuses an entry that runs past the end', () => {
    expect(() => readTarFiles(tar([['a', 'x'.repeat(600)]]).subarray(0, 1024), ['a'])).toThrow(/a: the entry must end inside the archive of 1024 bytes, got 600 bytes/);
  });
});

describe('swiftShaderObstacle', () => {
  it('serves Linux on x64 only', () => {
    expect(swiftShaderObstacle('linux', 'x64')).toBeNull();
    expect(swiftShaderObstacle('darwin', 'arm64')).toBe('SwiftShader is carried for linux-x64 only, this is darwin-arm64');
  });
});
