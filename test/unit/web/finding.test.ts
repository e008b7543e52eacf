import { describe, expect, it } from 'vitest';
import { findingOf } from '../../../web/finding.ts';

describe('findingOf', () => {
  it.each([
    ['Is there a pleural effusion?', 'Pleural effusion'],
    ['are there any signs of emphysema ?', 'Emphysema'],
    ['lung NODULE', 'Lung nodule'],
    ['a fracture of the rib is visible.', 'A fracture of the rib'],
    ['  ?', ''],
  ])('reads "%s" as "%s"', (question, finding) => {
    expect(findingOf(question)).toBe(finding);
  });
});
