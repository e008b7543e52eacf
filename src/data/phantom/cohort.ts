/**
 * A phantom cohort as files, in CT-RATE's folder layout with its CSV columns, so that it is read by exactly the code that
 * reads CT-RATE.
 */
import { LABELS } from '../labels.ts';
import { writeNiftiGz } from '../nifti-write.ts';
import { generatePhantomCase, scanCount, VALIDATION_INDEX } from './case.ts';
import type { PhantomCase, PhantomOptions } from './case.ts';
import { renderPhantom } from './render.ts';

export interface PhantomCohortOptions extends PhantomOptions {
  seed: number;
  /** Training patients. */
  patients: number;
  validationPatients: number;
}

/** Names one volume; enough to render it anywhere, in any order. */
export interface PhantomVolumeKey {
  index: number;
  scan: number;
  reconstruction: number;
}

export interface PhantomFile {
  /** Relative to the cohort's folder, with forward slashes. */
  path: string;
  bytes: Uint8Array;
}

/** A file that is made when it is asked for. `volume` is null for CSV files. */
export interface PhantomFileEntry {
  path: string;
  volume: PhantomVolumeKey | null;
  render(): PhantomFile;
}

const SPLITS = [
  { folder: 'train', first: 0, reports: 'train_reports.csv', labels: 'train_predicted_labels.csv', metadata: 'train_metadata.csv' },
  { folder: 'valid', first: VALIDATION_INDEX, reports: 'validation_reports.csv', labels: 'valid_predicted_labels.csv', metadata: 'validation_metadata.csv' },
] as const;
const REPORT_FOLDER = 'dataset/radiology_text_reports';
const LABEL_FOLDER = 'dataset/multi_abnormality_labels';
const METADATA_FOLDER = 'dataset/metadata';
const REPORT_COLUMNS = ['VolumeName', 'ClinicalInformation_EN', 'Technique_EN', 'Findings_EN', 'Impressions_EN'];
/** Those of CT-RATE's metadata columns that mean something for a phantom. */
const METADATA_COLUMNS = [
  'VolumeName', 'Manufacturer', 'PatientSex', 'PatientAge', 'ConvolutionKernel', 'RescaleIntercept', 'RescaleSlope',
  'NumberofSlices', 'Rows', 'Columns', 'XYSpacing', 'ZSpacing',
];

/** train_1_a_1.nii.gz */
export const phantomVolumeName = (phantom: PhantomCase, reconstruction: number): string => `${phantom.scanId}_${reconstruction + 1}.nii.gz`;

/** dataset/train/train_1/train_1_a/train_1_a_1.nii.gz */
export function phantomVolumePath(phantom: PhantomCase, reconstruction: number): string {
  const folder = phantom.index < VALIDATION_INDEX ? 'train' : 'valid';
  return `dataset/${folder}/${phantom.patientId}/${phantom.scanId}/${phantomVolumeName(phantom, reconstruction)}`;
}

/**
 * Renders one volume to the bytes of its .nii.gz. Depends on its arguments only, so volumes can be made in any order, in
 * parallel workers, and again after an interruption, with the same bytes.
 */
export function renderPhantomFile(seed: number, key: PhantomVolumeKey, options: PhantomOptions = {}): PhantomFile {
  const phantom = generatePhantomCase(seed, key.index, options, key.scan);
  const volume = renderPhantom(phantom, key.reconstruction);
  return {
    path: phantomVolumePath(phantom, key.reconstruction),
    bytes: writeNiftiGz(volume, { level: 1, description: 'CT-Lite phantom' }),
  };
}

/** The cohort's cases in order, planned but not rendered. */
export function* phantomCases(options: PhantomCohortOptions): Generator<PhantomCase> {
  const { seed, patients, validationPatients } = options;
  for (const count of [patients, validationPatients]) {
    if (!Number.isInteger(count) || count < 0) {
      throw new Error(`phantomCohort: patients and validationPatients must be whole numbers ≥ 0, got ${patients} and ${validationPatients}`);
    }
  }
  for (const [first, count] of [[0, patients], [VALIDATION_INDEX, validationPatients]] as const) {
    for (let index = first; index < first + count; index++) {
      for (let scan = 0; scan < scanCount(seed, index, options); scan++) yield generatePhantomCase(seed, index, options, scan);
    }
  }
}

/** All files of a cohort: the tables first, then the volumes, each made only when `render()` is called. */
export function* phantomCohort(options: PhantomCohortOptions): Generator<PhantomFileEntry> {
  const cases = [...phantomCases(options)];
  yield* tables(cases);
  for (const phantom of cases) {
    for (let reconstruction = 0; reconstruction < phantom.reconstructions.length; reconstruction++) {
      const key = { index: phantom.index, scan: phantom.scan, reconstruction };
      yield { path: phantomVolumePath(phantom, reconstruction), volume: key, render: () => renderPhantomFile(options.seed, key, options) };
    }
  }
}

function* tables(cases: readonly PhantomCase[]): Generator<PhantomFileEntry> {
  for (const split of SPLITS) {
    const own = cases.filter((c) => (c.index < VALIDATION_INDEX) === (split.first === 0));
    const volumes = own.flatMap((phantom) => phantom.reconstructions.map((_, reconstruction) => ({ phantom, reconstruction })));
    const table = (path: string, columns: readonly string[], row: (phantom: PhantomCase, reconstruction: number) => (string | number)[]): PhantomFileEntry => ({
      path,
      volume: null,
      render: () => ({ path, bytes: csv([columns, ...volumes.map((v) => row(v.phantom, v.reconstruction))]) }),
    });
    yield table(`${REPORT_FOLDER}/${split.reports}`, REPORT_COLUMNS, (phantom, r) => {
      const { clinicalInformation, technique, findings, impression } = phantom.report;
      return [phantomVolumeName(phantom, r), clinicalInformation, technique, findings, impression];
    });
    yield table(`${LABEL_FOLDER}/${split.labels}`, ['VolumeName', ...LABELS], (phantom, r) => [phantomVolumeName(phantom, r), ...phantom.labels]);
    yield table(`${METADATA_FOLDER}/${split.metadata}`, METADATA_COLUMNS, metadataRow);
  }
}

function metadataRow(phantom: PhantomCase, reconstruction: number): (string | number)[] {
  const { kernelName, shape, spacingMm } = phantom.reconstructions[reconstruction]!;
  return [
    phantomVolumeName(phantom, reconstruction), phantom.acquisition.manufacturer, phantom.anatomy.sex, `${String(phantom.anatomy.ageYears).padStart(3, '0')}Y`,
    kernelName, 0, 1, shape[0], shape[1], shape[2], `[${spacingMm[1]}, ${spacingMm[2]}]`, spacingMm[0],
  ];
}

/** RFC 4180 with line feeds: fields that hold a comma, a quote or a line break are quoted. */
function csv(rows: readonly (readonly (string | number)[])[]): Uint8Array {
  const field = (value: string | number) => (/[",\n\r]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  return new TextEncoder().encode(`${rows.map((row) => row.map(field).join(',')).join('\n')}\n`);
}
