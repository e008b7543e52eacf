/** Whether a run's scans fit into this browser's storage, asked before hours are spent on reading them. */
import { voxelCount } from '../src/data/index.ts';
import { presets, type PresetName } from '../src/model/index.ts';
import { formatBytes } from './dom.ts';

/** @throws where `scans` volumes, decoded to the preset's grid, are more than the browser has left for the page. */
export async function requireSpace(scans: number, preset: PresetName): Promise<void> {
  const { usage, quota } = await navigator.storage.estimate();
  if (usage === undefined || quota === undefined) return;
  const needed = scans * voxelCount(presets[preset].grid.shape) * Float32Array.BYTES_PER_ELEMENT;
  const free = Math.max(0, quota - usage);
  if (needed > free) throw new Error(`${scans} scans of size "${preset}" need ${formatBytes(needed)} of this browser's storage, ${formatBytes(free)} are left. Remove older runs, free some disk space, or take fewer scans.`);
}
