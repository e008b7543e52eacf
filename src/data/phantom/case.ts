/** One scan of one phantom patient, planned: anatomy, labels, findings, acquisition, report. No voxels yet. */
import { LABELS } from '../labels.ts';
import type { Label } from '../labels.ts';
import { drawAnatomy } from './anatomy.ts';
import type { Anatomy } from './anatomy.ts';
import { FINDING_KINDS } from './findings/index.ts';
import type { FindingWords } from './findings/index.ts';
import { drawLatent, labelsFromLatent } from './prevalence.ts';
import { randomStream, STREAM } from './random.ts';
import { writeReport } from './report.ts';
import type { PhantomReport } from './report.ts';
import { drawAcquisition, drawReconstructions } from './scanner.ts';
import type { Acquisition, Reconstruction, Resolution } from './scanner.ts';

/** A label as it is drawn in one case. `shape` belongs to the label's kind; it is plain data. */
export interface PhantomFinding {
  label: Label;
  /** Subtle (0) to gross (1). */
  severity: number;
  words: FindingWords;
  shape: unknown;
}

export interface PhantomCase {
  seed: number;
  /** 0, 1, … for training patients; VALIDATION_INDEX + 0, 1, … for validation patients. */
  index: number;
  /** CT-RATE's names: train_1 or valid_1, and train_1_a. */
  patientId: string;
  scanId: string;
  /** 0 for the patient's first scan, 1 for the follow-up. */
  scan: number;
  anatomy: Anatomy;
  findings: PhantomFinding[];
  /** 18 zeros and ones in the order of LABELS. */
  labels: Uint8Array;
  acquisition: Acquisition;
  /** One or two; their volumes share anatomy, findings and report. */
  reconstructions: Reconstruction[];
  report: PhantomReport;
}

export interface PhantomOptions {
  /** 'small' (default): 96–128 pixels, 32–50 slices; 'full': 512 pixels, 200–320 slices. */
  resolution?: Resolution;
  /** Lowest share of scans with each label; see DEFAULT_PREVALENCE_FLOOR. */
  prevalenceFloor?: number;
  /** Share of scans with two reconstructions, 0.35 by default (CT-RATE: nine in ten). */
  secondReconstruction?: number;
  /** Share of patients with a second scan, 0.08 by default. */
  followUp?: number;
  /** 0 (default) draws a severity per finding; a number in (0, 1] gives it to all. For studies and tests. */
  severity?: number;
  /** Draws exactly these labels instead of random ones. For studies and tests. */
  labels?: Uint8Array;
}

/** Validation patients start here, so adding training patients changes none of them. */
export const VALIDATION_INDEX = 1_000_000;

/** How like its first scan a follow-up's hidden label variables are (correlation). */
const FOLLOW_UP_LIKENESS = 0.8;

/** How many scans a patient has. */
export function scanCount(seed: number, index: number, options: PhantomOptions = {}): number {
  return randomStream(seed, index, STREAM.schedule).chance(options.followUp ?? 0.08) ? 2 : 1;
}

/**
 * Plans the case of patient `caseIndex`: the same (seed, caseIndex, options) gives the same case whatever was made before it.
 * Every part draws from its own random stream, so a finding looks the same whichever others are present.
 */
export function generatePhantomCase(seed: number, caseIndex: number, options: PhantomOptions = {}, scan = 0): PhantomCase {
  if (!Number.isInteger(caseIndex) || caseIndex < 0) throw new Error(`generatePhantomCase: the index must be a whole number ≥ 0, got ${caseIndex}`);
  if (options.labels && options.labels.length !== LABELS.length) {
    throw new Error(`generatePhantomCase: labels must hold ${LABELS.length} values, got ${options.labels.length}`);
  }
  const stream = (id: number, ofScan = scan) => randomStream(seed, caseIndex, id, ofScan);
  const anatomy = drawAnatomy(stream(STREAM.anatomy, 0));
  const labels = options.labels ?? labelsFromLatent(latentOf(seed, caseIndex, scan), options.prevalenceFloor);
  const findings = LABELS.flatMap((label, i): PhantomFinding[] => {
    if (!labels[i]) return [];
    const random = stream(STREAM.finding + i);
    // Subtle findings are common; the exponent keeps them from being most of what a small cohort shows.
    const drawn = 0.06 + 0.94 * random.uniform(0, 1) ** 0.7;
    const severity = options.severity || drawn;
    return [{ label, severity, ...FINDING_KINDS[label].plan(anatomy, random, severity) }];
  });
  const acquire = stream(STREAM.acquisition);
  const acquisition = drawAcquisition(acquire, anatomy);
  const both = acquire.chance(options.secondReconstruction ?? 0.35);
  const reconstructions = drawReconstructions(acquire, acquisition, options.resolution ?? 'small', both);
  const patientId = caseIndex < VALIDATION_INDEX ? `train_${caseIndex + 1}` : `valid_${caseIndex - VALIDATION_INDEX + 1}`;
  return {
    seed, index: caseIndex, patientId, scan, anatomy, findings, acquisition, reconstructions,
    scanId: `${patientId}_${'abcdefgh'[scan]}`,
    labels: Uint8Array.from(labels),
    report: writeReport(stream(STREAM.report), anatomy, findings, acquisition, scan > 0),
  };
}

/** A follow-up keeps most of what the first scan had; mixing normals leaves every label's prevalence as it is. */
function latentOf(seed: number, index: number, scan: number): number[] {
  const first = drawLatent(randomStream(seed, index, STREAM.labels));
  if (scan === 0) return first;
  const fresh = drawLatent(randomStream(seed, index, STREAM.followUp, scan));
  return first.map((value, i) => FOLLOW_UP_LIKENESS * value + Math.sqrt(1 - FOLLOW_UP_LIKENESS ** 2) * fresh[i]!);
}

/** The same patient and scan without one label's finding: what the finding alone changes. The report is left as it was. */
export function withoutFinding(phantom: PhantomCase, label: Label): PhantomCase {
  return {
    ...phantom,
    findings: phantom.findings.filter((f) => f.label !== label),
    labels: phantom.labels.map((value, i) => (LABELS[i] === label ? 0 : value)),
  };
}
