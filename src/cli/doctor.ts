/** `ct-lite doctor`: what this machine offers, and whether it computes rightly. */
import { statfs } from 'node:fs/promises';
import { Command } from 'commander';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { Engine, noGrad, ops, type Tensor } from '../autograd/index.ts';
import { layerNormReference } from '../autograd/ops/layer-norm.ts';
import { Device } from '../engine/index.ts';
import { describeAdapter, requestNodeAdapter } from '../platform/node-adapter.ts';
import { packageVersion } from './versions.ts';

const CHECK_SECONDS = 1;
const ROWS = 2048;
const COLUMNS = 768;
/** Rows compared with the reference; on the CPU all of them would take longer than the check itself. */
const CHECKED_ROWS = 64;
const TOLERANCE = 1e-5;
const GIB = 2 ** 30;

const LIMITS = [
  'maxBufferSize', 'maxStorageBufferBindingSize', 'maxStorageBuffersPerShaderStage', 'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup', 'maxComputeWorkgroupsPerDimension',
] as const;

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('show the adapter, its limits and features, and check a kernel for one second')
    .option('--adapter <name>', 'swiftshader, lavapipe, or a part of the adapter\'s name')
    .action(async (options: { adapter?: string }) => {
      await doctor(options.adapter, (line) => void process.stdout.write(`${line}\n`));
    });
}

/** Throws where no adapter is there or the kernel check fails. */
export async function doctor(adapterName: string | undefined, print: (line: string) => void): Promise<void> {
  const { adapter, ...description } = await requestNodeAdapter(adapterName === undefined ? {} : { adapter: adapterName });
  print(describeAdapter(description));
  const engine = new Engine(await Device.open(adapter));
  try {
    const { limits, features } = engine.device.gpu;
    for (const name of LIMITS) print(`  ${name}: ${/Size$/.test(name) ? bytes(limits[name]) : limits[name]}`);
    print(`  features: ${[...features].sort().join(', ') || 'none'}`);
    print(`Node ${process.version} on ${process.platform}-${process.arch}; ct-lite ${packageVersion('ct-lite')}, webgpu ${packageVersion('webgpu')}`);
    const disk = await statfs(process.cwd());
    print(`free disk here: ${((disk.bavail * disk.bsize) / GIB).toFixed(1)} GiB`);
    const { error, gigabytesPerSecond, milliseconds } = await checkLayerNorm(engine);
    const numbers = `layerNorm [${ROWS}, ${COLUMNS}]: relative error ${error.toExponential(1)}, ${milliseconds.toFixed(2)} ms, ${gigabytesPerSecond.toFixed(1)} GB/s`;
    if (!(error <= TOLERANCE)) {
      throw new Error(`doctor: this adapter computes wrongly: ${numbers}, at most ${TOLERANCE} is right; update the GPU driver or choose another adapter with --adapter`);
    }
    print(`kernel check: ${numbers} — right`);
  } finally {
    engine.destroy();
  }
}

interface KernelCheck {
  /** Largest error against float64, relative to the largest value. */
  error: number;
  /** Median time of one run. */
  milliseconds: number;
  gigabytesPerSecond: number;
}

async function checkLayerNorm(engine: Engine): Promise<KernelCheck> {
  const generator = xoroshiro128plus(1);
  const random = (size: number): Float32Array<ArrayBuffer> => Float32Array.from({ length: size }, () => generator.next() / 2 ** 31);
  const [x, weight, bias] = [random(ROWS * COLUMNS), random(COLUMNS), random(COLUMNS)];
  return engine.scope(async () => {
    const tensors = [engine.tensor(x, [ROWS, COLUMNS]), engine.tensor(weight), engine.tensor(bias)] as const;
    const run = (): Tensor => noGrad(() => ops.layerNorm(...tensors));
    const y = await run().toArray();
    const milliseconds = await medianTime(engine, () => run().dispose());
    const part = CHECKED_ROWS * COLUMNS;
    const expected = layerNormReference(Float64Array.from(x.subarray(0, part)), Float64Array.from(weight), Float64Array.from(bias), COLUMNS);
    const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    // Not Math.max: it would let NaN through only by luck of order.
    const error = expected.reduce((worst, value, i) => (Math.abs(y[i]! - value) / scale <= worst ? worst : Math.abs(y[i]! - value) / scale), 0);
    return { error, milliseconds, gigabytesPerSecond: (2 * 4 * ROWS * COLUMNS) / milliseconds / 1e6 };
  });
}

async function medianTime(engine: Engine, work: () => void): Promise<number> {
  const times: number[] = [];
  // Several runs a wait where they are short: waiting for the GPU takes time of its own.
  let runs = 1;
  for (const end = performance.now() + 1000 * CHECK_SECONDS; performance.now() < end; ) {
    const start = performance.now();
    for (let i = 0; i < runs; i++) work();
    await engine.sync();
    const milliseconds = (performance.now() - start) / runs;
    times.push(milliseconds);
    runs = Math.min(64, Math.max(1, Math.floor(50 / milliseconds)));
  }
  return times.sort((a, b) => a - b)[times.length >> 1]!;
}

function bytes(count: number): string {
  return count >= GIB ? `${(count / GIB).toFixed(2)} GiB` : count >= 2 ** 20 ? `${(count / 2 ** 20).toFixed(0)} MiB` : `${(count / 1024).toFixed(0)} KiB`;
}
