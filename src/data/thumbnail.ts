/** Small grey pictures of a volume, for people to check orientation and content. */
import type { GreyImage } from './jpeg-codec.ts';
import type { CtVolume } from './volume.ts';

export type Plane = 'axial' | 'coronal' | 'sagittal';

/** House axes that run down and across the picture, and across the stack; superior is on top where it is seen. */
const PLANES = {
  axial: { across: 0, down: 1, right: 2, fromTop: false },
  coronal: { across: 1, down: 0, right: 2, fromTop: true },
  sagittal: { across: 2, down: 0, right: 1, fromTop: true },
} as const;

/** What lies at the picture's left, right, top and bottom: axial and coronal are seen with the patient's left at the right. */
export const PLANE_EDGES: Record<Plane, [left: string, right: string, top: string, bottom: string]> = {
  axial: ['R', 'L', 'A', 'P'],
  coronal: ['R', 'L', 'S', 'I'],
  sagittal: ['A', 'P', 'S', 'I'],
};

/**
 * One plane in true proportions, linear within it.
 *
 * @param place 0..1 along the axis across the plane.
 * @param window HU of black and of white.
 * @param side pixels of the longer side.
 */
export function thumbnail(volume: CtVolume, plane: Plane, place: number, window: readonly [number, number], side: number): GreyImage {
  const { across, down, right, fromTop } = PLANES[plane];
  const { shape, spacingMm, hu } = volume;
  const size = [shape[down] * spacingMm[down], shape[right] * spacingMm[right]] as const;
  const pixel = Math.max(...size) / side;
  const [height, width] = size.map((length) => Math.max(1, Math.round(length / pixel))) as [number, number];
  const stride = [shape[1] * shape[2], shape[2], 1];
  const start = Math.min(shape[across] - 1, Math.floor(place * shape[across])) * stride[across]!;
  const rows = samplePlaces(height, shape[down], fromTop);
  const columns = samplePlaces(width, shape[right], false);
  const grey = new Uint8Array(height * width);
  const scale = 255 / (window[1] - window[0]);
  rows.forEach(({ before: y, after: yNext, share: fy }, row) => {
    columns.forEach(({ before: x, after: xNext, share: fx }, column) => {
      const value = (a: number, b: number): number => hu[start + a * stride[down]! + b * stride[right]!]!;
      const mixed = (value(y, x) * (1 - fx) + value(y, xNext) * fx) * (1 - fy) + (value(yNext, x) * (1 - fx) + value(yNext, xNext) * fx) * fy;
      grey[row * width + column] = Math.max(0, Math.min(255, Math.round((mixed - window[0]) * scale)));
    });
  });
  return { grey, width, height };
}

function samplePlaces(count: number, size: number, reversed: boolean): { before: number; after: number; share: number }[] {
  return Array.from({ length: count }, (_, index) => {
    const centre = ((reversed ? count - 1 - index : index) + 0.5) * (size / count) - 0.5;
    const place = Math.max(0, Math.min(size - 1, centre));
    const before = Math.floor(place);
    return { before, after: Math.min(size - 1, before + 1), share: place - before };
  });
}
