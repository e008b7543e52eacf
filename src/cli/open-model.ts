/** The model that eval and predict ask: of a checkpoint of CT-Lite's own, or CT-CLIP as its baseline. */
import { Option, type Command } from 'commander';
import type { Engine } from '../autograd/index.ts';
import type { Tokenizer } from '../data/index.ts';
import { presets, type CtLite, type PresetName, type ZeroShotModel } from '../model/index.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { createProgress } from '../platform/progress.ts';
import { decodeCheckpoint, disposeState, openCtClipBaseline } from '../train/index.ts';
import type { VolumeInput } from './cohort-session.ts';
import { modelName } from './eval-scores.ts';
import { openWeightFile } from './weight-files.ts';

export interface OpenModel {
  name: string;
  file: string;
  /** For people: what it is, and what it is given. */
  description: string;
  model: ZeroShotModel;
  /** The same where it is a CtLite, which has attention to show. */
  lite: CtLite | null;
  preset: PresetName | null;
  tokenizer: Tokenizer;
  /** Tokens that a text is cut at. */
  maxTokens: number;
  input: VolumeInput;
  /** Volumes at once. */
  batch: number;
  /** JPEG quality of the input, or null for uncompressed. */
  quality: number | null;
  warnings: string[];
  dispose(): void;
}

export interface CtClipFlags {
  ctClip?: string;
  tokenizer?: string;
}

/** The flags that put CT-CLIP in place of a checkpoint. */
export function withCtClipFlags(command: Command): Command {
  return command
    .addOption(new Option('--ct-clip <file>', "in place of --checkpoint: CT-CLIP's released weights, .pt or .safetensors, on uncompressed input"))
    .addOption(new Option('--tokenizer <folder>', "with --ct-clip: vocab.txt or tokenizer.json of its text tower, CXR-BERT's; config.json, where it is there, must fit"));
}

/** @throws Error naming the flag that is missing or one too many */
export function requireModelFlags(command: string, { checkpoint, ctClip, tokenizer }: CtClipFlags & { checkpoint?: string }): void {
  if (checkpoint !== undefined && ctClip !== undefined) throw new Error(`${command}: --ct-clip stands in place of --checkpoint; give one or the other`);
  if (ctClip !== undefined && tokenizer === undefined) throw new Error(`${command}: --ct-clip needs --tokenizer, the folder with the vocabulary of its text tower (vocab.txt of microsoft/BiomedVLP-CXR-BERT-specialized)`);
  if (tokenizer !== undefined && ctClip === undefined) throw new Error(`${command}: --tokenizer is CT-CLIP's; a checkpoint of ct-lite holds its own. Give --ct-clip too, or leave it out`);
}

export interface OwnModelChoice {
  kind: 'student' | 'teacher';
  /** JPEG quality; default that of the run. A teacher's input is never compressed. */
  quality?: number | undefined;
}

/** A student or teacher of a CT-Lite checkpoint. `advice` ends the error where it holds none. */
export async function openCheckpoint(engine: Engine, file: string, { kind, quality }: OwnModelChoice, advice = '; choose the other with --model'): Promise<OpenModel> {
  const state = decodeCheckpoint(engine, await nodeFiles.readFile(file), file);
  const model = state[kind];
  if (!model) throw new Error(`${file}: holds no ${kind}${advice}`);
  const { preset, batch, text, phantom } = state.config;
  const given = kind === 'teacher' ? null : (quality ?? state.config.quality);
  return {
    name: `${modelName(file)} ${kind}`, file, description: `${kind}, preset ${preset}, ${inputOf(given)}`,
    model, lite: model, preset, tokenizer: state.tokenizer, maxTokens: text.maxTokens, input: presets[preset], batch, quality: given,
    warnings: phantom ? ['the model was trained on drawn chests alone; of a scan of a person its scores say nothing'] : [],
    dispose: () => disposeState(state),
  };
}

/** CT-CLIP, frozen, on its own grid (MODEL §1.5) and, unless a quality is given, on uncompressed input: one volume at once. */
export async function openCtClip(engine: Engine, { ctClip, tokenizer: folder, quality }: CtClipFlags & { quality?: number }): Promise<OpenModel> {
  const file = ctClip!;
  const progress = createProgress({ title: 'loading CT-CLIP', total: 100 });
  try {
    const { model, tokenizer, warnings } = await openCtClipBaseline(engine, nodeFiles, await openWeightFile(file), folder!, { onProgress: (done, total) => progress.update(Math.floor((100 * done) / total)) });
    const { shape, spacingMm } = model.input;
    const given = quality ?? null;
    return {
      name: modelName(file), file, description: `CT-CLIP, input ${shape.join(' × ')} at ${spacingMm.map((size) => Number(size.toFixed(3))).join(' × ')} mm, ${inputOf(given)}; ${tokenizer.vocabularySize} tokens of ${folder}`,
      model, lite: null, preset: null, tokenizer, maxTokens: model.maxTokens, input: { grid: model.input, antialias: false }, batch: 1, quality: given, warnings,
      dispose: () => model.dispose(),
    };
  } finally {
    progress.stop();
  }
}

const inputOf = (quality: number | null): string => (quality === null ? 'uncompressed input' : `JPEG ${quality}`);
