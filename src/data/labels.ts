/**
 * The 18 abnormality labels of CT-RATE, in the column order of its label files (MODEL §1.6), and the prompts that CT-CLIP
 * scores them with.
 */
export const LABELS = [
  'Medical material',
  'Arterial wall calcification',
  'Cardiomegaly',
  'Pericardial effusion',
  'Coronary artery wall calcification',
  'Hiatal hernia',
  'Lymphadenopathy',
  'Emphysema',
  'Atelectasis',
  'Lung nodule',
  'Lung opacity',
  'Pulmonary fibrotic sequela',
  'Pleural effusion',
  'Mosaic attenuation pattern',
  'Peribronchial thickening',
  'Consolidation',
  'Bronchiectasis',
  'Interlobular septal thickening',
] as const;

/** In a truth array: nobody said whether the finding is present (a cohort without that label). Such scans are left out of that label. */
export const UNLABELLED = 255;

export type Label = (typeof LABELS)[number];

/** The pair of sentences whose two logits give a label's probability (softmax over the two; MODEL §1.6). */
export function labelPrompts(label: string): { positive: string; negative: string } {
  return { positive: `${label} is present.`, negative: `${label} is not present.` };
}

/** All prompts, positive and negative of each label in turn: 36 texts for the 18 labels. */
export function allLabelPrompts(labels: readonly string[] = LABELS): string[] {
  return labels.flatMap((label) => {
    const { positive, negative } = labelPrompts(label);
    return [positive, negative];
  });
}
