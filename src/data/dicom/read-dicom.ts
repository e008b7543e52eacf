/**
 * A DICOM CT series to the CtVolume that `readNifti` would give for the same scan: HU by each slice's own slope and intercept,
 * sorted by position, turned to the house orientation by permutation and flips only.
 */
import { checkHounsfield } from '../hounsfield.ts';
import { orientedShape, placement, planAxes } from '../orientation.ts';
import type { AxisPlan, Placement } from '../orientation.ts';
import { checkPlan, MAX_VOXELS } from '../volume-limits.ts';
import type { CtVolume, Size3 } from '../volume.ts';
import { voxelCount } from '../volume.ts';
import { isDicom, parseDicom, readingValues } from './dicom-file.ts';
import type { DataSet } from './dicom-file.ts';
import { paddingRemark, readHu } from './frame.ts';
import { chooseSeries, groupSeries } from './series.ts';
import { readSlices } from './slice.ts';
import type { DicomSlice } from './slice.ts';
import { stackSlices } from './stack.ts';
import type { Stack } from './stack.ts';

/** One file of a series, read when it is needed: a folder's file, a ZIP's entry. */
export interface DicomSource {
  /** What errors call it. */
  name: string;
  read(): Promise<Uint8Array> | Uint8Array;
}

export interface ReadDicomOptions {
  /** SeriesInstanceUID, where there are several. */
  series?: string;
}

/** Files of a series that are kept in memory between the look at the headers and the reading of the pixels. */
const KEPT_BYTES = 2 ** 30;

/**
 * Reads one series. What is no CT slice (localisers, secondary captures, other modalities, other files) is left out with a
 * warning; with several series the largest axial one is taken, with a warning.
 *
 * @param name what errors and `source` call the scan.
 * @throws `readDicom: name: rule, received; remedy`: no CT slice, series of several patients or studies, slices missing, uneven
 * or doubled, a tilted gantry, damaged files, transfer syntaxes that are not read.
 */
export async function readDicom(sources: readonly DicomSource[], name: string, options: ReadDicomOptions = {}): Promise<CtVolume> {
  const where = `readDicom: ${name}`;
  const warnings: string[] = [];
  const files = new OpenFiles(sources, where);
  const series = groupSeries(await findSlices(files, sources.length, where, warnings));
  const chosen = chooseSeries(series, options.series, where, warnings);
  const same = async (a: DicomSlice, b: DicomSlice): Promise<boolean> => {
    const [first, second] = [await files.hu(a), await files.hu(b)];
    return first.every((value, index) => value === second[index]);
  };
  const stack = await stackSlices(chosen.slices, where, same, warnings);
  noteSlices(stack, warnings);
  const plan = planAxes(stack.affine, where);
  const { rows, columns } = stack.slots[0]!;
  const fileShape: Size3 = [columns, rows, stack.slots.length];
  checkPlan(plan, where, warnings);
  if (voxelCount(fileShape) > MAX_VOXELS) throw new Error(`${where}: at most ${MAX_VOXELS} voxels, the series has [${fileShape.join(', ')}]; resample the scan first`);
  const hu = await fillVolume(stack, files, fileShape, plan);
  warnings.push(...checkHounsfield(hu, where));
  return { hu, shape: orientedShape(plan, fileShape), spacingMm: plan.spacingMm, warnings, source: name };
}

export interface DicomSeriesSummary {
  /** SeriesInstanceUID, as `ReadDicomOptions.series` takes it. */
  uid: string;
  description: string;
  number: number;
  slices: number;
  axial: boolean;
}

/** The CT series among the files, for people to choose from. Errors as of `readDicom`. */
export async function listDicomSeries(sources: readonly DicomSource[], name: string): Promise<DicomSeriesSummary[]> {
  const where = `readDicom: ${name}`;
  const found = groupSeries(await findSlices(new OpenFiles(sources, where), sources.length, where, []));
  return found.map(({ uid, description, number, slices, axial }) => ({ uid, description, number, slices: slices.length, axial }));
}

/** Reads files on demand and keeps the last one parsed: the frames of an enhanced CT come from one file. */
class OpenFiles {
  private readonly sources: readonly DicomSource[];
  private readonly where: string;
  private readonly kept = new Map<number, Uint8Array>();
  private keptBytes = 0;
  private last: { source: number; data: DataSet } | null = null;

