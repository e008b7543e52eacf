/** The scanner: how a scan is acquired, and what a reconstruction kernel does to the picture. */
import type { Anatomy } from './anatomy.ts';
import type { Canvas, Pose } from './canvas.ts';
import type { RandomStream } from './random.ts';

export type Resolution = 'small' | 'full';

/** One exposure: shared by all its reconstructions. */
export interface Acquisition {
  manufacturer: string;
  /** HU of enhanced blood, null where no contrast was given. */
  contrastHu: number | null;
  pose: Pose;
  /** Noise against a scan of ordinary dose. */
  doseNoise: number;
  /** Field of view, mm. */
  fieldMm: number;
  /** Scanned length along z, mm. */
  lengthMm: number;
}

export interface Reconstruction {
  kernel: 'smooth' | 'sharp';
  kernelName: string;
  shape: [number, number, number];
  spacingMm: [number, number, number];
}

/** Kernel names as the three makers write them: smooth, sharp. */
const MAKERS: readonly { name: string; smooth: string; sharp: string }[] = [
  { name: 'Siemens', smooth: 'B31f', sharp: 'B70f' }, { name: 'Philips', smooth: 'B', sharp: 'YC' }, { name: 'PNMS', smooth: 'A', sharp: 'L' },
];
const MATRIX: Record<Resolution, readonly number[]> = { small: [96, 96, 104, 112, 128], full: [512] };

export function drawAcquisition(random: RandomStream, anatomy: Anatomy): Acquisition {
  const bodyWidth = 2 * (168 + anatomy.fatMm + anatomy.muscleMm - 13) * anatomy.scale[0];
  return {
    manufacturer: random.pick(MAKERS).name,
    contrastHu: random.chance(0.3) ? random.uniform(150, 300) : null,
    pose: {
      scale: anatomy.scale,
      rotation: 0.035 * random.normal(),
      shear: [0.02 * random.normal(), 0.03 * random.normal()],
      centre: [6 * random.normal(), 4 + 6 * random.normal(), -28 + 5 * random.normal()],
    },
    doseNoise: random.uniform(0.7, 1.5) * (0.7 + anatomy.fatMm / 45),
    fieldMm: Math.min(420, Math.max(300, bodyWidth * random.uniform(0.9, 1.02))),
    lengthMm: random.uniform(288, 322) * anatomy.scale[2],
  };
}

/** One kernel, or a smooth and a sharp one with slices of their own, as CT-RATE has for most scans. */
export function drawReconstructions(random: RandomStream, scan: Acquisition, resolution: Resolution, both: boolean): Reconstruction[] {
  const maker = MAKERS.find((m) => m.name === scan.manufacturer)!;
  const matrix = random.pick(MATRIX[resolution]);
  const only = random.chance(0.6) ? 'smooth' : 'sharp';
  return (both ? (['smooth', 'sharp'] as const) : ([only] as const)).map((kernel) => {
    const slices = resolution === 'full' ? random.integer(200, 320) : random.integer(32, 50);
    const pixel = round(scan.fieldMm / matrix, 4);
    return { kernel, kernelName: maker[kernel], shape: [slices, matrix, matrix], spacingMm: [round(scan.lengthMm / slices, 2), pixel, pixel] };
  });
}

const round = (value: number, digits: number) => Number(value.toFixed(digits));

/** Noise of a kernel at 1 mm voxels and ordinary dose, HU. Sharper kernels keep more of it. */
const KERNEL_NOISE = { smooth: 13, sharp: 34 };
const HU_FLOOR = -1024;
const HU_CEILING = 3071;

/**
 * Applies the kernel's point spread and adds its noise, slice by slice in place.
 * Smooth: a 3×3 binomial blur of picture and noise, so the noise is correlated over a few pixels.
 * Sharp: unsharp masking of the picture, noise without its low frequencies. Noise is strongest in the middle of the body,
 * where the beam was weakened most. Outside the circle that the scanner reconstructs there is only padding.
 */
export function applyKernel(canvas: Canvas, kernel: Reconstruction['kernel'], doseNoise: number, random: RandomStream): void {
  const [D, Y, X] = canvas.shape;
  const picture = new Float32Array(Y * X);
  const noise = new Float32Array(Y * X);
  const blurred = new Float32Array(Y * X);
  const low = new Float32Array(Y * X);
  // Small pixels are needed to blur or sharpen anything at the scale of a kernel's point spread of about 1 mm.
  const pixel = canvas.spacingMm[1];
  const reach = Math.min(1, 1.6 / pixel);
  const sigma = KERNEL_NOISE[kernel] * doseNoise * Math.min(1, (1.2 / pixel) ** 0.25);
  const noiseGain = kernel === 'smooth' ? 2.67 : 1.11;
  for (let k = 0; k < D; k++) {
    const slice = canvas.hu.subarray(k * Y * X, (k + 1) * Y * X);
    picture.set(slice);
    blur3(picture, blurred, Y, X);
    for (let i = 0; i < noise.length; i++) noise[i] = fourByteNormal(random.int32());
    if (kernel === 'smooth') blur3(noise, noise, Y, X);
    else removeBlur(noise, low, Y, X);
    const strength = kernel === 'smooth' ? 0.7 * reach : -0.55 * reach;
    for (let j = 0; j < Y; j++) {
      const v = (2 * j) / Y - 1;
      for (let i = 0; i < X; i++) {
        const u = (2 * i) / X - 1;
        const o = j * X + i;
        if (u * u + v * v > 1) {
          slice[o] = HU_FLOOR;
          continue;
        }
        const attenuation = 1.2 - 0.7 * (u * u + v * v);
        const value = picture[o]! + strength * (blurred[o]! - picture[o]!) + sigma * noiseGain * attenuation * noise[o]!;
        slice[o] = Math.max(HU_FLOOR, Math.min(HU_CEILING, Math.round(value)));
      }
    }
  }
}

/** Sum of four bytes, standardised: close to normal within ±3.4 σ, at the price of one random integer. */
function fourByteNormal(bits: number): number {
  return ((bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24) - 510) / 147.8;
}

/** Binomial [1 2 1]/4 along both axes, edges repeated; target may be the source. */
function blur3(source: Float32Array, target: Float32Array, Y: number, X: number): void {
  for (let j = 0; j < Y; j++) {
    let before = source[j * X]!;
    for (let i = 0; i < X; i++) {
      const o = j * X + i;
      const here = source[o]!;
      target[o] = 0.25 * before + 0.5 * here + 0.25 * (i + 1 < X ? source[o + 1]! : here);
      before = here;
    }
  }
  for (let i = 0; i < X; i++) {
    let before = target[i]!;
    for (let j = 0; j < Y; j++) {
      const o = j * X + i;
      const here = target[o]!;
      target[o] = 0.25 * before + 0.5 * here + 0.25 * (j + 1 < Y ? target[o + X]! : here);
      before = here;
    }
  }
}

function removeBlur(noise: Float32Array, low: Float32Array, Y: number, X: number): void {
  blur3(noise, low, Y, X);
  for (let i = 0; i < noise.length; i++) noise[i]! -= 0.8 * low[i]!;
}
