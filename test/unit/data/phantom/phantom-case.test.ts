import { describe, expect, it } from 'vitest';
import { LABELS, labelPrompts } from '../../../../src/data/labels.ts';
import type { Label } from '../../../../src/data/labels.ts';
import { CT_RATE_PREVALENCE, generatePhantomCase, labelPrevalence, phantomCases, VALIDATION_INDEX } from '../../../../src/data/phantom/index.ts';
import { CT_RATE_CORRELATION } from '../../../../src/data/phantom/prevalence.ts';
import { skinDistance } from '../../../../src/data/phantom/anatomy.ts';
import { PHRASES } from '../../../../src/data/phantom/phrases.ts';

const CASES = Array.from({ length: 500 }, (_, i) => generatePhantomCase(7, i));

/** A word that a sentence about the label contains, whichever of the phrasings it takes. */
const SAYS: Record<Label, RegExp> = {
  'Medical material': /medical material|pacemaker|port catheter|wires/i,
  'Arterial wall calcification': /arterial wall calcif|(calcif|plaque).*aort|aort.*calcif/i,
  Cardiomegaly: /cardiomegaly|heart is enlarged|enlarged heart|heart size is increased|cardiac enlargement/i,
  'Pericardial effusion': /pericardial (effusion|space)|surrounds the heart/i,
  'Coronary artery wall calcification': /coronary|circumflex|left anterior descending/i,
  'Hiatal hernia': /hernia/i,
  Lymphadenopathy: /lymph|enlarged nodes/i,
  Emphysema: /emphysem/i,
  Atelectasis: /atelecta/i,
  'Lung nodule': /nodule/i,
  'Lung opacity': /opacit|ground-glass/i,
  'Pulmonary fibrotic sequela': /fibrotic/i,
  'Pleural effusion': /pleural (effusion|space)/i,
  'Mosaic attenuation pattern': /mosaic/i,
  'Peribronchial thickening': /bronchial/i,
  Consolidation: /consolidation/i,
  Bronchiectasis: /bronchiecta/i,
  'Interlobular septal thickening': /interlobular/i,
};
const sentences = (text: string) => text.split(/(?<=\.)\s+/);

describe('phantom labels', () => {
  it('keeps each prevalence within four standard errors of its target', () => {
    labelPrevalence().forEach((target, i) => {
      const share = CASES.filter((c) => c.labels[i]).length / CASES.length;
      expect(Math.abs(share - target), `${LABELS[i]}: ${share} against ${target}`).toBeLessThan(4 * Math.sqrt((target * (1 - target)) / CASES.length));
    });
  });

  it('lifts rare labels to the floor and leaves the others', () => {
    expect(labelPrevalence(0)).toEqual(CT_RATE_PREVALENCE);
    expect(labelPrevalence(0.2)[13]).toBe(0.2);
    expect(labelPrevalence(0.2)[9]).toBe(0.455);
    expect(() => labelPrevalence(1.5)).toThrow(/must be in \[0, 1\), got 1.5/);
  });

  it('lets labels occur together as in CT-RATE: joint frequencies follow the strongest correlations', () => {
    const lift = (a: number, b: number) => {
      const both = CASES.filter((c) => c.labels[a] && c.labels[b]).length / CASES.length;
      return both / ((CASES.filter((c) => c.labels[a]).length / CASES.length) * (CASES.filter((c) => c.labels[b]).length / CASES.length));
    };
    expect(CT_RATE_CORRELATION[4]![1]).toBe(0.93);
    expect(lift(4, 1)).toBeGreaterThan(2.2);
    expect(lift(12, 3)).toBeGreaterThan(1.8);
    expect(lift(15, 9)).toBeLessThan(0.95);
  });

  it('plans the same case whatever was planned before, and another for another seed, patient or split', () => {
    expect(generatePhantomCase(7, 42)).toEqual(CASES[42]);
    expect(generatePhantomCase(8, 42)).not.toEqual(CASES[42]);
    expect(generatePhantomCase(7, VALIDATION_INDEX + 42).anatomy).not.toEqual(CASES[42]!.anatomy);
    expect(() => generatePhantomCase(7, -1)).toThrow(/whole number/);
    expect(() => generatePhantomCase(7, 0, { labels: new Uint8Array(3) })).toThrow(/must hold 18 values, got 3/);
  });

  it('draws a finding the same with and without others', () => {
    const only = (...on: number[]) => generatePhantomCase(7, 1, { labels: LABELS.map((_, i) => (on.includes(i) ? 1 : 0)) as unknown as Uint8Array });
    expect(only(9, 12, 0).findings.find((f) => f.label === 'Lung nodule')).toEqual(only(9).findings[0]);
  });

  it('gives follow-up scans the same body and a likeness of labels', () => {
    const pairs = Array.from({ length: 120 }, (_, i) => [generatePhantomCase(3, i, {}, 0), generatePhantomCase(3, i, {}, 1)] as const);
    let same = 0;
    for (const [a, b] of pairs) {
      expect(b.anatomy).toEqual(a.anatomy);
      expect([a.scanId.at(-1), b.scanId.at(-1)]).toEqual(['a', 'b']);
      same += a.labels.filter((value, i) => value === b.labels[i]).length / 18 / pairs.length;
    }
    // Independent draws at these prevalences would agree for about 0.69 of the labels.
    expect(same).toBeGreaterThan(0.76);
    expect(same).toBeLessThan(0.97);
  });
});

