/**
 * A set of scans with their reports, labels and splits, from CT-RATE's layout or from any folder of scans with a CSV.
 *
 * CT-RATE [C]: `dataset/train/train_1/train_1_a/train_1_a_1.nii.gz` (with or without `dataset/`), `*_reports.csv` and
 * `*_predicted_labels.csv` anywhere below the root. Its names carry patient and scan, so that they are read wherever such
 * files lie, a flat folder of prepared JPEG volumes included.
 */
import { findCohortFiles, parseCtRateName, scanId } from './cohort-files.ts';
import type { CohortFile, CohortScanFile } from './cohort-files.ts';
import { firstFew, isLabelTable, isReportTable, readLabels, readReports } from './cohort-tables.ts';
import type { LabelRow, ReportRow } from './cohort-tables.ts';
import { readCsv } from './csv.ts';
import type { CsvTable } from './csv.ts';
import type { FileSystem } from './file-system.ts';
import { MIN_PATIENTS, splitPatients, textId } from './splits.ts';
import type { Split } from './splits.ts';

export interface CohortScan {
  /** File name without its endings: train_1_a_1. Of a DICOM series, its folder's name. */
  id: string;
  /** All scans of a patient share one split. */
  patientId: string;
  /** Scans that share a report are positives of each other's text in the contrastive loss (MODEL §3). */
  reportId: string;
  path: string;
  split: Split;
  /** Findings and impression as one text. */
  report: string;
  /** 0 or 1 for each of LABELS, or null where no label file names the scan. */
  labels: Uint8Array | null;
}

export interface Cohort {
  name: string;
  scans: CohortScan[];
  /** What did not fit, each a sentence for the user; none of it stops a run. */
  problems: string[];
  /** Too few patients for three splits: every scan is in 'train', and whoever evaluates does so on train and says so. */
  splitTooSmall: boolean;
}

export interface OpenCohortOptions {
  /** Folder with the scans, anywhere below it. */
  data: string;
  /** Reports CSV; where not given, every CSV below `data` with a scan and a findings or impression column. */
  reports?: string;
  /** Labels CSV; where not given, every CSV below `data` with a scan column and label columns. */
  labels?: string;
  /** Part of the patients that validation takes; default 0.15. */
  validationFraction?: number;
  seed: number;
}

const DEFAULT_VALIDATION_FRACTION = 0.15;
const TEST_FRACTION = 0.15;

/**
 * @throws `openCohort: …` where the folder has no scan, where no reports are found, where no scan has a report, or where a
 * given CSV lacks columns. Scans without report, rows without scan and the like are counted and named in `problems`.
 */
export async function openCohort(fs: FileSystem, options: OpenCohortOptions): Promise<Cohort> {
  const { data, validationFraction = DEFAULT_VALIDATION_FRACTION } = options;
  if (!(validationFraction > 0 && validationFraction < 0.8)) {
    throw new Error(`openCohort: validationFraction must lie between 0 and 0.8, got ${validationFraction}`);
  }
  if (!(await fs.exists(data))) throw new Error(`openCohort: ${data}: the folder is missing; give the folder with the scans`);
  const files = await findCohortFiles(fs, data);
  if (files.scans.length === 0) {
    throw new Error(`openCohort: ${data}: no scan is found (.nii, .nii.gz, a folder or .zip of DICOM slices, or a JPEG-volume .zip); give the folder with the scans`);
  }
  const problems: string[] = [];
  const { reports, labels } = await readTables(fs, options, files.tables, problems);
  const matched = matchScans(files.scans, reports, labels, problems);
  if (matched.length === 0) throw noMatch(data, files.scans, reports);
  const splits = assignSplits(matched, options.seed, validationFraction, problems);
  const scans = matched.map((scan) => ({ ...scan, split: splits.of(scan) }));
  const name = data.split(/[\\/]/).filter(Boolean).pop() ?? data;
  return { name, scans, problems, splitTooSmall: splits.tooSmall };
}

type UnsplitScan = Omit<CohortScan, 'split'>;

interface Tables {
  reports: Map<string, ReportRow>;
  labels: Map<string, LabelRow>;
}

async function readTables(
  fs: FileSystem,
  options: OpenCohortOptions,
  found: CohortFile[],
  problems: string[],
): Promise<Tables> {
  const others = options.reports && options.labels ? [] : await readFoundTables(fs, found, problems);
  const reportTables = options.reports ? [await readGiven(fs, options.reports)] : others.filter(isReportTable);
  const labelTables = options.labels ? [await readGiven(fs, options.labels)] : others.filter(isLabelTable);
  if (reportTables.length === 0) {
    throw new Error(
      `openCohort: ${options.data}: no reports CSV is found below it (columns VolumeName and Findings_EN or Impressions_EN); give one with --reports`,
    );
  }
  if (labelTables.length === 0) problems.push('no labels CSV is found: AUROC cannot be computed; give one with --labels');
  return { reports: merge(reportTables.map((table) => readReports(table, problems))), labels: merge(labelTables.map((table) => readLabels(table, problems))) };
}

