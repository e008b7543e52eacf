/** Transfer syntaxes: how a DICOM file's pixels are stored. Source: DICOM PS3.5 section 10 and annex A, PS3.6 annex A. */

/** What turns a frame's bytes into samples. */
export type FrameCoding = 'native' | 'rle' | 'jpeg-8bit' | 'jpeg-lossless' | 'jpeg-ls' | 'jpeg-2000' | 'htj2k';

export interface TransferSyntax {
  name: string;
  /** Null: known by name, not read here. */
  coding: FrameCoding | null;
  lossy?: boolean;
}

export const IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2';
export const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1';
export const EXPLICIT_BIG_ENDIAN = '1.2.840.10008.1.2.2';

const SYNTAXES: Record<string, TransferSyntax> = {
  [IMPLICIT_LITTLE_ENDIAN]: { name: 'implicit little endian', coding: 'native' },
  [EXPLICIT_LITTLE_ENDIAN]: { name: 'explicit little endian', coding: 'native' },
  '1.2.840.10008.1.2.1.99': { name: 'deflated explicit little endian', coding: 'native' },
  [EXPLICIT_BIG_ENDIAN]: { name: 'explicit big endian', coding: 'native' },
  '1.2.840.10008.1.2.5': { name: 'RLE lossless', coding: 'rle' },
  '1.2.840.10008.1.2.4.50': { name: 'JPEG baseline', coding: 'jpeg-8bit', lossy: true },
  // Of this one only the 8-bit kind, which is baseline in all but name; 12 bits are refused where the frame is read.
  '1.2.840.10008.1.2.4.51': { name: 'JPEG extended', coding: 'jpeg-8bit', lossy: true },
  '1.2.840.10008.1.2.4.57': { name: 'JPEG lossless', coding: 'jpeg-lossless' },
  '1.2.840.10008.1.2.4.70': { name: 'JPEG lossless, first order prediction', coding: 'jpeg-lossless' },
  '1.2.840.10008.1.2.4.80': { name: 'JPEG-LS lossless', coding: 'jpeg-ls' },
  '1.2.840.10008.1.2.4.81': { name: 'JPEG-LS near-lossless', coding: 'jpeg-ls', lossy: true },
  '1.2.840.10008.1.2.4.90': { name: 'JPEG 2000 lossless', coding: 'jpeg-2000' },
  '1.2.840.10008.1.2.4.91': { name: 'JPEG 2000', coding: 'jpeg-2000', lossy: true },
  '1.2.840.10008.1.2.4.201': { name: 'HTJ2K lossless', coding: 'htj2k' },
  '1.2.840.10008.1.2.4.202': { name: 'HTJ2K lossless, RPCL', coding: 'htj2k' },
  '1.2.840.10008.1.2.4.203': { name: 'HTJ2K', coding: 'htj2k', lossy: true },
  '1.2.840.10008.1.2.4.92': { name: 'JPEG 2000 part 2', coding: null },
  '1.2.840.10008.1.2.4.93': { name: 'JPEG 2000 part 2', coding: null },
  '1.2.840.10008.1.2.4.94': { name: 'JPIP', coding: null },
  '1.2.840.10008.1.2.4.95': { name: 'JPIP deflated', coding: null },
  '1.2.840.10008.1.2.4.110': { name: 'JPEG XL lossless', coding: null },
  '1.2.840.10008.1.2.4.111': { name: 'JPEG XL recompressed JPEG', coding: null },
  '1.2.840.10008.1.2.4.112': { name: 'JPEG XL', coding: null },
  '1.2.840.113619.5.2': { name: 'GE private implicit big endian', coding: null },
};

/** @throws `where: …` naming a syntax that is not read here. */
export function requireSyntax(uid: string, where: string): TransferSyntax & { coding: FrameCoding } {
  const syntax = SYNTAXES[uid];
  if (syntax?.coding) return { ...syntax, coding: syntax.coding };
  throw new Error(`${where}: the transfer syntax ${syntax ? `${syntax.name} (${uid})` : uid || '(none)'} is not read; export the series as explicit little endian`);
}
