import { describe, expect, it } from 'vitest';
import { LABELS, type CohortScan } from '../../../src/data/index.ts';
import { drawTexts, sentenceFrequencies, sentencesOf } from '../../../src/train/texts.ts';

const scan = (id: string, reportId: string, report: string): CohortScan => ({ id, patientId: id, reportId, path: id, split: 'train', report, labels: null });
const report = { unit: 'report', sentencesPerScan: 4, maxTokens: 32 } as const;
const sentences = (sentencesPerScan: number) => ({ unit: 'sentence', sentencesPerScan, maxTokens: 32 }) as const;
const rows = ({ texts, matches }: { texts: string[]; matches: Uint8Array }): number[][] =>
  Array.from({ length: matches.length / texts.length }, (_, row) => [...matches.slice(row * texts.length, (row + 1) * texts.length)]);

describe('sentencesOf', () => {
  it('splits after full stops, question and exclamation marks and at line ends', () => {
    expect(sentencesOf('The heart is normal. Is it? It is!\nNo effusion\n\n  Lungs are clear. ')).toEqual(['The heart is normal.', 'Is it?', 'It is!', 'No effusion', 'Lungs are clear.']);
  });

  it('keeps decimal points and lower-case abbreviations inside a sentence', () => {
    expect(sentencesOf('A nodule of 4.5 mm, approx. unchanged, e.g. in segment 6. No mass.')).toEqual(['A nodule of 4.5 mm, approx. unchanged, e.g. in segment 6.', 'No mass.']);
  });

  it('drops repeats and what has no letter', () => {
    expect(sentencesOf('No mass. No mass. \n---\n12.\nNo mass.')).toEqual(['No mass.']);
  });

  it('reads letters of any script', () => {
    expect(sentencesOf('Kalp normaldir. Çıkan aorta geniştir. Şant yok.')).toHaveLength(3);
    expect(sentencesOf('双肺未见异常。')).toEqual(['双肺未见异常。']);
    expect(sentencesOf('')).toEqual([]);
  });
});

describe('sentenceFrequencies', () => {
  it('counts reports, not the scans that share one', () => {
    const found = sentenceFrequencies([scan('a', 'r1', 'One. Two.'), scan('b', 'r1', 'One. Two.'), scan('c', 'r2', 'Two. Two. Three.')]);
    expect(Object.fromEntries(found)).toEqual({ 'One.': 1, 'Two.': 2, 'Three.': 1 });
  });
});

describe('drawTexts', () => {
  const shared = [scan('a_1', 'a', 'One. Two.'), scan('a_2', 'a', 'One. Two.'), scan('b_1', 'b', 'Two. Three.')];
  const frequencies = sentenceFrequencies(shared);

  it('matches a report to every scan that shares it, by report id', () => {
    const drawn = drawTexts(shared, frequencies, report, 0, 0);
    expect(drawn.texts).toEqual(['One. Two.', 'Two. Three.']);
    expect(rows(drawn)).toEqual([[1, 0], [1, 0], [0, 1]]);
  });

  it('keeps apart reports that read the same but are not the same', () => {
    const drawn = drawTexts([scan('a', 'a', 'One.'), scan('b', 'b', 'One.')], frequencies, report, 0, 0);
    expect(rows(drawn)).toEqual([[1, 0], [0, 1]]);
  });

  it('matches a sentence to every scan whose report holds it, drawn for it or not', () => {
    const drawn = drawTexts(shared, frequencies, sentences(9), 0, 0);
    expect([...drawn.texts].sort()).toEqual(['One.', 'Three.', 'Two.']);
    const column = (text: string): number[] => rows(drawn).map((row) => row[drawn.texts.indexOf(text)]!);
    expect(column('One.')).toEqual([1, 1, 0]);
    expect(column('Two.')).toEqual([1, 1, 1]);
    expect(column('Three.')).toEqual([0, 0, 1]);
  });

  it('draws at most so many sentences a scan, the same for the same seed and step, others for another step', () => {
    const long = [scan('a', 'a', Array.from({ length: 30 }, (_, n) => `Sentence number ${n}.`).join(' '))];
    const draw = (seed: number, step: number): string[] => drawTexts(long, new Map(), sentences(3), seed, step).texts;
    expect(draw(1, 5)).toHaveLength(3);
    expect(draw(1, 5)).toEqual(draw(1, 5));
    expect(draw(1, 6)).not.toEqual(draw(1, 5));
    expect(draw(2, 5)).not.toEqual(draw(1, 5));
  });

  it('asks no prompt of a label that some scan has no word about', () => {
    const labelled = (id: string, labels: number[]): CohortScan => ({ ...scan(id, id, ''), labels: Uint8Array.from(LABELS, (_, at) => labels[at] ?? 0) });
    const { texts, matches } = drawTexts([labelled('a', [1, 255]), labelled('b', [0, 1])], new Map(), { ...report, labelPrompts: true }, 0, 0);
    expect(texts).toHaveLength(34);
    expect(texts.join()).not.toContain(LABELS[1]);
    expect([matches[0], matches[1], matches[34], matches[35]]).toEqual([1, 0, 0, 1]);
  });

  it('draws common sentences more often', () => {
    const one = [scan('a', 'a', 'Common. Rare.')];
    const weights = new Map([['Common.', 9], ['Rare.', 1]]);
    const common = Array.from({ length: 400 }, (_, step) => drawTexts(one, weights, sentences(1), 0, step).texts[0]).filter((text) => text === 'Common.').length;
    // 360 expected, standard deviation 6.
    expect(common).toBeGreaterThan(330);
    expect(common).toBeLessThan(390);
  });
});

describe('label prompts', () => {
  const labels = (positive: number): Uint8Array => Uint8Array.from({ length: 18 }, (_, label) => (label === positive ? 1 : 0));
  const scan = (id: string, report: string, findings: Uint8Array | null) => ({ id, patientId: id, reportId: id, path: id, split: 'train', report, labels: findings }) as const;
  const options = { unit: 'sentence', sentencesPerScan: 2, maxTokens: 32, labelPrompts: true } as const;

  it('stand first, matched by the labels, and a sentence of the same words is not repeated', () => {
    const scans = [scan('a', 'Cardiomegaly is present. Normal airways.', labels(2)), scan('b', 'Normal airways.', labels(0))];
    const { texts, matches } = drawTexts(scans, sentenceFrequencies(scans), options, 1, 0);
    expect(texts.slice(4, 6)).toEqual(['Cardiomegaly is present.', 'Cardiomegaly is not present.']);
    expect(texts.slice(36)).toEqual(['Normal airways.']);
    const row = (index: number): number[] => [...matches.slice(index * texts.length, (index + 1) * texts.length)];
    expect(row(0).slice(4, 6)).toEqual([1, 0]);
    expect(row(1).slice(4, 6)).toEqual([0, 1]);
    expect(row(0)[36]! + row(1)[36]!).toBe(2);
    // One prompt of each pair is true.
    expect(row(0).slice(0, 36).reduce((sum, match) => sum + match, 0)).toBe(18);
  });

  it('are left out where a scan has no labels', () => {
    const scans = [scan('a', 'Normal airways.', labels(2)), scan('b', 'Normal heart.', null)];
    expect(drawTexts(scans, sentenceFrequencies(scans), options, 1, 0).texts.sort()).toEqual(['Normal airways.', 'Normal heart.']);
  });
});
