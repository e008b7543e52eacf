/** A whole step of the align stage: forward, FAST against the teacher, SigLIP, backward, AdamW, and the read-back of the losses. */
import type { Engine } from '../src/autograd/index.ts';
import { labelPrompts, LABELS, loadTokenizer, SPECIAL_TOKENS } from '../src/data/index.ts';
import { presets, type PresetName } from '../src/model/index.ts';
import { makeConfig, prepareStage, type RunState } from '../src/train/index.ts';
import type { StepInput } from '../src/train/step-input.ts';
import { runStep } from '../src/train/steps.ts';
import { product, randomArray } from '../test/support/arrays.ts';
import type { BenchCase, PreparedCase } from './bench-case.ts';

const checkedSteps = 3;

/** 36 prompts, each true of every other volume: what a step of the default run has at least. */
export function stepInput(preset: PresetName, batch: number): StepInput {
  const size = batch * product(presets[preset].grid.shape);
  const texts = LABELS.flatMap((label) => Object.values(labelPrompts(label)));
  const matches = Uint8Array.from({ length: batch * texts.length }, (_, at) => (Math.floor(at / texts.length) + at) % 2);
  const volumes = { size: batch, raw: Float32Array.from(randomArray(size, 1)), input: Uint8Array.from(randomArray(size, 2), (value) => 127.5 * (value + 1)), targets: null };
  return { batch, parts: [{ size: batch, load: () => Promise.resolve(volumes) }], texts: { texts, matches } };
}

/** A run at its first align step, with a teacher. */
export function alignState(engine: Engine, preset: PresetName, input: StepInput): RunState {
  const words = new Set(input.texts!.texts.flatMap((text) => text.toLowerCase().match(/[a-z]+|\./g) ?? []));
  const vocabulary = [...Object.values(SPECIAL_TOKENS), ...words].join('\n');
  const config = makeConfig(preset, 1, { batch: input.batch });
  const state: RunState = { config, vocabulary, tokenizer: loadTokenizer({ vocabTxt: vocabulary }), position: { stage: 'align', step: 1 }, teacher: null, student: null, projectors: null, optimizer: null };
  prepareStage(engine, state, 'teacher');
  state.optimizer!.dispose();
  state.optimizer = null;
  prepareStage(engine, state, 'align');
  return state;
}

const benchOf = (preset: PresetName, batch: number, flop: number): BenchCase => ({
  family: 'training-step',
  name: `${preset}, ${batch} volume${batch === 1 ? '' : 's'}, 36 texts`,
  forward: { flop, bytes: 0 },
  prepare: async (engine): Promise<PreparedCase> => {
    const input = stepInput(preset, batch);
    const state = alignState(engine, preset, input);
    let last: Promise<unknown> = Promise.resolve();
    return {
      /** The same batch again and again: its loss has to fall. */
      async check() {
        const losses: number[] = [];
        for (let step = 0; step <= checkedSteps; step++) losses.push((await runStep(engine, state, 'align', step + 1, input)).losses.loss!);
        return { forward: losses.at(-1)! < losses[0]! ? 0 : Infinity };
      },
      forward() {
        last = last.then(() => runStep(engine, state, 'align', 2, input));
      },
      settle: () => last.then(() => {}),
      dispose() {
        for (const held of [state.teacher, state.student, state.projectors, state.optimizer]) held?.dispose();
      },
    };
  },
});

/** GMAC of MODEL §5: the student's forward and backward, the teacher's forward; the text tower's three times its forward. */
const stepFlop = (encoderGmac: number, textGmac: number, batch: number): number => 2e9 * (4 * encoderGmac * batch + 3 * textGmac);

export const benches: BenchCase[] = [benchOf('tiny', 8, stepFlop(0.03, 0.05, 8)), benchOf('small', 1, stepFlop(10.8, 10, 1)), benchOf('base', 1, stepFlop(246, 10, 1))];
