/**
 * A set of scans with their reports, labels and splits, from CT-RATE's layout or from any folder of scans with a CSV.
 *
 * CT-RATE [C]: `dataset/train/train_1/train_1_a/train_1_a_1.nii.gz` (with or without `dataset/`), `*_reports.csv` and
 * `*_predicted_labels.csv` anywhere below the root. Its names carry patient and scan, so that they are read wherever such
 * files lie, a flat folder of prepared JPEG volumes included.
 */
import { findCohortFiles, parseCtRateName, scanId } from './cohort-files.ts';
import type { CohortFile, CohortScanFile } from './cohort-files.ts';
import { firstFew, isLabelTable, isReportTable, readLabels, readPatients, readReports } from './cohort-tables.ts';
import type { LabelRow, ReportRow } from './cohort-tables.ts';
import { renameColumns, type ColumnNames } from './column-names.ts';
import { readCsv } from './csv.ts';
import type { CsvTable } from './csv.ts';
import type { FileSystem } from './file-system.ts';
import { isRadChestCtHeader, mapRadChestCt, RAD_CHESTCT_LABELS, radChestCtColumns, radChestCtSplit, type LabelMap } from './rad-chestct.ts';
import { isMetadataTable, readMetadata, type ScanMetadata } from './scan-metadata.ts';
import { isShardName, readShards } from './shards.ts';
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
  /** Where the scan lies in `path`, for one in a shard. */
  part?: { offset: number; bytes: number };
  /** What a metadata table says of values and spacing, for what the file lacks. */
  metadata?: ScanMetadata;
  split: Split;
  /** Findings and impression as one text; empty in a cohort without reports. */
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
  /** Folder with the scans or shards, anywhere below it, or one shard (.tar). */
  data: string;
  /** Shards to read in place of what lies below `data`. */
  shards?: readonly string[];
  /** Reports CSV; where not given, every CSV below `data` with a scan and a findings or impression column. */
  reports?: string;
  /** Labels CSV; where not given, every CSV below `data` with a scan column and label columns. */
  labels?: string;
  /** Column names of the tables, where they are a hospital's own. */
  columns?: ColumnNames;
  /** Takes every scan where there is neither a reports nor a labels CSV, for work that needs the scans alone. */
  withoutTables?: boolean;
  /** Rad-ChestCT's abnormalities to our labels; default rad-chestct.labels.json. */
  labelMap?: LabelMap;
  /** Part of the patients that validation takes; default 0.15. */
  validationFraction?: number;
  seed: number;
}

const DEFAULT_VALIDATION_FRACTION = 0.15;
const TEST_FRACTION = 0.15;

/**
 * @throws `openCohort: …` where the folder has no scan, where neither reports nor labels are found (unless `withoutTables`), where no scan has a row, or where a
 * given CSV lacks columns. Scans without report, rows without scan and the like are counted and named in `problems`.
 */
export async function openCohort(fs: FileSystem, options: OpenCohortOptions): Promise<Cohort> {
  const { data, validationFraction = DEFAULT_VALIDATION_FRACTION } = options;
  if (!(validationFraction > 0 && validationFraction < 0.8)) {
    throw new Error(`openCohort: validationFraction must lie between 0 and 0.8, got ${validationFraction}`);
  }
  if (!options.shards && !(await fs.exists(data))) throw new Error(`openCohort: ${data}: the folder is missing; give the folder with the scans`);
  const files = options.shards || isShardName(data) ? { scans: [], tables: [], shards: [...(options.shards ?? [data])] } : await findCohortFiles(fs, data);
  if (files.scans.length + files.shards.length === 0) {
    throw new Error(`openCohort: ${data}: no scan is found (.nii, .nii.gz, .npz, a folder or .zip of DICOM slices, a JPEG-volume .zip, or a .tar of them); give the folder with the scans`);
  }
  const problems: string[] = [];
  const matched: UnsplitScan[] = await readShards(fs, files.shards, problems);
  if (files.scans.length > 0) {
    const tables = await readTables(fs, options, files.tables, problems);
    const inShards = new Set(matched.map(({ id }) => id));
    matched.push(...matchScans(files.scans.filter(({ name }) => !inShards.has(scanId(name))), tables, problems));
    if (matched.length === 0) throw noMatch(data, files.scans, tables);
  }
  if (matched.length === 0) throw new Error(`openCohort: ${data}: the shards hold no sample with a description and a JPEG volume; make them again with 'ct-lite prepare --shard'`);
  const splits = assignSplits(matched, options.seed, validationFraction, problems);
  const scans = matched.map((scan) => ({ ...scan, split: splits.of(scan) }));
  const name = data.split(/[\\/]/).filter(Boolean).pop() ?? data;
  return { name, scans, problems, splitTooSmall: splits.tooSmall };
}

