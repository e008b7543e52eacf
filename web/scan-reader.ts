/** A model with the scan that it reads: findings, questions and what it attended to. Opens its device again where that is lost. */
import { noGrad } from '../src/autograd/index.ts';
import { decodeScan, defaultPrompts, jpegRoundTrip, resampleTrilinear, writeNifti } from '../src/data/index.ts';
import type { Size3, Tokenizer } from '../src/data/index.ts';
import { presets, type Preset } from '../src/model/index.ts';
import { decodeCheckpoint, embedVolumes, encodePrompts, globalStepOf, scoreLabels, totalSteps, uploadVolumes, type RunState } from '../src/train/index.ts';
import { checkpointBytes, type HeldCheckpoint } from './checkpoint-source.ts';
import { findingOf } from './finding.ts';
import { gridOriginMm } from './grid-origin.ts';
import { isLost, openBrowserEngine, type OpenedEngine } from './open-engine.ts';
import type { Answer, CheckpointSource, LoadedCheckpoint, Prediction } from './protocol.ts';
import type { Scan } from './scan.ts';
import type { ModelGrid } from './scan-compression.ts';

interface Model {
  opened: OpenedEngine;
  state: RunState;
  preset: Preset;
}

const attentionScale = 1000;
/** Voxels of the picture of the attention a token along each axis: the viewer does not interpolate what it lays over. */
const finer = 6;

export class Reader {
  private held: HeldCheckpoint | null = null;
  private model: Model | null = null;
  private embedding: Float32Array | null = null;

  /** The grid that the loaded model reads. */
  get grid(): ModelGrid {
    if (!this.model) throw new Error('Load a model first.');
    const { grid, antialias } = this.model.preset;
    return { ...grid, antialias };
  }

  forgetScan(): void {
    this.embedding = null;
  }

  /** @throws naming the file where it is no checkpoint, or has no student yet; the model before stays loaded then. */
  async load(source: CheckpointSource): Promise<LoadedCheckpoint> {
    const held = await checkpointBytes(source);
    const model = await openModel(held);
    this.model?.opened.engine.destroy();
    [this.held, this.model, this.embedding] = [held, model, null];
    const { state, opened } = model;
    return { name: held.name, preset: state.config.preset, quality: state.config.quality, steps: globalStepOf(state), totalSteps: totalSteps(state.config), adapter: opened.line, phantom: held.phantom || state.config.phantom === true };
  }

  predict({ content, name, volume }: Scan, quality: number): Promise<Prediction> {
    return this.withModel(async ({ opened: { engine }, state, preset: { grid, antialias } }) => {
      const started = performance.now();
      const student = state.student!;
      const { values, warnings } = await decodeScan(content, name, grid, { antialias });
      const input = await jpegRoundTrip(values, grid.shape, quality);
      const [embedding] = await embedVolumes(engine, student, input, grid.shape);
      const probabilities = scoreLabels(embedding!, await encodePrompts(student, state.tokenizer));
      const cells = [...student.vision.grid] as Size3;
      const attention = (await engine.scope(() => noGrad(() => student.vision.forward(uploadVolumes(engine, input, [1, 1, ...grid.shape])).attention).toArray())) as Float32Array;
      this.embedding = embedding!;
      const spacingMm = cells.map((count, axis) => (grid.shape[axis]! * grid.spacingMm[axis]!) / count) as Size3;
      const heat = resampleTrilinear({ hu: strengthOf(attention, cells), shape: cells, spacingMm, warnings: [], source: name }, spacingMm.map((size) => size / finer) as Size3);
      const heatNifti = writeNifti(heat, { originMm: gridOriginMm(volume, grid, heat.shape) });
      return { probabilities, quality, seconds: (performance.now() - started) / 1000, warnings, heatNifti };
    });
  }

  ask(text: string): Promise<Answer> {
    const finding = findingOf(text);
    if (!finding) throw new Error('Type a finding, such as "pleural effusion", or a question, such as "is there a pleural effusion?".');
    return this.withModel(async ({ state }) => {
      if (!this.embedding) throw new Error('Let the model read the scan first.');
      const { student, tokenizer } = state;
      const unknownWords = finding.split(/\s+/).filter((word) => isUnknown(tokenizer, word));
      const prompts = await encodePrompts(student!, tokenizer, defaultPrompts([finding]));
      const [probability] = scoreLabels(this.embedding, prompts);
      const similarity = prompts.present[0]!.reduce((sum, value, i) => sum + value * this.embedding![i]!, 0);
      return { statement: `${finding} is present.`, probability: probability!, similarity, unknownWords };
    });
  }

  /** Runs `work`; where the device is lost meanwhile, once more on a new one. */
  private async withModel<T>(work: (model: Model) => Promise<T>): Promise<T> {
    if (!this.model || !this.held) throw new Error('Load a model first.');
    try {
      return await work(this.model);
    } catch (error) {
      if (!(await isLost(this.model.opened.engine))) throw error;
      this.model = await openModel(this.held);
      return work(this.model);
    }
  }
}

async function openModel({ bytes, name }: HeldCheckpoint): Promise<Model> {
  const opened = await openBrowserEngine();
  try {
    const state = decodeCheckpoint(opened.engine, bytes, name);
    if (!state.student) throw new Error(`${name}: holds no student yet (only the teacher stage has run); go on with that run first`);
    return { opened, state, preset: presets[state.config.preset] };
  } catch (error) {
    opened.engine.destroy();
    throw error;
  }
}

/** True for words that the tokenizer has no piece for, or spells letter by letter: no text of the training had them. */
function isUnknown({ encode, unknownId }: Tokenizer, word: string): boolean {
  const pieces = encode(word, 64).slice(1, -1);
  return pieces.includes(unknownId) || (word.length > 2 && pieces.length >= word.length);
}

/**
 * Mean over the heads [H, N] as 0…1000: 0 at or below the volume's mean, 1000 at its largest, or at twice the mean where that is
 * more, so that a model that looks everywhere alike paints nothing. As `ct-lite predict --heat-map`.
 */
function strengthOf(attention: Float32Array, [t, h, w]: Size3): Float32Array {
  const count = t * h * w;
  const heat = new Float32Array(count);
  attention.forEach((value, i) => (heat[i % count]! += value));
  const mean = heat.reduce((sum, value) => sum + value, 0) / count;
  const full = Math.max(2 * mean, heat.reduce((most, value) => Math.max(most, value), 0));
  return heat.map((value) => (attentionScale * Math.max(0, value - mean)) / (full - mean));
}
