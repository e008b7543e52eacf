/** Stored ZIP files made by hand, with or without ZIP64 fields, for the tests of the reader. */


export interface ZipFileOptions {
  /** Sizes and offsets in ZIP64 fields, as files beyond 4 GiB have them. */
  zip64?: boolean;
  comment?: string;
}

const bytesOf = (...fields: [bytes: 2 | 4 | 8, value: number][]): Buffer => {
  const buffer = Buffer.alloc(fields.reduce((sum, [bytes]) => sum + bytes, 0));
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 8) buffer.writeBigUInt64LE(BigInt(value), at);
    else buffer.writeUIntLE(value, at, bytes);
    at += bytes;
  }
  return buffer;
};

export function zipFile(entries: Record<string, Uint8Array>, { zip64 = false, comment = '' }: ZipFileOptions = {}): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, data] of Object.entries(entries)) {
    const [nameBytes, crc, size] = [Buffer.from(name), 0, data.length];
    const extra = zip64 ? bytesOf([2, 1], [2, 24], [8, size], [8, size], [8, offset]) : Buffer.alloc(0);
    const sized = (value: number): number => (zip64 ? 0xffffffff : value);
    directory.push(bytesOf([4, 0x02014b50], [2, 45], [2, 45], [2, 0], [2, 0], [2, 0], [2, 0], [4, crc], [4, sized(size)], [4, sized(size)], [2, nameBytes.length], [2, extra.length], [2, 0], [2, 0], [2, 0], [4, 0], [4, sized(offset)]), nameBytes, extra);
    // As PyTorch does, the local header has a pad, so that data is aligned.
    const pad = Buffer.alloc(13);
    const local = Buffer.concat([bytesOf([4, 0x04034b50], [2, 45], [2, 0], [2, 0], [2, 0], [2, 0], [4, crc], [4, size], [4, size], [2, nameBytes.length], [2, pad.length]), nameBytes, pad, data]);
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const count = Object.keys(entries).length;
  const end64 = zip64
    ? Buffer.concat([bytesOf([4, 0x06064b50], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0], [8, count], [8, count], [8, central.length], [8, offset]), bytesOf([4, 0x07064b50], [4, 0], [8, offset + central.length], [4, 1])])
    : Buffer.alloc(0);
  const sized = (value: number, most: number): number => (zip64 ? most : value);
  const end = bytesOf([4, 0x06054b50], [2, 0], [2, 0], [2, sized(count, 0xffff)], [2, sized(count, 0xffff)], [4, sized(central.length, 0xffffffff)], [4, sized(offset, 0xffffffff)], [2, comment.length]);
  return new Uint8Array(Buffer.concat([...parts, central, end64, end, Buffer.from(comment)]));
}

