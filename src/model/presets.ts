/** The sizes of CT-Lite, MODEL §5. All of it is our choice [O]: the paper's dimensions are not public. */

export interface StemConv {
  channels: number;
  kernel: [number, number, number];
  stride: [number, number, number];
  padding: [number, number, number];
}

export interface EncoderConfig {
  /** Input [D, Y, X]. */
  input: [number, number, number];
  stem: [StemConv, StemConv];
  width: number;
  heads: number;
  spatialLayers: number;
  temporalLayers: number;
  /** Hidden width of the MLP over its width. */
  mlpRatio: number;
}

export interface TextConfig {
  width: number;
  layers: number;
  heads: number;
  feedForward: number;
  maxPositions: number;
  /** Rows of the token-type table; BERT's 2 where not given. Every text is of type 0. */
  tokenTypes?: number;
  /** Epsilon of the LayerNorms; BERT's 1e-12 where not given. */
  normEps?: number;
}

/** Block Tensor Train (SFP), its dense twin, and two factorisations of about as many parameters as the first [O]. */
export const HEAD_KINDS = ['sfp', 'dense', 'low-rank', 'tensor-train'] as const;
export type HeadKind = (typeof HEAD_KINDS)[number];

export interface HeadConfig {
  /** Length of the shared embedding. */
  latent: number;
  kind: HeadKind;
  /** Input block length m0, output factors [n0, n1] and rank r of the Block Tensor Train. */
  blockLength: number;
  outFactors: [number, number];
  rank: number;
}

export interface Preset {
  name: PresetName;
  /** Shape and spacing [z, y, x] in mm of the input: a field of view of 360 mm in every axis, the chest's middle in `tiny-fine`. */
  grid: { shape: [number, number, number]; spacingMm: [number, number, number] };
  /** Averages before resampling, where the grid is much coarser than scans are [O]. */
  antialias: boolean;
  encoder: EncoderConfig;
  text: TextConfig;
  head: HeadConfig;
}

export type PresetName = 'tiny' | 'tiny-fine' | 'small' | 'base';

const patch: [number, number, number] = [2, 4, 4];
const first = (channels: number): StemConv => ({ channels, kernel: patch, stride: patch, padding: [0, 0, 0] });
const five = (channels: number): StemConv => ({ channels, kernel: [5, 5, 5], stride: [5, 5, 5], padding: [0, 0, 0] });

const grid = (shape: [number, number, number]): Preset['grid'] => ({ shape, spacingMm: [360 / shape[0], 360 / shape[1], 360 / shape[2]] });

/** BERT-base of CXR-BERT in width, so that its weights fit; fewer layers where trained from scratch [O]. */
const bertWidth: TextConfig = { width: 768, layers: 4, heads: 12, feedForward: 3072, maxPositions: 512 };

const tiny: Preset = {
  name: 'tiny',
  grid: grid([16, 64, 64]),
  antialias: true,
  encoder: {
    input: [16, 64, 64],
    stem: [first(16), { channels: 64, kernel: [3, 3, 3], stride: [2, 2, 2], padding: [1, 1, 1] }],
    width: 64,
    heads: 4,
    spatialLayers: 1,
    temporalLayers: 1,
    mlpRatio: 2,
  },
  text: { width: 96, layers: 2, heads: 4, feedForward: 192, maxPositions: 256 },
  head: { latent: 64, kind: 'sfp', blockLength: 16, outFactors: [4, 16], rank: 4 },
};

export const presets: Record<PresetName, Preset> = {
  tiny,
  'tiny-fine': { ...tiny, name: 'tiny-fine', grid: { shape: [16, 64, 64], spacingMm: [5, 3, 3] } },
  small: {
    name: 'small',
    grid: grid([120, 240, 240]),
    antialias: true,
    encoder: { input: [120, 240, 240], stem: [first(32), five(256)], width: 256, heads: 8, spatialLayers: 4, temporalLayers: 2, mlpRatio: 4 },
    text: bertWidth,
    head: { latent: 512, kind: 'sfp', blockLength: 32, outFactors: [16, 32], rank: 8 },
  },
  base: {
    name: 'base',
    grid: grid([240, 480, 480]),
    antialias: false,
    encoder: { input: [240, 480, 480], stem: [first(32), five(384)], width: 384, heads: 6, spatialLayers: 4, temporalLayers: 4, mlpRatio: 4 },
    text: bertWidth,
    head: { latent: 512, kind: 'sfp', blockLength: 32, outFactors: [16, 32], rank: 8 },
  },
};

/** Token grid [t, h, w] after both stem convolutions. */
export function tokenGrid({ input, stem }: EncoderConfig): [number, number, number] {
  return stem.reduce<[number, number, number]>(
    (extent, { kernel, stride, padding }) => extent.map((size, axis) => Math.floor((size + 2 * padding[axis]! - kernel[axis]!) / stride[axis]!) + 1) as [number, number, number],
    input,
  );
}
