/** Reads every scan of a cohort once before a run, so that a bad one is named and left out and not met in the middle of it. */
import type { CohortScan } from '../data/index.ts';
import type { VolumeStore } from './volumes.ts';

/** More bad scans than this share stop the run: the cohort itself is then the problem. */
const mostBad = 0.1;

export interface SkippedScan {
  id: string;
  reason: string;
}

export interface ReadScansHost {
  /** Scans read at once. */
  parallel: number;
  onProgress: (done: number) => void;
  onNote: (text: string) => void;
  /** Throws where the user asked to stop. */
  checkStop: () => void;
}

/** @returns the scans that cannot be read. @throws where they are more than a tenth (one of a handful is always allowed), or all. */
export async function readScans(scans: readonly CohortScan[], volumes: VolumeStore, { parallel, onProgress, onNote, checkStop }: ReadScansHost): Promise<SkippedScan[]> {
  const skipped: SkippedScan[] = [];
  const most = Math.max(1, mostBad * scans.length);
  const queue = [...scans];
  let done = 0;
  const reader = async (): Promise<void> => {
    for (let scan = queue.shift(); scan; scan = queue.shift()) {
      checkStop();
      try {
        await volumes.raw(scan);
      } catch (cause) {
        skipped.push({ id: scan.id, reason: (cause as Error).message });
        onNote(`skipped ${scan.id}: ${(cause as Error).message}`);
        if (skipped.length > most) queue.length = 0;
      }
      onProgress(++done);
    }
  };
  await Promise.all(Array.from({ length: parallel }, reader));
  if (skipped.length > most || skipped.length === scans.length) {
    throw new Error(`train: ${skipped.length} of ${scans.length} scans cannot be read, more than a tenth; first: ${skipped[0]!.reason}. Mend or remove them, then run again`);
  }
  return skipped;
}
