import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { allLabelPrompts, labelPrompts, LABELS, readCsv } from '../../../src/data/index.ts';

const CT_RATE_LABELS = '../shared/data/text/ctrate_train_predicted_labels.csv.gz';

describe('labels', () => {
  it('are 18, each once', () => expect(new Set(LABELS).size).toBe(18));
  it('have prompts in pairs', () => {
    expect(labelPrompts('Lung nodule')).toEqual({ positive: 'Lung nodule is present.', negative: 'Lung nodule is not present.' });
    expect(allLabelPrompts()).toHaveLength(36);
    expect(allLabelPrompts().slice(0, 3)).toEqual(['Medical material is present.', 'Medical material is not present.', 'Arterial wall calcification is present.']);
  });
  it.skipIf(!existsSync(CT_RATE_LABELS))("stand in the order of CT-RATE's own label file", () => {
    const table = readCsv(gunzipSync(readFileSync(CT_RATE_LABELS)), 'labels');
    expect(table.columns).toEqual(['VolumeName', ...LABELS]);
    expect(table.rows).toHaveLength(47149);
  });
});
