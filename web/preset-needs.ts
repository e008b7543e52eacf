/** What a new model of each size asks of a computer, in words for its user. */
import type { NewPreset, RunSettings } from './protocol.ts';
import type { Computing } from './training-page.ts';

/** Filled in when the size is chosen: the preset's own batch, and steps that make sense for it. */
export const PRESET_STEPS: Record<NewPreset, Pick<RunSettings, 'steps' | 'batch' | 'checkpointEvery'>> = {
  tiny: { steps: 70, batch: 8, checkpointEvery: 10 },
  small: { steps: 10_000, batch: 4, checkpointEvery: 200 },
};

const NEEDS: Record<NewPreset, string> = {
  tiny: 'Reads 16 × 64 × 64 voxels. Trains on any computer, in minutes on a CPU. To try the page: too coarse for small findings.',
  small: 'Reads 120 × 240 × 240 voxels. Needs a GPU, with about 2.2 GB of its memory by our count (4 scans a step), hours of time, and 30 MB of storage a scan beside 1.5 GB for checkpoints. Nobody has trained it in a browser yet.',
};

/** What the size reads, what it needs, and whether this computer has it. The memory is what `countMemory` gives of the dearest stage with the kernel plans of lavapipe and texts of 64 tokens: 1.1 GB with 1 scan a step, 2.2 GB with 4. */
export function presetNeeds(preset: NewPreset, computing: Computing): string {
  return preset !== 'tiny' && computing === 'on the CPU' ? `${NEEDS[preset]} This browser computes on the CPU, where a step takes minutes for each of its scans: use tiny here.` : NEEDS[preset];
}
