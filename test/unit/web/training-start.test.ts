/** What a run in the page starts from. */
import { describe, expect, it } from 'vitest';
import { makeConfig, type TrainConfig } from '../../../src/train/index.ts';
import { fineTuningConfig } from '../../../web/training-start.ts';

const settings = { seed: 5, steps: 30, batch: 2, learningRate: null, trainable: 'heads', checkpointEvery: 10 } as const;

describe('fineTuningConfig', () => {
  const teacher: TrainConfig['teacher'] = { weights: 'a hash', input: { shape: [240, 480, 480], spacingMm: [1.5, 0.75, 0.75] }, grid: [12, 12, 12], width: 512 };
  const base = makeConfig('tiny', 0, { teacher, virtualBatch: 64, precision: 'f16', quality: 60, head: 'dense' });

  it('keeps the model of the checkpoint and takes the settings of the page', () => {
    const config = fineTuningConfig(base, settings, true, false);
    expect(config).toMatchObject({ preset: 'tiny', quality: 60, head: 'dense', seed: 5, batch: 2, trainable: 'heads', checkpointEvery: 10, precision: 'f16' });
    expect(config.stages).toEqual({ align: { steps: 30, learningRate: 3e-4 } });
  });

  it('leaves out what the page has not: targets of a foreign teacher, a virtual batch, and f16 that the adapter lacks', () => {
    const config = fineTuningConfig(base, settings, false, false);
    for (const key of ['teacher', 'virtualBatch', 'precision']) expect(config).not.toHaveProperty(key);
  });

  it('stays a model of drawn chests alone while it has seen nothing else', () => {
    const drawn = { ...base, phantom: true as const };
    expect(fineTuningConfig(drawn, settings, true, true).phantom).toBe(true);
    for (const config of [fineTuningConfig(drawn, settings, true, false), fineTuningConfig(base, settings, true, true)]) expect(config).not.toHaveProperty('phantom');
  });
});
