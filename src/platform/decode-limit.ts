/** How long one scan may be decoded before its worker is ended: a WebAssembly decoder that never returns cannot be stopped otherwise. */

/** The largest scans take a minute on a slow machine, and files on a network share may come slowly: in ms. */
export const MOST_DECODE_MS = 600_000;

/** What the scan is refused with. */
export function undecodedError(name: string, ms: number): Error {
  const time = ms < 120_000 ? `${Number((ms / 1000).toPrecision(2))} seconds` : `${Math.round(ms / 60_000)} minutes`;
  return new Error(`decodeScan: ${name}: its decoder gave no answer for ${time} and was ended; the file is damaged in a way that its checks do not see, or its disk does not answer: export the scan again, or leave it out`);
}
