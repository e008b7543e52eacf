/** Results as an experiment gives them, with made-up but plausible numbers, for the tests of the plots. */
import { LABELS } from '../../../../src/data/index.ts';
import type { ArmResult, ExperimentResults } from '../../../../src/train/experiment/results.ts';
import { PATCH_ARMS, PATCH_MEASURES, type PatchCell, type PatchFastResult, type PatchStatistics } from '../../../../src/train/patch-fast-result.ts';
import { seededRandom, uniform } from '../../../../src/train/sampler.ts';

export interface SampleArm {
  arm: string;
  title: string;
  quality: number | null;
  bytes: number;
  auroc: number;
}

export const SAMPLE_ARMS: SampleArm[] = [
  { arm: 'baseline', title: 'Uncompressed HU, dense heads (baseline)', quality: null, bytes: 131_072, auroc: 0.741 },
  { arm: 'grey', title: '8 bits without JPEG, dense heads', quality: null, bytes: 65_536, auroc: 0.738 },
  ...[[10, 9200, 0.655], [30, 13_400, 0.701], [50, 16_300, 0.715], [75, 22_100, 0.722], [95, 41_000, 0.735]].flatMap(([quality, bytes, auroc]) => [
    { arm: quality === 75 ? 'jpeg' : `jpeg@${quality}`, title: `JPEG ${quality}, dense heads`, quality: quality!, bytes: bytes!, auroc: auroc! },
    { arm: quality === 75 ? 'ct-lite' : `ct-lite@${quality}`, title: `JPEG ${quality} + FAST + SFP (CT-Lite)`, quality: quality!, bytes: bytes!, auroc: auroc! + 0.012 },
  ]),
  { arm: 'jpeg-fast', title: 'JPEG 75 + FAST, dense heads', quality: 75, bytes: 22_100, auroc: 0.733 },
  { arm: 'jpeg-sfp', title: 'JPEG 75 + SFP', quality: 75, bytes: 22_100, auroc: 0.719 },
];

export function sampleResults(arms: readonly SampleArm[] = SAMPLE_ARMS): ExperimentResults {
  const random = seededRandom(4, 'plots');
  const around = (value: number, half: number): { value: number; interval: { low: number; high: number } } => ({ value, interval: { low: value - half, high: value + half } });
  const made = arms.map(({ arm, title, quality, bytes, auroc }): ArmResult => ({
    arm, title, quality, group: 'core', input: quality === null ? 'raw' : 'jpeg', fast: null, head: 'sfp',
    seeds: [0, 1, 2].map((seed) => ({ seed, meanAuroc: auroc, validationAuroc: null, labels: LABELS.map(() => null), steps: 100, secondsAStep: 1, peakGpuBytes: 1 })),
    meanAuroc: around(auroc, 0.021), spread: { low: auroc, high: auroc, deviation: 0 }, relativeLoss: null,
    labels: LABELS.map((_, at) => {
      const value = uniform(random, -0.07, 0.03);
      return { auroc: at === 5 ? null : around(auroc, 0.05), difference: arm === 'baseline' || at === 5 ? null : around(value, uniform(random, 0.01, 0.05)) };
    }),
    parameters: { encoder: 101_300, heads: 5252 }, macs: { encoder: 3e7, heads: 5000 }, bytesPerVolume: bytes, errorHu: 10, secondsAStep: 1, peakGpuBytes: 1e8,
  }));
  return {
    format: 'ct-lite-experiment', version: 1, name: 'quick', software: '0.1.0', command: 'ct-lite experiment', startedAt: '', updatedAt: '',
    adapter: { line: 'llvmpipe', kind: 'software' }, config: {} as ExperimentResults['config'], runs: { done: 39, planned: 42 },
    cohort: { name: 'phantoms', phantom: true, scans: { train: 300, validation: 60, test: 140 }, patients: { train: 250, validation: 50, test: 120 } },
    rawBytesPerVolume: 131_072, labels: LABELS.map((label, at) => ({ label, positives: 9 + 5 * at, negatives: 131 - 5 * at })), arms: made, claims: [],
  };
}

export function samplePatchResult(): PatchFastResult {
  const inputs = [10, 30, 50, 75, 95, '8-bit'] as const;
  const cellsOf = (arm: string): PatchCell[] => inputs.map((input, at) => {
    const mean = arm === 'compression' ? 0.984 + 0.003 * at : arm === 'fast' ? 0.987 + 0.0023 * at : 0.1;
    const statistic = { mean, deviation: 0.01, folds: [mean - 0.002, mean + 0.001, mean + 0.0005, mean + 0.002], interval: { low: mean - 0.0008, high: mean + 0.0008 } };
    return { input, patches: 192, measures: Object.fromEntries(PATCH_MEASURES.map((measure) => [measure, measure === 'pooledCosine' && arm === 'untrained' ? null : statistic])) as PatchStatistics };
  });
  return {
    format: 'ct-lite-patch-fast', version: 1,
    settings: {
      preset: 'tiny', seed: 0, shape: [16, 64, 64], spacingMm: [3, 1.5, 1.5], patchesPerScan: 48, steps: 100, batch: 4, learningRate: 3e-4, trainQuality: [30, 95],
      weights: { style: 1, position: 1, channel: 1, feature: 1 }, style: 'attention', styleTau: 1, maskTau: 0.5, folds: 4, inputs: [...inputs], arms: [...PATCH_ARMS],
    },
    teacher: { name: 'run/checkpoint.safetensors, preset tiny', weights: '0', parameters: 101_300 },
    scans: ['a', 'b', 'c', 'd'].map((id) => ({ id, patientId: id, patches: 48, spacingMm: [5, 0.8, 0.8], warnings: [] })), skipped: [],
    folds: ['a', 'b', 'c', 'd'].map((id) => ({ heldOut: [id], trained: [], patches: { trained: 144, heldOut: 48 }, loss: {}, seconds: 1 })),
    errorHu: [], arms: PATCH_ARMS.map((arm) => ({ arm, cells: cellsOf(arm) })), differences: [{ arm: 'fast', cells: cellsOf('fast').map((cell, at) => ({ ...cell, measures: Object.fromEntries(PATCH_MEASURES.map((measure) => [measure, { mean: 0.003 - 0.0007 * at, deviation: 0.002, folds: [0.002 - 0.0007 * at, 0.004 - 0.0007 * at], interval: { low: 0.0026 - 0.0007 * at, high: 0.0034 - 0.0007 * at } }])) as PatchStatistics })) }], resampled: 'patches', adapter: 'llvmpipe', seconds: 1,
  };
}
