/**
 * The report's sentences, written for the phantom: several wordings for each label's presence and absence. {grade}, {where},
 * {size} and {detail} are filled from the finding's words. The plain forms ("<Label> is present.") are added in report.ts.
 */
import type { Label } from '../labels.ts';

export interface Phrases {
  /** For the findings section. */
  present: readonly string[];
  /** Shorter, for the impression. */
  conclusion: readonly string[];
  absent: readonly string[];
}

export const PHRASES: Record<Label, Phrases> = {
  'Medical material': {
    present: ['{Detail} is noted.', 'Medical material is seen: {detail}.', 'There is {detail}.', 'The images show {detail} in place.', 'Status with {detail}.'],
    conclusion: ['{Detail} in place.', 'Medical material: {detail}.'],
    absent: ['No medical device or surgical material is seen.', 'There is no catheter, lead or other medical material.', 'No implanted material in the chest.'],
  },
  'Arterial wall calcification': {
    present: ['There are {grade} wall calcifications in {where}.', 'Calcific atheromatous plaques are seen in {where}.', 'Atherosclerotic wall calcification of {grade} degree in {where}.', 'The wall of {where} is calcified.', '{Grade} arterial wall calcification is observed in {where}.'],
    conclusion: ['Aortic atherosclerosis with {grade} wall calcification.', '{Grade} arterial wall calcification.'],
    absent: ['The aortic wall shows no calcification.', 'No arterial wall calcification is seen.', 'No atheromatous plaque in the thoracic aorta.'],
  },
  Cardiomegaly: {
    present: ['The heart is enlarged, with {detail}.', 'Cardiomegaly of {grade} degree.', 'Heart size is increased, with {detail}.', 'There is {grade} cardiac enlargement.', '{Grade} cardiomegaly is observed.'],
    conclusion: ['{Grade} cardiomegaly.', 'Enlarged heart.'],
    absent: ['The heart is of normal size.', 'Heart size is within normal limits.', 'No cardiomegaly.', 'The cardiac contour and size are normal.'],
  },
  'Pericardial effusion': {
    present: ['There is a {grade} pericardial effusion of up to {size}.', 'Fluid surrounds the heart, {size} in its thickest part.', 'Pericardial effusion measuring {size} is seen.', 'A pericardial effusion is observed, {size} thick.', '{Grade} fluid collection in the pericardial space ({size}).'],
    conclusion: ['{Grade} pericardial effusion.', 'Pericardial effusion of {size}.'],
    absent: ['No pericardial effusion or thickening.', 'There is no fluid in the pericardial space.', 'The pericardium is unremarkable, without effusion.'],
  },
  'Coronary artery wall calcification': {
    present: ['Calcified plaques are seen in {where}.', 'There is {grade} calcification of the coronary arteries, in {where}.', 'Coronary artery calcification of {grade} degree, in {where}.', 'Wall calcifications along {where}.', '{Grade} coronary artery wall calcification is observed.'],
    conclusion: ['{Grade} coronary artery calcification.', 'Coronary atherosclerosis with wall calcification.'],
    absent: ['The coronary arteries show no calcification.', 'No coronary artery calcification is seen.', 'No calcified coronary plaque.'],
  },
  'Hiatal hernia': {
    present: ['A hiatal hernia of about {size} is seen behind the heart.', 'There is a {grade} sliding hiatal hernia containing {detail}.', 'Part of the stomach lies above the diaphragm, a hiatal hernia of {size}.', '{Grade} hiatal hernia at the lower end of the oesophagus.', 'Herniation through the oesophageal hiatus with {detail} in the lower mediastinum (hiatal hernia).'],
    conclusion: ['{Grade} hiatal hernia.', 'Hiatal hernia of {size}.'],
    absent: ['No hiatal hernia.', 'The oesophageal hiatus is unremarkable, without a hernia.', 'The stomach lies below the diaphragm.'],
  },
  Lymphadenopathy: {
    present: ['Enlarged lymph nodes are seen in {where}, the largest {size} in short axis.', 'There is lymphadenopathy in {where}.', 'Pathologically enlarged nodes of up to {size} in {where}.', '{Grade} lymphadenopathy, the largest node {size}.', 'Lymph nodes measuring up to {size} in short axis are observed in {where}.'],
    conclusion: ['{Grade} lymphadenopathy in {where}.', 'Enlarged lymph nodes of up to {size}.'],
    absent: ['No enlarged lymph node is seen in the mediastinum, hila or axillae.', 'No pathologically enlarged lymph nodes.', 'There is no lymphadenopathy.'],
  },
  Emphysema: {
    present: ['There is {grade} {detail} emphysema in {where}.', 'Emphysematous changes are seen in {where}.', '{Grade} emphysema, {detail}, in {where}.', 'Areas of low attenuation in {where} in keeping with {detail} emphysema.', 'Emphysema of {grade} degree is observed in {where}.'],
    conclusion: ['{Grade} emphysema.', 'Emphysematous lungs.'],
    absent: ['No emphysema.', 'There is no emphysematous change or bulla.', 'The lungs are evenly aerated without emphysema.'],
  },
  Atelectasis: {
    present: ['There is {detail} atelectasis in {where}.', '{Grade} atelectasis of {where}.', 'Atelectatic changes are seen in {where}.', 'Loss of volume with {detail} atelectasis in {where}.', 'Collapsed lung is observed in {where}, a {detail} atelectasis.'],
    conclusion: ['{Grade} atelectasis in {where}.', 'Atelectatic change in {where}.'],
    absent: ['No atelectasis.', 'There is no collapse or loss of volume.', 'No atelectatic band is seen.'],
  },
  'Lung nodule': {
    present: ['A {detail} nodule of {size} is seen in {where}.', 'There is a {size} nodule in {where}.', 'Lung nodules: {grade}, up to {size}, in {where}.', 'Pulmonary nodule in {where}, {detail}, {size} in diameter.', 'A {size} {detail} pulmonary nodule is observed in {where}.'],
    conclusion: ['{Detail} lung nodule of {size} in {where}.', 'Pulmonary nodule in {where}; follow-up according to guidelines.'],
    absent: ['No lung nodule or mass.', 'There is no nodule in either lung.', 'No suspicious pulmonary nodule is seen.'],
  },
  'Lung opacity': {
    present: ['{Detail} ground-glass opacity is seen in {where}.', 'There is {detail} lung opacity of ground-glass density in {where}, up to {size}.', '{Grade} ground-glass opacities in {where}.', 'Hazy increase in density in {where} (ground-glass opacity).', 'Areas of ground-glass density of up to {size} are observed in {where}.'],
    conclusion: ['{Detail} ground-glass opacity in {where}.', '{Grade} lung opacity, possibly infectious.'],
    absent: ['No ground-glass opacity.', 'There is no infiltrate or opacity in the lungs.', 'No lung opacity is seen.'],
  },
  'Pulmonary fibrotic sequela': {
    present: ['Fibrotic bands are seen in {where}.', 'There are {grade} sequela fibrotic changes in {where}.', 'Irregular {detail} scarring with pleural thickening in {where}, fibrotic sequelae.', 'Linear densities in {where} in keeping with fibrotic sequelae.', '{Grade} pulmonary fibrotic sequela is observed in {where}.'],
    conclusion: ['{Grade} fibrotic sequelae in {where}.', 'Old {detail} fibrotic scars.'],
    absent: ['No fibrotic change.', 'There is no scarring of the lungs.', 'No fibrotic sequela is seen.'],
  },
  'Pleural effusion': {
    present: ['There is {grade} effusion in {where}, {size} deep.', 'Pleural effusion, {detail}, measuring {size}.', 'Free fluid is seen in {where}, up to {size}.', '{Grade} pleural effusion is observed, {detail}.', 'Fluid layers posteriorly in {where}, pleural effusion of {size}.'],
    conclusion: ['{Grade} pleural effusion, {detail}.', 'Pleural effusion of up to {size}.'],
    absent: ['No pleural effusion or thickening.', 'There is no fluid in the pleural spaces.', 'The pleural spaces are free, without effusion.'],
  },
  'Mosaic attenuation pattern': {
    present: ['A {detail} mosaic attenuation pattern is seen in {where}.', 'There is mosaic attenuation of {grade} degree in {where}.', 'Patchwork of lung densities, a mosaic pattern, in {where}.', 'The attenuation of {where} is inhomogeneous with a {grade} mosaic pattern.', '{Grade} mosaic attenuation is observed, possibly from small airway disease.'],
    conclusion: ['{Grade} mosaic attenuation.', 'Mosaic attenuation pattern, small airway or vessel disease.'],
    absent: ['No mosaic attenuation.', 'Lung attenuation is homogeneous without a mosaic pattern.', 'There is no air trapping or mosaic pattern.'],
  },
  'Peribronchial thickening': {
    present: ['There is {grade} peribronchial thickening in {where}.', 'The bronchial walls are thickened in {where}.', 'Thickening of the {detail} bronchial walls in {where}.', '{Grade} peribronchial wall thickening is observed.', 'Peribronchial cuffing is seen in {where}.'],
    conclusion: ['{Grade} peribronchial thickening.', 'Thickened bronchial walls, bronchitis.'],
    absent: ['The bronchial walls are not thickened.', 'No peribronchial thickening.', 'There is no bronchial wall thickening.'],
  },
  Consolidation: {
    present: ['There is consolidation in {where}, {size} across {detail}.', 'Consolidation of {grade} extent in {where}.', 'An area of consolidation {detail} is seen in {where}.', 'Dense airspace consolidation in {where}, up to {size}.', '{Grade} consolidation is observed in {where}.'],
    conclusion: ['{Grade} consolidation in {where}, pneumonia to be considered.', 'Consolidation in {where}.'],
    absent: ['No consolidation.', 'There is no consolidated area in the lungs.', 'No airspace consolidation is seen.'],
  },
  Bronchiectasis: {
    present: ['{Grade} {detail} bronchiectasis is seen in {where}.', 'The bronchi of {where} are dilated, {detail} bronchiectasis.', 'There are bronchiectatic changes in {where}.', 'Bronchial dilatation in {where} in keeping with bronchiectasis.', 'Bronchiectasis of {grade} degree is observed in {where}.'],
    conclusion: ['{Grade} bronchiectasis in {where}.', '{Detail} bronchiectasis.'],
    absent: ['No bronchiectasis.', 'Bronchial calibre is normal.', 'The bronchi are not dilated.'],
  },
  'Interlobular septal thickening': {
    present: ['There is {grade} {detail} interlobular septal thickening in {where}.', 'The interlobular septa are thickened in {where}.', 'Septal lines are seen in {where}, {detail} interlobular thickening.', '{Grade} thickening of the interlobular septa is observed.', 'Interlobular septal thickening in {where}.'],
    conclusion: ['{Grade} interlobular septal thickening.', 'Thickened interlobular septa, interstitial oedema to be considered.'],
    absent: ['The interlobular septa are not thickened.', 'No interlobular septal thickening.', 'There are no septal lines.'],
  },
};
