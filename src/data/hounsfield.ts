/**
 * Is this really Hounsfield units? CT-CLIP's users paid for not asking: files rescaled twice, stored values without their
 * intercept, padding of -8192 (MODEL §1.5, §6). Clear damage is an error, mendable damage is mended with a warning.
 */

/** No tissue and no air is below this; scanners pad the corners with -2000, -2048, -3024 or -8192. */
const LOWEST_REAL_HU = -1500;
export const PADDING_REPLACEMENT_HU = -1024;
const NAN_REPLACEMENT_HU = -1000;
const MAX_NAN_FRACTION = 0.01;
/** Soft tissue and bone start here; a CT of a body holds some of it. */
const TISSUE_HU = -200;
const MIN_TISSUE_FRACTION = 0.01;
/** Water and muscle and everything denser end far below this in most voxels. */
const MAX_PLAUSIBLE_MEDIAN_HU = 400;

const percent = (count: number, total: number): string => `${((100 * count) / total).toPrecision(2)} %`;

/**
 * Mends `hu` in place (NaN, infinities and padding) and gives the warnings.
 * @throws where more than 1 % of the voxels are NaN or infinite.
 */
export function checkHounsfield(hu: Float32Array, where: string): string[] {
  const warnings: string[] = [];
  let invalid = 0;
  let padding = 0;
  let tissue = 0;
  let min = Infinity;
  let max = -Infinity;
  let lowestPadding = 0;
  for (let i = 0; i < hu.length; i++) {
    let value = hu[i]!;
    // NaN fails every comparison, so that one test finds it together with the infinities.
    if (!(value > -3.4e38 && value < 3.4e38)) {
      invalid++;
      hu[i] = NAN_REPLACEMENT_HU;
      continue;
    }
    if (value < LOWEST_REAL_HU) {
      padding++;
      if (value < lowestPadding) lowestPadding = value;
      hu[i] = value = PADDING_REPLACEMENT_HU;
    }
    if (value > TISSUE_HU) tissue++;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (invalid > MAX_NAN_FRACTION * hu.length) {
    throw new Error(
      `${where}: voxels must be finite, ${percent(invalid, hu.length)} are NaN or infinite; re-export the scan from its DICOM series`,
    );
  }
  if (invalid > 0) warnings.push(`${invalid} NaN or infinite voxels replaced by ${NAN_REPLACEMENT_HU} HU`);
  if (padding > 0) {
    warnings.push(
      `${percent(padding, hu.length)} of the voxels are below ${LOWEST_REAL_HU} HU (down to ${lowestPadding}), taken for padding and set to ${PADDING_REPLACEMENT_HU}`,
    );
  }
  warnings.push(...judgeRange(hu, min, max, tissue));
  return warnings;
}

function judgeRange(hu: Float32Array, min: number, max: number, tissue: number): string[] {
  if (min === max) return [`every voxel is ${min} HU: the scan is empty`];
  if (min >= 0 && max <= 1) return ['all values lie in 0..1: the scan looks normalised, not in HU'];
  if (min >= -1 && max <= 1) return ['all values lie in -1..1: the scan looks normalised, not in HU'];
  if (min >= 0 && max <= 255) return ['all values lie in 0..255: the scan looks like an 8-bit picture, not HU'];
  if (min >= 0) {
    return [`no value is below 0 (range ${min}..${max}): the rescale intercept (mostly -1024) seems not to be applied`];
  }
  if (tissue < MIN_TISSUE_FRACTION * hu.length) {
    return [`only ${percent(tissue, hu.length)} of the voxels are above ${TISSUE_HU} HU: the values look shifted, as if the rescale intercept had been applied twice`];
  }
  if (sampledMedian(hu) > MAX_PLAUSIBLE_MEDIAN_HU) {
    return [`half of the voxels are above ${MAX_PLAUSIBLE_MEDIAN_HU} HU (range ${min}..${max}): slope or intercept look wrong`];
  }
  return [];
}

function sampledMedian(hu: Float32Array): number {
  const stride = Math.max(1, Math.floor(hu.length / 10007));
  const sample = Float32Array.from({ length: Math.ceil(hu.length / stride) }, (_, i) => hu[i * stride]!).sort();
  return sample[sample.length >> 1]!;
}
