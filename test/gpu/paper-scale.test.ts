/** Training steps at full spatial size. Minutes to half an hour each on a CPU, so only where CT_LITE_PAPER_SCALE=1 asks for them. */
import { describe, expect, it } from 'vitest';
import { allLabelPrompts, buildVocabulary, loadTokenizer } from '../../src/data/index.ts';
import { NO_MEASURES, presets, tokenGrid, type PresetName } from '../../src/model/index.ts';
import { makeConfig, withTeacher, type TrainConfig } from '../../src/train/config.ts';
import { countMemory, measuresInOrder, planMemory, prepareStage, type RunOutline, type RunState } from '../../src/train/index.ts';
import type { StepInput } from '../../src/train/step-input.ts';
import { runStep } from '../../src/train/steps.ts';
import { openTestEngine } from '../support/engine.ts';

/** WebGPU's default of maxStorageBufferBindingSize. */
const defaultBindingLimit = 2 ** 27;
const texts = ['The heart is normal.', 'There is no pleural effusion.'];
const vocabulary = buildVocabulary([...texts, ...allLabelPrompts()], { minCount: 1 });
const tokenizer = loadTokenizer({ vocabTxt: vocabulary });
const tokens = Math.max(...texts.map((text) => tokenizer.encode(text, 256).length));
const onlyOnRequest = it.skipIf(process.env.CT_LITE_PAPER_SCALE !== '1');

/** The align stage of a preset that distils CT-CLIP's cached targets. */
function alignConfig(preset: PresetName, batch: number): TrainConfig {
  const config = withTeacher(makeConfig(preset, 0), { weights: '', input: { shape: [240, 480, 480], spacingMm: [1.5, 0.75, 0.75] }, grid: tokenGrid(presets[preset].encoder), width: 512 });
  return { ...config, batch, stages: { align: config.stages.align! } };
}

function outlineOf(config: TrainConfig): RunOutline {
  return { config, position: { stage: 'align', step: 0 }, has: { teacher: false, student: false, projectors: false }, vocabularySize: tokenizer.vocabularySize, volumes: config.batch, texts: { count: texts.length, tokens } };
}

/** Smooth grey levels with structure at every scale. */
function volumes(size: number, preset: PresetName): Uint8Array<ArrayBuffer> {
  const [depth, height, width] = presets[preset].grid.shape;
  return Uint8Array.from({ length: size * depth * height * width }, (_, at) => 128 + 60 * Math.sin(at / 37) + 60 * Math.sin(at / (width * 11)));
}

function stepInput({ preset, batch, teacher }: TrainConfig): StepInput {
  const values = new Float32Array(batch * teacher!.grid.reduce((product, extent) => product * extent, teacher!.width)).map((_, at) => Math.sin(at * 0.7));
  const load: StepInput['parts'][0]['load'] = async () => ({ size: batch, raw: null, input: volumes(batch, preset), targets: [0, 1].map(() => ({ residual: values, features: values })) });
  return { batch, parts: [{ size: batch, load }], texts: { texts, matches: Uint8Array.from({ length: batch * texts.length }, (_, at) => (at % texts.length === 0 ? 1 : 0)) } };
}

/** A whole step on a device that binds and lends no more; compares the pool's peak with the count. */
async function step(config: TrainConfig, budget: number): Promise<void> {
  const engine = await openTestEngine({ bindingLimit: defaultBindingLimit, memoryBudget: budget });
  const { peakBytes } = await countMemory(engine, outlineOf(config), config.measures!, 1);
  const state: RunState = { config, vocabulary, tokenizer, position: { stage: 'align', step: 0 }, teacher: null, student: null, projectors: null, optimizer: null };
  prepareStage(engine, state, 'align');
  const started = performance.now();
  const { losses, gradientNorm } = await runStep(engine, state, 'align', 0, stepInput(config));
  const { adapterInfo } = engine.device;
  console.log(`${config.preset}: ${JSON.stringify(config.measures)}: counted ${peakBytes}, measured ${engine.memory.peakBytes} bytes, ${Math.round((performance.now() - started) / 1000)} s on ${adapterInfo.description}, losses ${JSON.stringify(losses)}, gradient norm ${gradientNorm}`);
  expect(engine.memory.peakBytes / peakBytes).toBeGreaterThan(0.95);
  expect(engine.memory.peakBytes / peakBytes).toBeLessThan(1.05);
  for (const loss of Object.values(losses)) expect(loss).toBeGreaterThan(0);
  expect(gradientNorm).toBeGreaterThan(0);
  expect(Number.isFinite(gradientNorm)).toBe(true);
  engine.destroy();
}

describe('by the count, at the default binding limit', () => {
  it.each([
    ['base', 4e9],
    ['small', 1e9],
  ] as const)('a step of %s takes no more than %d bytes', async (preset, budget) => {
    const engine = await openTestEngine({ bindingLimit: defaultBindingLimit });
    const config = alignConfig(preset, makeConfig(preset, 0).batch);
    const longest = { count: config.batch * config.text.sentencesPerScan, tokens: config.text.maxTokens };
    const { measures, count } = await planMemory({
      budget: { bytes: budget, origin: 'given' }, batch: config.batch, volumes: config.batch,
      candidates: measuresInOrder(tokenGrid(presets[preset].encoder)[0], { holdsScores: engine.device.isSoftware }),
      count: (measures) => countMemory(engine, { ...outlineOf(config), texts: longest }, measures),
    });
    console.log(`${preset}, batch ${config.batch}: ${JSON.stringify(measures)} ${JSON.stringify(count)}`);
    expect(count.peakBytes).toBeLessThanOrEqual(budget);
    engine.destroy();
  });
});

describe('on the adapter, at the default binding limit', () => {
  onlyOnRequest('a step of small', async () => {
    await step({ ...alignConfig('small', 1), measures: { ...NO_MEASURES, checkpointBlocks: true, stemSlabs: 4 } }, 1e9);
  }, 3_600_000);

  // All eight blocks where CT_LITE_PAPER_LAYERS=4.
  onlyOnRequest('a step of base with one block a stack', async () => {
    const { encoder } = presets.base;
    const layers = Number(process.env.CT_LITE_PAPER_LAYERS ?? 1);
    presets.base = { ...presets.base, encoder: { ...encoder, spatialLayers: layers, temporalLayers: layers } };
    try {
      await step({ ...alignConfig('base', 1), measures: { ...NO_MEASURES, checkpointBlocks: true, stemSlabs: 4 } }, 4e9);
    } finally {
      presets.base = { ...presets.base, encoder };
    }
  }, 7_200_000);
});