  constructor(sources: readonly DicomSource[], where: string) {
    this.sources = sources;
    this.where = where;
  }

  nameOf(source: number): string {
    return `${this.where}: ${this.sources[source]!.name}`;
  }

  /** Null where the file is no DICOM. */
  async open(source: number): Promise<DataSet | null> {
    if (this.last?.source === source) return this.last.data;
    const bytes = this.kept.get(source) ?? (await this.sources[source]!.read());
    if (!isDicom(bytes)) return null;
    if (!this.kept.has(source) && this.keptBytes + bytes.length <= KEPT_BYTES) {
      this.kept.set(source, bytes);
      this.keptBytes += bytes.length;
    }
    const data = parseDicom(bytes, this.nameOf(source));
    this.last = { source, data };
    return data;
  }

  async hu(slice: DicomSlice): Promise<Float32Array> {
    const data = await this.open(slice.source);
    if (!data) throw new Error(`${slice.where}: the file has changed while it was read`);
    return readHu(data, slice);
  }

  /** What is read for the last time need not stay. */
  forget(source: number): void {
    this.keptBytes -= this.kept.get(source)?.length ?? 0;
    this.kept.delete(source);
  }
}

async function findSlices(files: OpenFiles, count: number, where: string, warnings: string[]): Promise<DicomSlice[]> {
  const slices: DicomSlice[] = [];
  const dropped = new Map<string, string[]>();
  for (let source = 0; source < count; source++) {
    const data = await files.open(source);
    const file = files.nameOf(source);
    const found = data ? readingValues(file, () => readSlices(data, source, file)) : { dropped: 'no DICOM' };
    if ('slices' in found) for (const slice of found.slices) slices.push(slice);
    else {
      dropped.set(found.dropped, [...(dropped.get(found.dropped) ?? []), files.nameOf(source).slice(where.length + 2)]);
      files.forget(source);
    }
  }
  const words = [...dropped].map(([reason, names]) => `${names.length} ${names.length === 1 ? 'file is' : 'files are'} ${reason} (${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''})`);
  if (slices.length === 0) throw new Error(`${where}: no CT slice is found${words.length > 0 ? `: ${words.join('; ')}` : ''}; give the folder or ZIP of a CT series`);
  warnings.push(...words.map((word) => `left out: ${word}`));
  return slices;
}

/** What slices say of themselves, once each. */
function noteSlices(stack: Stack, warnings: string[]): void {
  const slices = stack.slots.filter((slot) => slot !== null);
  warnings.push(...new Set(slices.flatMap((slice) => [...slice.remarks, ...paddingRemark(slice)])));
  if (slices.some(({ lossy }) => lossy)) warnings.push('the series was compressed with loss before: HU are near, not exact');
  const tilt = slices.find(({ tiltDegrees }) => Math.abs(tiltDegrees) > 1);
  if (tilt) warnings.push(`the header gives a gantry tilt of ${tilt.tiltDegrees} degrees, the positions none; the positions are believed`);
}

async function fillVolume({ slots }: Stack, files: OpenFiles, fileShape: Size3, plan: AxisPlan): Promise<Float32Array> {
  const hu = new Float32Array(voxelCount(fileShape));
  const place = placement(plan, fileShape);
  const lastUse = new Map(slots.flatMap((slot, index) => (slot ? [[slot.source, index] as const] : [])));
  let before: Float32Array | null = null;
  let from = 0;
  for (const [index, slot] of slots.entries()) {
    if (!slot) continue;
    const slice = await files.hu(slot);
    for (let missing = from + 1; before && missing < index; missing++) {
      writeSlice(hu, blend(before, slice, (missing - from) / (index - from)), fileShape, missing, place);
    }
    writeSlice(hu, slice, fileShape, index, place);
    if (lastUse.get(slot.source) === index) files.forget(slot.source);
    [before, from] = [slice, index];
  }
  return hu;
}

const blend = (a: Float32Array, b: Float32Array, share: number): Float32Array => a.map((value, index) => value * (1 - share) + b[index]! * share);

function writeSlice(hu: Float32Array, slice: Float32Array, [columns, rows]: Size3, index: number, { start, step }: Placement): void {
  let from = 0;
  for (let row = 0; row < rows; row++) {
    let at = start + row * step[1] + index * step[2];
    for (let column = 0; column < columns; column++, at += step[0]) hu[at] = slice[from++]!;
  }
}
