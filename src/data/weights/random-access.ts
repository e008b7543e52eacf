/**
 * A file of which parts are read on demand, so that a checkpoint of gigabytes never lies in memory as a whole. Node's
 * implementation is in src/platform.
 */
export interface RandomAccess {
  readonly byteLength: number;
  /** Exactly the bytes offset … offset + length, as an array of their own. @throws Error where they are not all there */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** @throws Error where the range does not lie within `byteLength` bytes */
export function requireRange(offset: number, length: number, byteLength: number): void {
  const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0 && offset + length <= byteLength;
  if (!inside) throw new Error(`read: bytes ${offset} to ${offset + length} must lie within the file's ${byteLength}; it was cut off, take another copy`);
}

export function bytesAccess(bytes: Uint8Array): RandomAccess {
  return {
    byteLength: bytes.length,
    async read(offset, length) {
      requireRange(offset, length, bytes.length);
      return bytes.slice(offset, offset + length) as Uint8Array<ArrayBuffer>;
    },
  };
}

/** A file that the user picked in a browser. */
export function blobAccess(blob: Blob): RandomAccess {
  return {
    byteLength: blob.size,
    async read(offset, length) {
      requireRange(offset, length, blob.size);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
  };
}
