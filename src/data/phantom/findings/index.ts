/** The 18 kinds, one for each label. */
import type { Label } from '../../labels.ts';
import type { AnyFindingKind } from './finding.ts';
import { arterialCalcification, cardiomegaly, coronaryCalcification, pericardialEffusion } from './heart-and-vessels.ts';
import { atelectasis, consolidation, emphysema, lungOpacity, mosaicAttenuation, septalThickening } from './lung-density.ts';
import { bronchiectasis, fibroticSequela, lungNodule, peribronchialThickening, pleuralEffusion } from './lung-focal.ts';
import { hiatalHernia, lymphadenopathy, medicalMaterial } from './mediastinum.ts';

export const FINDING_KINDS: Record<Label, AnyFindingKind> = {
  'Medical material': medicalMaterial,
  'Arterial wall calcification': arterialCalcification,
  Cardiomegaly: cardiomegaly,
  'Pericardial effusion': pericardialEffusion,
  'Coronary artery wall calcification': coronaryCalcification,
  'Hiatal hernia': hiatalHernia,
  Lymphadenopathy: lymphadenopathy,
  Emphysema: emphysema,
  Atelectasis: atelectasis,
  'Lung nodule': lungNodule,
  'Lung opacity': lungOpacity,
  'Pulmonary fibrotic sequela': fibroticSequela,
  'Pleural effusion': pleuralEffusion,
  'Mosaic attenuation pattern': mosaicAttenuation,
  'Peribronchial thickening': peribronchialThickening,
  Consolidation: consolidation,
  Bronchiectasis: bronchiectasis,
  'Interlobular septal thickening': septalThickening,
};

/** Painting order within a phase: fluid last, it covers collapsed lung. */
export const PAINT_ORDER: readonly Label[] = [
  'Cardiomegaly', 'Peribronchial thickening', 'Bronchiectasis', 'Emphysema', 'Mosaic attenuation pattern', 'Lung opacity', 'Consolidation',
  'Atelectasis', 'Pleural effusion', 'Interlobular septal thickening', 'Pulmonary fibrotic sequela', 'Lung nodule', 'Pericardial effusion',
  'Hiatal hernia', 'Lymphadenopathy', 'Arterial wall calcification', 'Coronary artery wall calcification', 'Medical material',
];
export type { FindingWords, Phase, Scene } from './finding.ts';