type UnsplitScan = Omit<CohortScan, 'split'>;

interface Tables {
  /** null: the cohort has no reports at all, and scans with labels are taken without. */
  reports: Map<string, ReportRow> | null;
  labels: Map<string, LabelRow>;
  /** Neither reports nor labels: every scan is taken as it is. */
  none: boolean;
  /** Of further tables that name scan and patient. */
  patients: Map<string, string>;
  metadata: Map<string, ScanMetadata>;
}

async function readTables(
  fs: FileSystem,
  options: OpenCohortOptions,
  found: CohortFile[],
  problems: string[],
): Promise<Tables> {
  const read = (bytes: Uint8Array, name: string): CsvTable => ourTable(bytes, name, options);
  const others = await readFoundTables(fs, found, read, problems);
  const reportTables = options.reports ? [await readGiven(fs, options.reports, read)] : others.filter(isReportTable);
  const labelTables = options.labels ? [await readGiven(fs, options.labels, read)] : others.filter(isLabelTable);
  const none = reportTables.length === 0 && labelTables.length === 0;
  if (none && !options.withoutTables) {
    throw new Error(
      `openCohort: ${options.data}: neither a reports CSV (columns VolumeName and Findings_EN or Impressions_EN) nor a labels CSV is found below it; give them with --reports and --labels`,
    );
  }
  if (none) problems.push('neither a reports nor a labels CSV is found: the scans are taken as they are');
  else if (labelTables.length === 0) problems.push('no labels CSV is found: AUROC cannot be computed; give one with --labels');
  else if (reportTables.length === 0) problems.push('no reports CSV is found: the scans can be evaluated, and trained on by the prompts of their labels only');
  return {
    none,
    reports: reportTables.length === 0 ? null : merge(reportTables.map((table) => readReports(table, problems))),
    labels: merge(labelTables.map((table) => readLabels(table, problems))),
    patients: merge(others.map(readPatients)),
    metadata: merge(others.filter(isMetadataTable).map(readMetadata)),
  };
}

/** A table under our column names, Rad-ChestCT's wide ones brought to ours while they are read. */
function ourTable(bytes: Uint8Array, name: string, { columns, labelMap = RAD_CHESTCT_LABELS }: OpenCohortOptions): CsvTable {
  const table = readCsv(bytes, name, (header) => radChestCtColumns(header, labelMap));
  return isRadChestCtHeader(table.columns) ? mapRadChestCt(table, labelMap) : columns ? renameColumns(table, columns) : table;
}

/** CSV files that merely lie below the folder may be anything, so that an unreadable one is only named. */
async function readFoundTables(fs: FileSystem, files: CohortFile[], read: (bytes: Uint8Array, name: string) => CsvTable, problems: string[]): Promise<CsvTable[]> {
  const tables: CsvTable[] = [];
  for (const { path, name } of files) {
    try {
      tables.push(read(await fs.readFile(path), name));
    } catch (error) {
      problems.push(`${name} is passed over: ${(error as Error).message}`);
    }
  }
  return tables;
}

