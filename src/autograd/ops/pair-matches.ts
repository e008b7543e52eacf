import { check } from '../../engine/index.ts';

export type PairId = string | number;

/** Which image belongs to which text. */
export interface PairMatches {
  /** One id an image and a text; equal ids match (several volumes may share a report). Default: the index. */
  imageIds?: readonly PairId[];
  textIds?: readonly PairId[];
}

/** The ids as numbers: equal where the ids are equal. A number and a string never match. */
export function matchCodes(images: number, texts: number, { imageIds, textIds }: PairMatches, op: string): { imageCodes: Uint32Array<ArrayBuffer>; textCodes: Uint32Array<ArrayBuffer> } {
  check((imageIds === undefined) === (textIds === undefined), op, () => 'takes imageIds and textIds together, got one of them');
  check(!imageIds || imageIds.length === images, op, () => `imageIds must hold ${images} ids, got ${imageIds!.length}`);
  check(!textIds || textIds.length === texts, op, () => `textIds must hold ${texts} ids, got ${textIds!.length}`);
  const codes = new Map<PairId, number>();
  const codeOf = (id: PairId): number => {
    if (!codes.has(id)) codes.set(id, codes.size);
    return codes.get(id)!;
  };
  const imageCodes = Uint32Array.from({ length: images }, (_, i) => codeOf(imageIds ? imageIds[i]! : i));
  const textCodes = Uint32Array.from({ length: texts }, (_, j) => codeOf(textIds ? textIds[j]! : j));
  return { imageCodes, textCodes };
}
