/** A small synthetic CT series: stored values that differ in every voxel's place, and every header element in one's hands. */
import type { DicomSource } from '../../src/data/index.ts';
import { writeDicom } from './dicom-writer.ts';
import type { DicomElements, DicomValue, WriteDicomOptions } from './dicom-writer.ts';

export const ROWS = 6;
export const COLUMNS = 5;
export const CT_IMAGE = '1.2.840.10008.5.1.4.1.1.2';
export const SERIES = '1.2.3.4';
/** What `readDicom` is called with in tests. */
export const NAME = 'scan';

/** Stored values of slice k: from -1000 to some 900 HU at intercept -1024. */
export function storedValues(k: number): number[] {
  return Array.from({ length: ROWS * COLUMNS }, (_, i) => (24 + 64 * i + 7 * k) % 2000);
}

/** Little-endian words, or big-endian. */
export function words(values: readonly number[], little = true): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 2));
  values.forEach((value, i) => view.setUint16(2 * i, value & 0xffff, little));
  return new Uint8Array(view.buffer);
}

/** A plain axial slice at z = 100 + 2.5·k mm. `change` replaces elements; null removes one. */
export function ctSlice(k: number, change: Record<string, [string, DicomValue] | null> = {}): DicomElements {
  const elements: Record<string, [string, DicomValue] | null> = {
    '00080008': ['CS', 'ORIGINAL\\PRIMARY\\AXIAL'],
    '00080016': ['UI', CT_IMAGE],
    '00080018': ['UI', `1.2.3.4.${k + 1}`],
    '00080060': ['CS', 'CT'],
    '0008103E': ['LO', 'Chest'],
    '00100020': ['LO', 'P1'],
    '00180050': ['DS', '2.5'],
    '0020000D': ['UI', '1.2.3'],
    '0020000E': ['UI', SERIES],
    '00200011': ['IS', '2'],
    '00200012': ['IS', '1'],
    '00200013': ['IS', String(k + 1)],
    '00200032': ['DS', `-10\\-20\\${100 + 2.5 * k}`],
    '00200037': ['DS', '1\\0\\0\\0\\1\\0'],
    '00280002': ['US', 1],
    '00280004': ['CS', 'MONOCHROME2'],
    '00280010': ['US', ROWS],
    '00280011': ['US', COLUMNS],
    '00280030': ['DS', '0.8\\0.7'],
    '00280100': ['US', 16],
    '00280101': ['US', 12],
    '00280102': ['US', 11],
    '00280103': ['US', 0],
    '00281052': ['DS', '-1024'],
    '00281053': ['DS', '1'],
    '7FE00010': ['OW', words(storedValues(k))],
    ...change,
  };
  return Object.fromEntries(Object.entries(elements).filter((entry): entry is [string, [string, DicomValue]] => entry[1] !== null));
}

export const source = (name: string, bytes: Uint8Array): DicomSource => ({ name, read: () => bytes });

/** `count` slices as sources, each changed by `change(k)`. */
export function ctSeries(count: number, change: (k: number) => Record<string, [string, DicomValue] | null> = () => ({}), options: WriteDicomOptions = {}): DicomSource[] {
  return Array.from({ length: count }, (_, k) => source(`${k}.dcm`, writeDicom(ctSlice(k, change(k)), options)));
}

/** HU of the plain series of `count` slices in [D, Y, X] order: LPS axial slices need no flip. */
export function expectedHu(count: number): Float32Array {
  return Float32Array.from(Array.from({ length: count }, (_, k) => storedValues(k)).flat(), (value) => value - 1024);
}