describe('phantom reports', () => {
  it('has at least five phrasings of presence and three of absence for each label, all in whole sentences', () => {
    for (const label of LABELS) {
      expect(PHRASES[label].present.length, label).toBeGreaterThanOrEqual(5);
      expect(PHRASES[label].absent.length, label).toBeGreaterThanOrEqual(3);
      for (const text of [...PHRASES[label].present, ...PHRASES[label].conclusion, ...PHRASES[label].absent]) expect(text).toMatch(/\.$/);
    }
  });

  it('mentions every positive label in findings and impression, and denies none of them', () => {
    for (const { findings, report, scanId } of CASES) {
      for (const { label } of findings) {
        const denials = new Set([labelPrompts(label).negative, ...PHRASES[label].absent]);
        for (const [part, text] of [['findings', report.findings], ['impression', report.impression]] as const) {
          const all = sentences(text);
          const asserted = all.filter((s) => !/\b(no|not|without)\b/i.test(s));
          expect(asserted.some((s) => SAYS[label].test(s) || s === labelPrompts(label).positive), `${scanId} ${part} must name ${label}: ${text}`).toBe(true);
          expect(all.filter((s) => denials.has(s)), `${scanId} ${part}`).toEqual([]);
        }
      }
    }
  });

  it('asserts no absent label', () => {
    for (const { labels, report } of CASES) {
      LABELS.forEach((label, i) => {
        if (!labels[i]) expect(sentences(`${report.findings} ${report.impression}`)).not.toContain(labelPrompts(label).positive);
      });
    }
  });

  it('takes the plain form for about four fifths of the positives and for four to six absent labels in the impression', () => {
    let plain = 0;
    let total = 0;
    for (const { findings, report, labels } of CASES) {
      const said = sentences(report.impression);
      total += findings.length;
      plain += findings.filter((f) => said.includes(labelPrompts(f.label).positive)).length;
      const negatives = said.filter((s) => s.endsWith('is not present.')).length;
      expect(negatives).toBeGreaterThanOrEqual(Math.min(4, labels.filter((v) => !v).length));
      expect(negatives).toBeLessThanOrEqual(6);
    }
    expect(plain / total).toBeGreaterThan(0.75);
    expect(plain / total).toBeLessThan(0.85);
  });

  it('leaves no placeholder, no double space, and ends every section with a period', () => {
    for (const { report } of CASES) {
      for (const text of Object.values(report)) {
        expect(text).toMatch(/\.$/);
        expect(text).not.toMatch(/[{}]|undefined|NaN| {2}| \.|null/);
      }
    }
  });

  it("states the side that the finding's geometry has", () => {
    const right = CASES.flatMap((c) => c.findings.filter((f) => f.label === 'Pleural effusion'));
    expect(right.length).toBeGreaterThan(30);
    for (const { shape, words } of right) {
      const sides = (shape as { side: number }[]).map((pool) => pool.side);
      expect(words.where).toBe(sides.length === 2 ? 'both pleural spaces' : sides[0]! < 0 ? 'the right pleural space' : 'the left pleural space');
    }
  });

  it('draws a field of view from 90 to 102 % as wide as the patient, within what scanners offer', () => {
    const widths = CASES.map(({ anatomy, acquisition }) => {
      const isInside = (x: number): boolean => [-110, -55, 0, 40, 70, 100].some((z) => [0, 6, 12, 19].some((y) => skinDistance(anatomy, x, y, z) < 0));
      let halfWidth = 100;
      while (isInside(halfWidth)) halfWidth++;
      return { patient: 2 * halfWidth * anatomy.scale[0], field: acquisition.fieldMm };
    });
    expect(widths.every(({ field }) => field >= 300 && field <= 420)).toBe(true);
    const free = widths.filter(({ field }) => field > 300 && field < 420);
    expect(free.length).toBeGreaterThan(200);
    for (const { patient, field } of free) {
      expect(field / patient).toBeGreaterThan(0.88);
      expect(field / patient).toBeLessThan(1.04);
    }
  });

  it('yields as many cases as patients and their follow-ups', () => {
    const cases = [...phantomCases({ seed: 2, patients: 60, validationPatients: 20 })];
    expect(new Set(cases.map((c) => c.patientId)).size).toBe(80);
    expect(cases.length).toBeGreaterThan(80);
    expect(cases.filter((c) => c.patientId.startsWith('valid_')).length).toBeGreaterThanOrEqual(20);
  });
});
