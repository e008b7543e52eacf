/** Writes the phantom cohort to a folder: resumable, in as many threads as there are cores, with progress. */
import { phantomCohort } from '../data/phantom/index.ts';
import type { PhantomOptions } from '../data/phantom/index.ts';
import { nodeFiles } from '../platform/node-files.ts';
import type { PhantomJob } from '../platform/node-phantom-file.ts';
import { writePhantomVolumes } from '../platform/node-phantom-pool.ts';
import { createProgress } from '../platform/progress.ts';

export interface WritePhantomCohortOptions extends PhantomOptions {
  /** Folder of the cohort, made where it is missing. */
  out: string;
  /** Training patients. */
  patients: number;
  validationPatients: number;
  seed: number;
  /** Ends early, keeping what is written; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

export interface PhantomCohortSummary {
  /** Volumes in the cohort, and how many of them were there already. */
  volumes: number;
  skipped: number;
  /** Bytes written now. */
  bytes: number;
}

/** What a folder was begun with. Volumes depend on all of it but the numbers of patients, which may grow. */
const RECORD_FILE = 'phantom.json';

/**
 * Makes the cohort in CT-RATE's layout. Volumes that are there are kept: they were written atomically and depend on seed and
 * options only. Throws where the folder holds a cohort of another seed, resolution or of more patients.
 */
export async function writePhantomCohort({ out, signal, ...cohort }: WritePhantomCohortOptions): Promise<PhantomCohortSummary> {
  await nodeFiles.makeDirectory(out);
  const entries = [...phantomCohort(cohort)];
  await checkRecord(out, cohort);
  for (const { path, volume, render } of entries) {
    if (volume) continue;
    const file = nodeFiles.join(out, ...path.split('/'));
    await nodeFiles.makeDirectory(nodeFiles.join(file, '..'));
    await nodeFiles.writeFile(file, render().bytes);
  }
  const { patients: _, validationPatients: __, seed, ...options } = cohort;
  const jobs: PhantomJob[] = [];
  let volumes = 0;
  for (const { path, volume } of entries) {
    if (!volume) continue;
    volumes++;
    const file = nodeFiles.join(out, ...path.split('/'));
    if (!(await nodeFiles.exists(file))) jobs.push({ path: file, seed, volume, options });
  }
  const skipped = volumes - jobs.length;
  let bytes = 0;
  if (jobs.length === 0) return { volumes, skipped, bytes };
  const progress = createProgress({ title: 'phantom', total: volumes, start: skipped });
  let done = skipped;
  try {
    await writePhantomVolumes(jobs, {
      ...(signal && { signal }),
      onWritten: (size) => {
        bytes += size;
        progress.update(++done);
      },
    });
  } finally {
    progress.stop();
  }
  return { volumes, skipped, bytes };
}

type CohortRecord = Omit<WritePhantomCohortOptions, 'out' | 'signal'>;

async function checkRecord(out: string, cohort: CohortRecord): Promise<void> {
  const path = nodeFiles.join(out, RECORD_FILE);
  if (await nodeFiles.exists(path)) {
    const { patients, validationPatients, ...settings } = readRecord(await nodeFiles.readFile(path), path);
    const { patients: wantedPatients, validationPatients: wantedValidation, ...wanted } = cohort;
    const same = canonical(settings) === canonical(wanted) && patients <= wantedPatients && validationPatients <= wantedValidation;
    if (!same) {
      throw new Error(
        `phantom: ${out}: the folder holds another phantom cohort (${patients} + ${validationPatients} patients, ${canonical(settings)}), wanted ${wantedPatients} + ${wantedValidation}, ${canonical(wanted)}; choose another folder, or remove this one`,
      );
    }
  }
  await nodeFiles.writeFile(path, new TextEncoder().encode(`${JSON.stringify(cohort, null, 2)}\n`));
}

function readRecord(bytes: Uint8Array, path: string): CohortRecord {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as CohortRecord;
  } catch (cause) {
    throw new Error(`phantom: ${path}: the file must hold JSON, it does not (${(cause as Error).message}); remove the folder and make the cohort again`, { cause });
  }
}

const canonical = (settings: object): string => JSON.stringify(Object.fromEntries(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1))));