/** CSV files that merely lie below the folder may be anything, so that an unreadable one is only named. */
async function readFoundTables(fs: FileSystem, files: CohortFile[], problems: string[]): Promise<CsvTable[]> {
  const tables: CsvTable[] = [];
  for (const { path, name } of files) {
    try {
      tables.push(readCsv(await fs.readFile(path), name));
    } catch (error) {
      problems.push(`${name} is passed over: ${(error as Error).message}`);
    }
  }
  return tables;
}

async function readGiven(fs: FileSystem, path: string): Promise<CsvTable> {
  if (!(await fs.exists(path))) throw new Error(`openCohort: ${path}: the file is missing`);
  return readCsv(await fs.readFile(path), path.split(/[\\/]/).pop()!);
}

function merge<T>(maps: Map<string, T>[]): Map<string, T> {
  return new Map(maps.flatMap((map) => [...map]));
}

function matchScans(files: CohortScanFile[], reports: Map<string, ReportRow>, labels: Map<string, LabelRow>, problems: string[]): UnsplitScan[] {
  const scans = new Map<string, UnsplitScan>();
  const withoutReport: string[] = [];
  const doubled: string[] = [];
  for (const file of files) {
    // Below a folder that the reports name, all DICOM belongs to that scan.
    const { path, name } = file.folders?.find((folder) => reports.has(scanId(folder.name))) ?? file;
    const id = scanId(name);
    const row = reports.get(id);
    if (!row || row.text === '') {
      withoutReport.push(id);
      continue;
    }
    if (scans.has(id)) {
      if (scans.get(id)!.path !== path) doubled.push(id);
      continue;
    }
    const label = labels.get(id);
    const ctRate = parseCtRateName(id);
    scans.set(id, {
      id,
      path,
      patientId: ctRate?.patientId ?? row.patientId ?? label?.patientId ?? id,
      reportId: ctRate?.scanId ?? textId(row.text),
      report: row.text,
      labels: label?.labels ?? null,
    });
  }
  const present = new Set([...files.map(({ name }) => scanId(name)), ...scans.keys()]);
  const note = (ids: string[], text: string): void => {
    if (ids.length > 0) problems.push(`${text} (${ids.length}): ${firstFew(ids)}`);
  };
  note(withoutReport, 'scans without a report, left out');
  note([...reports.keys()].filter((id) => !present.has(id)), 'reports whose scan is not there');
  note(doubled, 'scans that are there twice, the first path is used');
  if (labels.size > 0) note([...scans.values()].filter((scan) => !scan.labels).map(({ id }) => id), 'scans without labels, not counted in the evaluation');
  return [...scans.values()];
}

function noMatch(data: string, files: CohortFile[], reports: Map<string, ReportRow>): Error {
  const rows = [...reports.keys()];
  return new Error(
    `openCohort: ${data}: no scan has a report: the folder has ${firstFew(files.map(({ name }) => name), 3)}, the reports name ${rows.length === 0 ? 'none' : firstFew(rows, 3)}; the CSV's VolumeName must be the scan's file name`,
  );
}

interface Splits {
  tooSmall: boolean;
  of(scan: UnsplitScan): Split;
}

/** CT-RATE's own valid side is our test split; elsewhere test is split off too. */
function assignSplits(scans: UnsplitScan[], seed: number, validation: number, problems: string[]): Splits {
  const patients = new Set(scans.map(({ patientId }) => patientId));
  if (patients.size < MIN_PATIENTS) {
    problems.push(
      `${patients.size} ${patients.size === 1 ? 'patient is' : 'patients are'} too few for train, validation and test (${MIN_PATIENTS} are needed): all scans are used for training, and evaluation is on the same scans`,
    );
    return { tooSmall: true, of: () => 'train' };
  }
  const isValid = (patientId: string): boolean => patientId.startsWith('valid_');
  const ctRate = scans.every(({ id }) => parseCtRateName(id));
  const validPatients = [...patients].filter(isValid);
  const trainPatients = [...patients].filter((id) => !isValid(id));
  if (ctRate && validPatients.length > 0 && trainPatients.length > 1) {
    const splits = splitPatients(trainPatients, seed, { validation, test: 0 });
    return { tooSmall: false, of: ({ patientId }) => (isValid(patientId) ? 'test' : splits.get(patientId)!) };
  }
  if (ctRate) {
    problems.push(`only CT-RATE's ${validPatients.length > 0 ? 'valid' : 'train'} side is there to split: train, validation and test are split off it by patient`);
  }
  const splits = splitPatients(patients, seed, { validation, test: TEST_FRACTION });
  return { tooSmall: false, of: ({ patientId }) => splits.get(patientId)! };
}
