/** `ct-lite train --teacher`: CT-CLIP as teacher, and the targets that it leaves on disk. */
import type { Engine } from '../autograd/index.ts';
import type { CohortScan } from '../data/index.ts';
import { commonGrid, ctClipGeometry, loadCtClipTeacher, presets, tokenGrid, type PresetName } from '../model/index.ts';
import { nodeFiles, sha256OfFile } from '../platform/node-files.ts';
import { createProgress } from '../platform/progress.ts';
import { TeacherTargets, type TeacherConfig } from '../train/index.ts';
import { decodeJob, type CohortSession } from './cohort-session.ts';
import { Interrupted } from './interrupt.ts';
import { openWeightFile } from './weight-files.ts';

/** Where the teacher and its targets lie, as config.json keeps it. */
export interface TeacherSource {
  file: string;
  targets: string;
}

/** Reads the sizes of a CT-CLIP checkpoint and its hash; loads nothing. */
export async function describeTeacher(file: string, preset: PresetName): Promise<TeacherConfig> {
  const { input, grid, width } = ctClipGeometry(await openWeightFile(file));
  return { weights: await sha256OfFile(file), input, grid: commonGrid(grid, tokenGrid(presets[preset].encoder)), width };
}

export interface TargetsJob {
  engine: Engine;
  source: TeacherSource;
  teacher: TeacherConfig;
  session: CohortSession;
  signal: AbortSignal;
  note: (text: string) => void;
}

/**
 * The targets of the training scans; those that are not on disk yet are made first, and only for them is the teacher loaded. An
 * interrupted pass goes on with the next scan when it is run again.
 */
export async function openTargets({ engine, source, teacher, session, signal, note }: TargetsJob): Promise<TeacherTargets> {
  const { cohort, volumes, pool } = session;
  const targets = new TeacherTargets({ files: nodeFiles, folder: source.targets, teacher, raw: (scan) => volumes.raw(scan) });
  const scans = cohort.scans.filter(({ split }) => split === 'train');
  const missing = await targets.missing(scans);
  note(`teacher ${source.file}: targets of ${scans.length - missing.length} of ${scans.length} training scans are in ${source.targets}`);
  if (!missing.length) return targets;
  if ((await sha256OfFile(source.file)) !== teacher.weights) throw new Error(`train: --teacher ${source.file}: is another file than the run began with; give that one, or start a new run`);
  const encoder = await loadCtClipTeacher(engine, await openWeightFile(source.file));
  const { used, unused } = encoder.clip.keys;
  note(`teacher: ${used.length} tensors used, ${unused.length} not; ${(engine.memory.liveBytes / 2 ** 20).toFixed(0)} MiB on the GPU until the targets are made`);
  const decode = async (scan: CohortScan): Promise<Float32Array> => (await pool.decode({ ...decodeJob(scan), grid: teacher.input, antialias: false })).values;
  const progress = createProgress({ title: 'teacher', total: missing.length });
  try {
    for (const [index, scan] of missing.entries()) {
      if (signal.aborted) throw new Interrupted('interrupted; the targets made so far are kept, run again to go on');
      await targets.make(engine, encoder, scan, teacher.input.shape, decode);
      progress.update(index + 1);
    }
  } finally {
    progress.stop();
    encoder.dispose();
  }
  return targets;
}
