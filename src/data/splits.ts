/** Splits by patient, the same for the same seed and the same patients on every machine. */
export type Split = 'train' | 'validation' | 'test';

/** Fewer patients than this make no three splits of which one could say anything. */
export const MIN_PATIENTS = 6;

/**
 * Gives each patient a split: patients ranked by a hash of seed and id, the first `test` and the next `validation` fraction of
 * them (at least one patient each where the fraction is above 0), the rest 'train'.
 */
export function splitPatients(
  patientIds: Iterable<string>,
  seed: number,
  fractions: { validation: number; test: number },
): Map<string, Split> {
  const patients = [...new Set(patientIds)];
  const ranked = patients
    .map((id) => ({ id, rank: hashText(`${seed}:${id}`) }))
    .sort((a, b) => a.rank - b.rank || (a.id < b.id ? -1 : 1));
  const share = (fraction: number): number => (fraction > 0 ? Math.max(1, Math.round(fraction * patients.length)) : 0);
  const test = share(fractions.test);
  const validation = share(fractions.validation);
  return new Map(ranked.map(({ id }, place) => [id, place < test ? 'test' : place < test + validation ? 'validation' : 'train']));
}

/** Short stable id of a text, for grouping equal reports. */
export function textId(text: string): string {
  return `${hashText(text).toString(36)}-${hashText(`${text}#`).toString(36)}`;
}

/** 32-bit FNV-1a over UTF-16 code units with a final mix, so that ids that differ in one digit do not rank side by side. */
export function hashText(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
