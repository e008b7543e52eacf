/** Writes small DICOM files for tests: any transfer syntax, sequences, encapsulated frames. Source: DICOM PS3.5 and PS3.10. */
import { deflateSync } from 'fflate';

/** Elements by tag ('00280010'), each with its VR and value; a sequence's value is its items. */
export type DicomElements = Record<string, [vr: string, value: DicomValue]>;
export type DicomValue = string | number | number[] | Uint8Array | DicomElements[] | { fragments: Uint8Array[]; offsets?: number[] };

export interface WriteDicomOptions {
  /** Default explicit little endian. */
  syntax?: string;
  /** False leaves out the preamble and the file meta information, as old exporters do. */
  part10?: boolean;
  /** Sequences and items of undefined length, closed by delimiters. */
  undefinedLength?: boolean;
}

export const SYNTAX = {
  implicit: '1.2.840.10008.1.2',
  explicit: '1.2.840.10008.1.2.1',
  deflated: '1.2.840.10008.1.2.1.99',
  bigEndian: '1.2.840.10008.1.2.2',
} as const;

const LONG_VRS = new Set(['OB', 'OW', 'SQ', 'UN', 'UT']);
const NUMBER_BYTES: Record<string, number> = { US: 2, SS: 2, UL: 4, SL: 4 };

interface Encoding {
  explicit: boolean;
  little: boolean;
  undefinedLength: boolean;
}

export function writeDicom(elements: DicomElements, { syntax = SYNTAX.explicit, part10 = true, undefinedLength = false }: WriteDicomOptions = {}): Uint8Array {
  const encoding = { explicit: syntax !== SYNTAX.implicit, little: syntax !== SYNTAX.bigEndian, undefinedLength };
  const body = writeElements(elements, encoding);
  if (!part10) return body;
  const meta: DicomElements = { '00020002': ['UI', String(elements['00080016']?.[1] ?? '')], '00020010': ['UI', syntax] };
  const metaBytes = writeElements(meta, { explicit: true, little: true, undefinedLength: false });
  const length = writeElements({ '00020000': ['UL', metaBytes.length] }, { explicit: true, little: true, undefinedLength: false });
  const mark = new Uint8Array(132);
  mark.set(new TextEncoder().encode('DICM'), 128);
  return concat([mark, length, metaBytes, syntax === SYNTAX.deflated ? deflateSync(body) : body]);
}

function writeElements(elements: DicomElements, encoding: Encoding): Uint8Array {
  return concat(Object.keys(elements).sort().map((tag) => writeElement(tag, ...elements[tag]!, encoding)));
}

function writeElement(tag: string, vr: string, value: DicomValue, encoding: Encoding): Uint8Array {
  if (Array.isArray(value) && typeof value[0] === 'object') {
    const content = concat((value as DicomElements[]).map((item) => writeItem(writeElements(item, encoding), encoding)));
    if (!encoding.undefinedLength) return concat([header(tag, 'SQ', content.length, encoding), content]);
    return concat([header(tag, 'SQ', 0xffffffff, encoding), content, tagAndLength('fffee0dd', 0, encoding)]);
  }
  if (typeof value === 'object' && 'fragments' in value) {
    const offsets = new Uint8Array(new Uint32Array(value.offsets ?? []).buffer);
    const parts = [offsets, ...value.fragments].map((part) => concat([tagAndLength('fffee000', part.length + (part.length % 2), encoding), even(part, 0)]));
    return concat([header(tag, 'OB', 0xffffffff, encoding), ...parts, tagAndLength('fffee0dd', 0, encoding)]);
  }
  const bytes = valueBytes(vr, value, encoding);
  return concat([header(tag, vr, bytes.length, encoding), bytes]);
}

function writeItem(content: Uint8Array, encoding: Encoding): Uint8Array {
  if (!encoding.undefinedLength) return concat([tagAndLength('fffee000', content.length, encoding), content]);
  return concat([tagAndLength('fffee000', 0xffffffff, encoding), content, tagAndLength('fffee00d', 0, encoding)]);
}

function valueBytes(vr: string, value: DicomValue, { little }: Encoding): Uint8Array {
  if (value instanceof Uint8Array) return even(value, 0);
  if (typeof value === 'string') return even(new TextEncoder().encode(value), vr === 'UI' ? 0 : 0x20);
  const values = (Array.isArray(value) ? value : [value]) as number[];
  const size = NUMBER_BYTES[vr]!;
  const view = new DataView(new ArrayBuffer(values.length * size));
  values.forEach((each, index) => (size === 2 ? view.setUint16(index * 2, each & 0xffff, little) : view.setUint32(index * 4, each >>> 0, little)));
  return new Uint8Array(view.buffer);
}

function tagAndLength(tag: string, length: number, { little }: Encoding): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint16(0, parseInt(tag.slice(0, 4), 16), little);
  view.setUint16(2, parseInt(tag.slice(4), 16), little);
  view.setUint32(4, length, little);
  return new Uint8Array(view.buffer);
}

function header(tag: string, vr: string, length: number, encoding: Encoding): Uint8Array {
  const plain = tagAndLength(tag, length, encoding);
  if (!encoding.explicit) return plain;
  const long = LONG_VRS.has(vr);
  const bytes = new Uint8Array(long ? 12 : 8);
  bytes.set(plain.subarray(0, 4));
  bytes.set(new TextEncoder().encode(vr), 4);
  const view = new DataView(bytes.buffer);
  if (long) view.setUint32(8, length, encoding.little);
  else view.setUint16(6, length, encoding.little);
  return bytes;
}

function even(bytes: Uint8Array, fill: number): Uint8Array {
  return bytes.length % 2 === 0 ? bytes : concat([bytes, Uint8Array.of(fill)]);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