async function readGiven(fs: FileSystem, path: string, read: (bytes: Uint8Array, name: string) => CsvTable): Promise<CsvTable> {
  if (!(await fs.exists(path))) throw new Error(`openCohort: ${path}: the file is missing`);
  return read(await fs.readFile(path), path.split(/[\\/]/).pop()!);
}

function merge<T>(maps: Map<string, T>[]): Map<string, T> {
  return new Map(maps.flatMap((map) => [...map]));
}

function matchScans(files: CohortScanFile[], { none, reports, labels, patients, metadata }: Tables, problems: string[]): UnsplitScan[] {
  const scans = new Map<string, UnsplitScan>();
  const withoutReport: string[] = [];
  const doubled: string[] = [];
  for (const file of files) {
    // Below a folder that a table names, all DICOM belongs to that scan.
    const { path, name } = file.folders?.find((folder) => (reports ?? labels).has(scanId(folder.name))) ?? file;
    const id = scanId(name);
    const row = reports ? reports.get(id) : (none || labels.has(id)) && { text: '', patientId: null };
    if (!row || (reports && row.text === '')) {
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
      patientId: ctRate?.patientId ?? row.patientId ?? label?.patientId ?? patients.get(id) ?? id,
      reportId: ctRate?.scanId ?? (row.text === '' ? id : textId(row.text)),
      report: row.text,
      labels: label?.labels ?? null,
      ...(metadata.has(id) && { metadata: metadata.get(id)! }),
    });
  }
  const present = new Set([...files.map(({ name }) => scanId(name)), ...scans.keys()]);
  const note = (ids: string[], text: string): void => {
    if (ids.length > 0) problems.push(`${text} (${ids.length}): ${firstFew(ids)}`);
  };
  note(withoutReport, reports ? 'scans without a report, left out' : 'scans without labels, left out');
  note([...(reports ?? labels).keys()].filter((id) => !present.has(id)), `${reports ? 'reports' : 'labels'} whose scan is not there`);
  note(doubled, 'scans that are there twice, the first path is used');
  if (labels.size > 0) note([...scans.values()].filter((scan) => !scan.labels).map(({ id }) => id), 'scans without labels, not counted in the evaluation');
  return [...scans.values()];
}

function noMatch(data: string, files: CohortFile[], { reports, labels }: Tables): Error {
  const rows = [...(reports ?? labels).keys()];
  const kind = reports ? 'report' : 'label row';
  return new Error(
    `openCohort: ${data}: no scan has a ${kind}: the folder has ${firstFew(files.map(({ name }) => name), 3)}, the ${reports ? 'reports' : 'labels'} name ${rows.length === 0 ? 'none' : firstFew(rows, 3)}; the CSV's VolumeName must be the scan's file name`,
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
  if (scans.every(({ id }) => radChestCtSplit(id)) && new Set(scans.map(({ id }) => radChestCtSplit(id))).size > 1) return radChestCtSplits(scans, problems);
  const splits = splitPatients(patients, seed, { validation, test: TEST_FRACTION });
  return { tooSmall: false, of: ({ patientId }) => splits.get(patientId)! };
}

/** Rad-ChestCT's own splits; a patient of two of them, which its authors rule out, goes where the first scan is. */
function radChestCtSplits(scans: UnsplitScan[], problems: string[]): Splits {
  const splitOf = new Map<string, Split>();
  const astray: string[] = [];
  for (const { id, patientId } of scans) {
    const split = radChestCtSplit(id)!;
    if ((splitOf.get(patientId) ?? split) !== split) astray.push(id);
    else splitOf.set(patientId, split);
  }
  if (astray.length > 0) problems.push(`scans whose patient is of another split, moved there (${astray.length}): ${firstFew(astray)}`);
  return { tooSmall: false, of: ({ patientId }) => splitOf.get(patientId)! };
}
