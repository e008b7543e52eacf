/**
 * What a cohort's metadata table says of a scan's values and spacing, where the file itself may not: CT-RATE's `*_metadata.csv`
 * (RescaleSlope, RescaleIntercept, XYSpacing, ZSpacing), which CT-CLIP's preprocessing [C] takes in place of the header.
 *
 * [O] Here the file comes first. CT-RATE's `*_fixed` files are in HU with their geometry, so that applying the table to them rescales
 * twice (MODEL §1.5), and some 850 rows of it say RescaleIntercept −8192. The table only fills what a file lacks: spacing where
 * the header has 1 × 1 × 1 mm, slope and intercept where the values were never rescaled. What differs is said.
 */
import { findColumn, requireColumn, type CsvTable } from './csv.ts';
import { scanId } from './cohort-files.ts';
import { VOLUME_COLUMNS } from './cohort-tables.ts';
import { checkHounsfield } from './hounsfield.ts';
import type { CtVolume, Size3 } from './volume.ts';

export interface ScanMetadata {
  slope: number | null;
  intercept: number | null;
  /** [z, y, x] */
  spacingMm: Size3 | null;
}

/** No scanner writes an intercept for CT below this; −8192 is a padding value in the wrong place. */
const LOWEST_INTERCEPT = -2048;
const SPACING_TOLERANCE = 0.02;

export function isMetadataTable(table: CsvTable): boolean {
  return findColumn(table, ...VOLUME_COLUMNS) >= 0 && ['RescaleIntercept', 'XYSpacing', 'ZSpacing'].every((column) => findColumn(table, column) >= 0);
}

/** Cells that are no number count as not given. */
export function readMetadata(table: CsvTable): Map<string, ScanMetadata> {
  const scan = requireColumn(table, 'scan', ...VOLUME_COLUMNS);
  const [slope, intercept, xy, z] = ['RescaleSlope', 'RescaleIntercept', 'XYSpacing', 'ZSpacing'].map((column) => findColumn(table, column)) as [number, number, number, number];
  const number = (text: string | undefined): number | null => (text === undefined || text.trim() === '' || !Number.isFinite(Number(text)) ? null : Number(text));
  return new Map(table.rows.map((row) => {
    // "[0.7421875, 0.7421875]": DICOM's PixelSpacing, rows (y) first.
    const pair = (row[xy] ?? '').replace(/[[\]()'"]/g, '').split(/[,\s\\]+/).filter(Boolean).map(number);
    const spacing = [number(row[z]), pair[0] ?? null, pair[1] ?? pair[0] ?? null];
    const whole = spacing.every((mm): mm is number => mm !== null && mm > 0);
    return [scanId(row[scan]!), { slope: number(row[slope]), intercept: number(row[intercept]), spacingMm: whole ? (spacing as Size3) : null }];
  }));
}

/** The volume with what its file lacked; its warnings say what was filled and what differs. */
export function applyMetadata(volume: CtVolume, { slope, intercept, spacingMm }: ScanMetadata): CtVolume {
  const filled = { ...volume, warnings: [...volume.warnings] };
  if (spacingMm) {
    const differs = spacingMm.some((mm, axis) => Math.abs(mm / volume.spacingMm[axis]! - 1) > SPACING_TOLERANCE);
    const said = `[${spacingMm.join(', ')}] mm in the metadata table`;
    if (differs && volume.spacingMm.every((mm) => mm === 1)) {
      filled.spacingMm = [...spacingMm];
      filled.warnings.push(`the header has no spacing (1 × 1 × 1 mm): taken as ${said}`);
    } else if (differs) filled.warnings.push(`spacing is [${volume.spacingMm.map((mm) => Number(mm.toFixed(4))).join(', ')}] mm in the header and ${said}: the header's is used`);
  }
  if (intercept !== null && isStored(volume.hu)) {
    if (intercept >= 0 || intercept < LOWEST_INTERCEPT || slope === 0) filled.warnings.push(`RescaleIntercept ${intercept} of the metadata table cannot be right and is not applied`);
    else {
      filled.hu = volume.hu.map((value) => value * (slope ?? 1) + intercept);
      // What was said of the stored values no longer holds.
      filled.warnings = filled.warnings.filter((warning) => !warning.includes('rescale intercept'));
      filled.warnings.push(`stored values: slope ${slope ?? 1} and intercept ${intercept} of the metadata table applied`, ...checkHounsfield(filled.hu, volume.source));
    }
  }
  return filled;
}

/** Values that no rescale has touched: nothing below 0, and more than eight bits. */
function isStored(hu: Float32Array): boolean {
  let most = -Infinity;
  for (const value of hu) {
    if (value < 0) return false;
    if (value > most) most = value;
  }
  return most > 255;
}
