import { describe, expect, it } from 'vitest';
import { buildVocabulary, loadTokenizer, type CohortScan } from '../../../src/data/index.ts';
import { textBounds } from '../../../src/train/index.ts';

const reports = ['The heart is normal. No effusion is seen in the left or the right pleural space.', 'The heart is normal.', ''];
const scans = reports.map((report, n) => ({ id: `scan${n}`, reportId: `r${n}`, report })) as unknown as CohortScan[];
const tokenizer = loadTokenizer({ vocabTxt: buildVocabulary(reports, { minCount: 1 }) });
const text = { unit: 'sentence', sentencesPerScan: 2, maxTokens: 256 } as const;
/** Words, full stops and the two marks. */
const [sentence, report] = [12 + 1 + 2, 16 + 2 + 2];

describe('textBounds', () => {
  it('finds the longest sentence, and as many as there are', () => {
    expect(textBounds(scans, tokenizer, text, 3)).toEqual({ count: 2, tokens: sentence });
    expect(textBounds(scans, tokenizer, { ...text, sentencesPerScan: 1 }, 1)).toEqual({ count: 1, tokens: sentence });
  });

  it('takes whole reports, prompts, and cuts at the most tokens', () => {
    expect(textBounds(scans, tokenizer, { ...text, unit: 'report' }, 2)).toEqual({ count: 2, tokens: report });
    expect(textBounds(scans, tokenizer, { ...text, maxTokens: 8 }, 3).tokens).toBe(8);
    expect(textBounds(scans, tokenizer, { ...text, labelPrompts: true }, 1)).toMatchObject({ count: 38 });
  });
});
