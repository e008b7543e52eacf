/** Multiply-accumulates of one volume, by formula: convolutions, matrix products and attention; norms, GELU and softmax are left out. */
import { lowRankOf, tensorTrainRank } from './projection.ts';
import { tokenGrid, type EncoderConfig, type HeadConfig } from './presets.ts';

/** Of the image encoder (MODEL §5's table). */
export function encoderMacs(config: EncoderConfig): number {
  const { input, stem, width, heads, spatialLayers, temporalLayers, mlpRatio } = config;
  const [t, h, w] = tokenGrid(config);
  const tokens = t * h * w;
  const product = (extents: readonly number[]): number => extents.reduce((all, extent) => all * extent, 1);
  // A convolution reads channels · kernel values for each channel of each output position.
  let channels = 1;
  const stemMacs = stem.reduce((sum, conv, at) => {
    const grid = tokenGrid({ ...config, input, stem: stem.slice(0, at + 1) as EncoderConfig['stem'] });
    const macs = product(grid) * conv.channels * channels * product(conv.kernel);
    channels = conv.channels;
    return sum + macs;
  }, 0);
  // A token: q, k, v and out, the MLP's two products, and scores and mixture over the tokens of its group.
  const block = (group: number): number => tokens * ((4 + 2 * mlpRatio) * width ** 2 + 2 * group * width);
  const pool = tokens * width * (heads + 1) + width ** 2;
  return stemMacs + spatialLayers * block(h * w) + temporalLayers * block(t) + pool;
}

/** Of one projection head on one vector. */
export function headMacs(inFeatures: number, head: HeadConfig): number {
  const { latent, kind, blockLength: m0, outFactors: [n0, n1], rank } = head;
  const m1 = inFeatures / m0;
  if (kind === 'dense') return inFeatures * latent;
  if (kind === 'sfp') return rank * (inFeatures * n0 + latent * m1);
  if (kind === 'low-rank') return lowRankOf(inFeatures, head) * (inFeatures + latent);
  // The cores that all blocks share are used once a block.
  const shared = tensorTrainRank(inFeatures, head);
  return m1 * m0 * n0 * shared + n0 * m1 * shared * n1;
}
