import { strToU8 } from 'fflate';
import { describe, expect, it } from 'vitest';
import { defaultPrompts, formatPrompts, LABELS, readPrompts } from '../../../src/data/index.ts';

const json = (value: unknown): Uint8Array => strToU8(JSON.stringify(value));
const pair = { label: 'Emphysema', positive: 'There is emphysema.', negative: 'No emphysema.' };

describe('prompts', () => {
  it('are CT-CLIP\'s by default, one pair a label in order', () => {
    expect(defaultPrompts()).toHaveLength(18);
    expect(defaultPrompts()[2]).toEqual({ label: 'Cardiomegaly', positive: 'Cardiomegaly is present.', negative: 'Cardiomegaly is not present.' });
  });
  it('come back from the file that is written', () => expect(readPrompts(strToU8(formatPrompts(defaultPrompts())), 'prompts.json')).toEqual(defaultPrompts()));
  it('are read from CSV, some of the labels, in any case of letters', () => {
    expect(readPrompts(strToU8('negative,label,positive\n"No, none.",lung nodule,A nodule.\n'), 'p.csv')).toEqual([{ label: 'Lung nodule', positive: 'A nodule.', negative: 'No, none.' }]);
  });
  it.each([
    ['an unknown label', json([{ ...pair, label: 'Pneumonia' }]), `'Pneumonia' is no label of the cohort; labels are '${LABELS[0]}'`],
    ['a label twice', json([pair, { ...pair, positive: 'x' }]), "'Emphysema' is there twice"],
    ['an empty prompt', json([{ ...pair, negative: ' ' }]), 'both prompts must have words'],
    ['equal prompts', json([{ ...pair, negative: pair.positive }]), 'every score would be 0.5'],
    ['no pair', json([]), 'at least one label'],
    ['another shape', json({ Emphysema: ['a', 'b'] }), 'must be an array of { "label", "positive", "negative" }'],
    ['no JSON', strToU8('{'), 'not valid JSON'],
  ])('refuse %s', (_, bytes, message) => expect(() => readPrompts(bytes, 'p.json')).toThrow(message));
});
