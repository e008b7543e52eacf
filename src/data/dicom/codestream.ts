/**
 * The frame of a JPEG 2000 or HTJ2K codestream, walked before a decoder sees it: OpenJPH looks for markers without an end and
 * never returns from some damaged headers. Source: ITU-T T.800 annex A.
 */
export interface Codestream {
  /** Where it starts: some writers leave it in its JP2 box. */
  start: number;
  width: number;
  height: number;
  components: number;
}

const SOC = 0xff4f;
const SIZ = 0xff51;
const COD = 0xff52;
const SOT = 0xff90;
const EOC = 0xffd9;
/** Markers that may stand in a main header lie between. */
const FIRST_MARKER = 0xff50;
const LAST_MARKER = 0xff6f;
const SIZ_BYTES = 38;
const SOT_BYTES = 12;
/** JP2 boxes before the codestream are shorter. */
const MAX_START = 1024;
/** Tiles cost hundreds of bytes each before one is decoded; slices have one, or a few of 128 pixels and more. */
const MAX_TILES = 4096;
const MAX_LAYERS = 1024;
const MAX_BITS = 16;
/** One sample a pixel in both directions. */
const NOT_SUBSAMPLED = 0x0101;
const MAX_LEVELS = 32;
/** Code blocks: sides of 4 to 1024, 4096 samples at most; the header has the exponents less two. */
const MAX_BLOCK_EXPONENT = 8;
const MAX_BLOCK_EXPONENTS = 8;

/** @throws `where: …` where markers, lengths or tile parts do not follow each other from the first byte to the end mark. */
export function readCodestream(bytes: Uint8Array, where: string): Codestream {
  const fail = (reason: string): Error => new Error(`${where}: the JPEG 2000 frame is damaged (${reason}); copy or export the file again`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const short = (at: number): number => (at + 2 <= bytes.length ? view.getUint16(at) : 0);
  let start = 0;
  while (start < MAX_START && (short(start) !== SOC || short(start + 2) !== SIZ)) start++;
  const components = short(start + 40);
  if (start + 45 > bytes.length || short(start + 4) !== SIZ_BYTES + 3 * components) throw fail('it does not begin with its size');
  const [width, height, tileX, tileY] = [8, 12, 24, 28].map((at) => view.getUint32(start + at)) as [number, number, number, number];
  const offsets = [16, 20, 32, 36].map((at) => view.getUint32(start + at));
  if (offsets.some((offset) => offset !== 0)) throw fail('its picture or tiles do not begin at its corner');
  if (components === 1 && ((bytes[start + 42]! & 0x7f) >= MAX_BITS || short(start + 43) !== NOT_SUBSAMPLED)) throw fail('its samples are none of a slice');
  const tiles = Math.ceil(width / tileX) * Math.ceil(height / tileY);
  if (!(tiles >= 1 && tiles <= MAX_TILES)) throw fail(`tiles of ${tileX} × ${tileY}`);
  const tileParts = walkHeader(short, bytes, start + 2, fail);
  walkTileParts(short, view, tileParts, tiles, fail);
  return { start, width, height, components };
}

/** The main header's segments; gives where the first tile part starts. */
function walkHeader(short: (at: number) => number, bytes: Uint8Array, from: number, fail: (reason: string) => Error): number {
  let coding = 0;
  let at = from;
  for (; short(at) !== SOT; at += 2 + short(at + 2)) {
    const marker = short(at);
    if (marker < FIRST_MARKER || marker > LAST_MARKER || short(at + 2) < 2 || (marker === SIZ && at !== from)) throw fail(`no marker where one must be, at byte ${at}`);
    if (marker !== COD) continue;
    coding++;
    const [levels, across, down] = [bytes[at + 9]!, bytes[at + 10]! & 15, bytes[at + 11]! & 15];
    const layers = short(at + 6);
    if (layers < 1 || layers > MAX_LAYERS || levels > MAX_LEVELS || across > MAX_BLOCK_EXPONENT || down > MAX_BLOCK_EXPONENT || across + down > MAX_BLOCK_EXPONENTS) {
      throw fail('its coding style is none');
    }
  }
  if (coding !== 1) throw fail(`${coding} coding styles in its header`);
  return at;
}

function walkTileParts(short: (at: number) => number, view: DataView, from: number, tiles: number, fail: (reason: string) => Error): void {
  let at = from;
  while (short(at) === SOT && short(at + 2) === SOT_BYTES - 2 && at + SOT_BYTES < view.byteLength) {
    const length = view.getUint32(at + 6);
    if (short(at + 4) >= tiles || (length !== 0 && length < SOT_BYTES + 2)) break;
    // A length of 0 means: to the end.
    at = length === 0 ? view.byteLength - 2 : at + length;
  }
  if (at !== view.byteLength - 2 || short(at) !== EOC) throw fail('its tile parts do not reach its end');
}
