import { describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/autograd/index.ts';
import { lossScaleStepReference } from '../../../src/autograd/ops/loss-scale.ts';
import { loadTokenizer } from '../../../src/data/index.ts';
import { makeConfig } from '../../../src/train/config.ts';
import { applyPrecision, type RunState } from '../../../src/train/run-state.ts';
import { FIRST_LOSS_SCALE, GROWTH_INTERVAL, LEAST_LOSS_SCALE, MOST_LOSS_SCALE, parseLossScale, type LossScale, type LossScaler } from '../../../src/train/loss-scale.ts';

/** What the reference of the op makes of the rules of a run. */
function nextLossScale({ scale, goodSteps }: LossScale, finite: boolean): LossScale {
  const { state } = lossScaleStepReference(finite ? 1 : NaN, [scale, goodSteps, 0], { clip: 1, growthInterval: GROWTH_INTERVAL, least: LEAST_LOSS_SCALE, most: MOST_LOSS_SCALE });
  return { scale: state[0], goodSteps: state[1] };
}

describe('the loss scale', () => {
  it('doubles after 2000 good steps in a row, not before', () => {
    let state = { ...FIRST_LOSS_SCALE };
    for (let step = 1; step < GROWTH_INTERVAL; step++) {
      state = nextLossScale(state, true);
      expect(state).toEqual({ scale: 65536, goodSteps: step });
    }
    expect(nextLossScale(state, true)).toEqual({ scale: 131072, goodSteps: 0 });
    expect(nextLossScale(nextLossScale(state, false), true)).toEqual({ scale: 32768, goodSteps: 1 });
  });

  it('halves down to 1, and doubles up to 2^126', () => {
    expect(nextLossScale({ scale: 2 ** 126, goodSteps: 1999 }, true)).toEqual({ scale: 2 ** 126, goodSteps: 0 });
    expect(nextLossScale({ scale: 2, goodSteps: 1999 }, false)).toEqual({ scale: 1, goodSteps: 0 });
    expect(nextLossScale({ scale: 1, goodSteps: 0 }, false)).toEqual({ scale: 1, goodSteps: 0 });
  });

  it('is read back from a checkpoint, and refused where it is none', () => {
    expect(parseLossScale(JSON.stringify({ scale: MOST_LOSS_SCALE, goodSteps: 0 }), 'a').scale).toBe(2 ** 126);
    expect(parseLossScale('{"scale":4096,"goodSteps":17}', 'a')).toEqual({ scale: 4096, goodSteps: 17 });
    for (const text of ['', 'null', '{}', '{"scale":0,"goodSteps":0}', '{"scale":3,"goodSteps":0}', '{"scale":0.5,"goodSteps":0}', '{"scale":4,"goodSteps":2000}', '{"scale":4,"goodSteps":-1}', '{"scale":1e999,"goodSteps":0}', JSON.stringify({ scale: 2 ** 127, goodSteps: 0 })]) {
      expect(() => parseLossScale(text, 'run/checkpoint.safetensors'), text).toThrow('run/checkpoint.safetensors: its lossScale must be a power of two from 1 to 2^126 and a count below 2000');
    }
  });

  it('of a run in f16 is no business of a run in f32 that starts from its checkpoint', () => {
    const vocabulary = '[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n';
    const state: RunState = { config: makeConfig('tiny', 0), vocabulary, tokenizer: loadTokenizer({ vocabTxt: vocabulary }), position: { stage: 'align', step: 0 }, teacher: null, student: null, projectors: null, optimizer: null };
    let isDisposed = false;
    state.lossScale = { dispose: () => void (isDisposed = true) } as LossScaler;
    applyPrecision({} as Engine, state);
    expect(isDisposed).toBe(true);
    expect(state).not.toHaveProperty('lossScale');
  });
});
