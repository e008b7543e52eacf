/** Which of the series that were found is the scan. */
import { dot } from './slice.ts';
import type { DicomSlice } from './slice.ts';
import type { Size3 } from '../volume.ts';

export interface DicomSeries {
  uid: string;
  description: string;
  number: number;
  slices: DicomSlice[];
  /** Whether its slices lie across the body, within 30 degrees. */
  axial: boolean;
}

const AXIAL_COSINE = 0.85;
/** How many series an error lists. */
const LISTED = 12;

/** Direction in which the slices of a plane follow each other, LPS. */
export function normalOf({ rowDirection: r, columnDirection: c }: DicomSlice): Size3 {
  return [r[1] * c[2] - r[2] * c[1], r[2] * c[0] - r[0] * c[2], r[0] * c[1] - r[1] * c[0]];
}

/** Slices by SeriesInstanceUID, in the order of their series numbers. */
export function groupSeries(slices: readonly DicomSlice[]): DicomSeries[] {
  const groups = new Map<string, DicomSlice[]>();
  for (const slice of slices) groups.set(slice.seriesUid, [...(groups.get(slice.seriesUid) ?? []), slice]);
  const series = [...groups].map(([uid, own]) => {
    const across = own.filter((slice) => Math.abs(dot(normalOf(slice), [0, 0, 1])) > AXIAL_COSINE).length;
    return { uid, description: own[0]!.description, number: own[0]!.seriesNumber, slices: own, axial: 2 * across > own.length };
  });
  return series.sort((a, b) => a.number - b.number || (a.uid < b.uid ? -1 : 1));
}

/**
 * The series asked for; else the only one; else the axial one with the most slices, if all are of one patient and study. Where
 * two have equally many (two reconstructions of one scan), the first by series number, with a warning.
 * @throws with a list of the series where that leaves a choice that is not ours.
 */
export function chooseSeries(series: readonly DicomSeries[], wanted: string | undefined, where: string, warnings: string[]): DicomSeries {
  const fail = (rule: string): Error => new Error(`${where}: ${rule}:\n${list(series)}`);
  if (wanted !== undefined) {
    const found = series.find(({ uid }) => uid === wanted);
    if (found) return found;
    throw fail(`there is no series ${wanted}; choose one of the ${series.length}`);
  }
  if (series.length === 1) return series[0]!;
  for (const [what, values] of [['patients', patientsOf(series)], ['studies', studiesOf(series)]] as const) {
    if (values > 1) throw fail(`it holds ${series.length} CT series of ${values} ${what}; give one with --series`);
  }
  const axial = series.some((each) => each.axial) ? series.filter((each) => each.axial) : series;
  const most = Math.max(...axial.map(({ slices }) => slices.length));
  if (most < 2) throw fail(`it holds ${series.length} CT series of one slice each; give one with --series`);
  const largest = axial.filter(({ slices }) => slices.length === most);
  const chosen = largest[0]!;
  const others = series.filter((each) => each !== chosen);
  const equal = largest.length > 1 ? `, ${largest.length - 1} of them as large` : '';
  warnings.push(`the largest of ${series.length} CT series is taken: ${nameOf(chosen)}; ${others.length} left out${equal} (${others.slice(0, 3).map(nameOf).join('; ')}${others.length > 3 ? '; …' : ''})`);
  return chosen;
}

const distinct = (series: readonly DicomSeries[], key: (slice: DicomSlice) => string): number => new Set(series.map(({ slices }) => key(slices[0]!))).size;
const patientsOf = (series: readonly DicomSeries[]): number => distinct(series, ({ patientId }) => patientId);
const studiesOf = (series: readonly DicomSeries[]): number => distinct(series, ({ studyUid }) => studyUid);

/** Number, description and size: nothing that names a person. */
const nameOf = ({ number, description, slices }: DicomSeries): string =>
  `${number}${description ? ` '${description.slice(0, 40)}'` : ''}, ${slices.length} ${slices.length === 1 ? 'slice' : 'slices'}`;

function list(series: readonly DicomSeries[]): string {
  const lines = series.slice(0, LISTED).map((each) => `  ${each.uid}  ${nameOf(each)}${each.axial ? '' : ', not axial'}`);
  return [...lines, ...(series.length > LISTED ? [`  … and ${series.length - LISTED} more`] : [])].join('\n');
}
