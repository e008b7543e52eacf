/** Bounds on a scan's size and geometry that every reader of scans keeps to. */
import type { AxisPlan } from './orientation.ts';

/** 2 GiB of float32: 1024 × 1024 × 512. */
export const MAX_VOXELS = 2 ** 29;
const MIN_SPACING_MM = 0.05;
const MAX_SPACING_MM = 50;
const OBLIQUE_WARNING_DEGREES = 10;

/** @throws `where: …` for a spacing that no scanner has. Warns of a scan that lies across the body's axes. */
export function checkPlan(plan: AxisPlan, where: string, warnings: string[]): void {
  if (plan.spacingMm.some((size) => size < MIN_SPACING_MM || size > MAX_SPACING_MM)) {
    throw new Error(
      `${where}: spacing must be ${MIN_SPACING_MM} to ${MAX_SPACING_MM} mm, got [${plan.spacingMm.map((size) => Number(size.toPrecision(4))).join(', ')}] along S, P, L; re-export the scan with its spacing`,
    );
  }
  if (plan.obliqueDegrees > OBLIQUE_WARNING_DEGREES) {
    warnings.push(`the scan lies ${Math.round(plan.obliqueDegrees)} degrees off the body's axes; the nearest axes are used, without rotation`);
  }
}
