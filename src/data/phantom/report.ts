/** A radiology report for a phantom in CT-RATE's four sections; each sentence ends with a period and stands alone. */
import { LABELS, labelPrompts } from '../labels.ts';
import type { Label } from '../labels.ts';
import type { Anatomy } from './anatomy.ts';
import type { PhantomFinding } from './case.ts';
import type { FindingWords } from './findings/index.ts';
import { PHRASES } from './phrases.ts';
import type { RandomStream } from './random.ts';
import type { Acquisition } from './scanner.ts';

/** CT-RATE's columns ClinicalInformation_EN, Technique_EN, Findings_EN, Impressions_EN. */
export interface PhantomReport {
  clinicalInformation: string;
  technique: string;
  findings: string;
  impression: string;
}

/**
 * How often a sentence takes the plain form "<Label> is present." or "… is not present.", the wording of the zero-shot prompts.
 * A text tower trained from nothing on a few hundred reports can only understand prompts that it has read.
 */
const PLAIN_IN_FINDINGS = 0.25;
const PLAIN_IN_IMPRESSION = 0.8;

const MEDIASTINAL: readonly Label[] = [
  'Medical material', 'Cardiomegaly', 'Pericardial effusion', 'Arterial wall calcification', 'Coronary artery wall calcification', 'Hiatal hernia', 'Lymphadenopathy',
];
const PULMONARY = LABELS.filter((label) => !MEDIASTINAL.includes(label));

const REASONS = ['Cough.', 'Shortness of breath.', 'Chest pain.', 'Fever and cough.', 'Follow-up.', 'Weight loss.', 'Not given.', 'Preoperative examination.'];
const NORMAL_MEDIASTINUM = ['Trachea and both main bronchi are patent.', 'The central airways are open.', 'The mediastinal structures are in the midline.', 'The calibre of the great vessels is normal.'];
const LUNGS_SEEN = ['Both lungs were examined in the lung window.', 'Both lungs are imaged completely.'];
const NORMAL_REST = ['The imaged upper abdominal organs are unremarkable.', 'No destructive bone lesion is seen.', 'Vertebral body heights are preserved.', 'The thoracic wall is unremarkable.'];

export function writeReport(random: RandomStream, anatomy: Anatomy, findings: readonly PhantomFinding[], scan: Acquisition, followUp: boolean): PhantomReport {
  const contrast = scan.contrastHu === null
    ? random.pick(['Unenhanced axial images were acquired.', 'Non-contrast CT of the chest.', 'Images were taken without contrast medium.'])
    : random.pick(['Axial images were acquired after intravenous contrast medium.', 'Contrast-enhanced CT of the chest.', 'Images were taken after intravenous contrast.']);
  return {
    clinicalInformation: followUp ? 'Follow-up.' : `${anatomy.sex === 'F' ? 'Woman' : 'Man'} aged ${anatomy.ageYears}. ${random.pick(REASONS)}`,
    technique: contrast,
    findings: findingsSection(random, findings),
    impression: impressionSection(random, findings),
  };
}

/** Mediastinum first, then lungs, as reports are read; about half of what is absent is said to be. */
function findingsSection(random: RandomStream, findings: readonly PhantomFinding[]): string {
  const part = (labels: readonly Label[], normal: readonly string[]): string[] => {
    const sentences = [random.pick(normal)];
    for (const label of random.sample(labels, labels.length)) {
      const finding = findings.find((f) => f.label === label);
      if (finding) sentences.push(findingSentence(random, finding));
      else if (random.chance(0.5)) sentences.push(absentSentence(random, label));
    }
    return sentences;
  };
  return [...part(MEDIASTINAL, NORMAL_MEDIASTINUM), ...part(PULMONARY, LUNGS_SEEN), random.pick(NORMAL_REST)].join(' ');
}

function findingSentence(random: RandomStream, finding: PhantomFinding): string {
  if (random.chance(PLAIN_IN_FINDINGS)) return labelPrompts(finding.label).positive;
  return fill(random.pick(PHRASES[finding.label].present), finding.words);
}

function absentSentence(random: RandomStream, label: Label): string {
  return random.chance(PLAIN_IN_FINDINGS) ? labelPrompts(label).negative : random.pick(PHRASES[label].absent);
}

/** Every finding, then four to six absent labels in the plain form. */
function impressionSection(random: RandomStream, findings: readonly PhantomFinding[]): string {
  const present = random.sample(findings, findings.length).map(({ label, words }) =>
    random.chance(PLAIN_IN_IMPRESSION) ? labelPrompts(label).positive : fill(random.pick(PHRASES[label].conclusion), words));
  if (present.length === 0) present.push(random.pick(['Normal chest CT.', 'No acute finding in the chest.', 'Examination within normal limits.']));
  const absent = LABELS.filter((label) => !findings.some((f) => f.label === label));
  const negatives = random.sample(absent, random.integer(4, 6)).map((label) => labelPrompts(label).negative);
  return [...present, ...negatives].join(' ');
}

/** {grade} as it is, {Grade} with a capital; spaces left by empty words are closed. */
function fill(template: string, words: FindingWords): string {
  const text = template.replace(/\{(\w)(\w*)\}/g, (_, first: string, rest: string) => {
    const value = words[(first.toLowerCase() + rest) as keyof FindingWords];
    return first === first.toLowerCase() ? value : value.charAt(0).toUpperCase() + value.slice(1);
  });
  const closed = text.replace(/\s+/g, ' ').replace(/\s([.,;)])/g, '$1').trim();
  return closed.charAt(0).toUpperCase() + closed.slice(1);
}
