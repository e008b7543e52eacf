/** What a finding is: planned once (numbers and words that agree), painted in every reconstruction of its scan. */
import type { Anatomy, Lobe, Side } from '../anatomy.ts';
import type { Canvas } from '../canvas.ts';
import type { AirwayChange, LungTree } from '../lung-tree.ts';
import type { RandomStream } from '../random.ts';
import type { Texture } from '../texture.ts';

/** What the report may say about a finding: each field agrees with what is painted. */
export interface FindingWords {
  /** "mild", "moderate" or "marked". */
  grade: string;
  /** A place that fits after "in": "the right lower lobe", "both lungs". Empty where the label has only one place. */
  where: string;
  /** Largest measure with its unit, "12 mm"; empty where nothing is measured. */
  size: string;
  /** A noun phrase of its own: "a left-sided pacemaker", "the aortic arch and the descending aorta". */
  detail: string;
}

/** Everything a brush needs, and what findings change in the drawing of normal anatomy. */
export interface Scene {
  canvas: Canvas;
  anatomy: Anatomy;
  texture: Texture;
  tree: LungTree;
  /** Heart size against this patient's normal. */
  heartFactor: number;
  airways: AirwayChange;
}

/**
 * When a finding is painted:
 * setup — changes the scene's anatomy, paints nothing;
 * air — changes the lung before vessels are drawn over it; tissue — hides vessels, bronchi are drawn over it;
 * detail — over the finished lung; sac — between great vessels and heart; last — over everything.
 */
export type Phase = 'setup' | 'air' | 'tissue' | 'detail' | 'sac' | 'last';

export interface FindingKind<Shape> {
  phase: Phase;
  /** Severity in (0, 1]: subtle to gross. */
  plan(anatomy: Anatomy, random: RandomStream, severity: number): { shape: Shape; words: FindingWords };
  paint(scene: Scene, shape: Shape): void;
}

/** A kind whose shape only its own functions look into; `shape` is plain data, so a case can be sent to a worker. */
export type AnyFindingKind = FindingKind<unknown>;
export const defineFinding = <Shape>(kind: FindingKind<Shape>): AnyFindingKind => kind as AnyFindingKind;

export const gradeOf = (severity: number): string => (severity < 0.36 ? 'mild' : severity < 0.7 ? 'moderate' : 'marked');

/** Millimetres in the patient of a length in the reference frame. */
export const patientMm = (anatomy: Anatomy, mm: number): number => (mm * (anatomy.scale[0] + anatomy.scale[1] + anatomy.scale[2])) / 3;
export const sizeText = (anatomy: Anatomy, mm: number): string => `${Math.max(1, Math.round(patientMm(anatomy, mm)))} mm`;

export const lobeName = (side: Side, lobe: Lobe): string => `the ${side} ${lobe} lobe`;

/** "a", "a and b", "a, b and c", each item once. */
export function joinWords(items: readonly string[]): string {
  const unique = [...new Set(items)];
  return unique.length < 2 ? (unique[0] ?? '') : `${unique.slice(0, -1).join(', ')} and ${unique[unique.length - 1]}`;
}

/** Where several foci sit: up to two lobes by name, more by side. */
export function spreadWords(places: readonly { side: Side; lobe: Lobe }[]): string {
  const names = [...new Set(places.map((p) => lobeName(p.side, p.lobe)))];
  if (names.length <= 2) return joinWords(names);
  const sides = new Set(places.map((p) => p.side));
  return sides.size === 2 ? 'both lungs' : `the ${places[0]!.side} lung`;
}
