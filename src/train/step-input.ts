/** What a training step works on, drawn and decoded. */
import type { CohortScan } from '../data/index.ts';
import type { StageName, TrainConfig } from './config.ts';
import { batchIndices, seededRandom, uniform } from './sampler.ts';
import type { StepVolumes } from './stage-losses.ts';
import { drawTexts, type StepTexts } from './texts.ts';
import type { TeacherTargets } from './teacher-targets.ts';
import type { VolumeStore } from './volumes.ts';

/** Everything of a step that comes from the CPU: drawn by (seed, stage, step) alone, so a resumed run draws the same. */
export interface StepInput {
  /** Volumes of the step, all parts together. */
  batch: number;
  texts: StepTexts | null;
  /** The volumes, `config.batch` at a time: several parts in a virtual batch, else one. */
  parts: StepPart[];
}

export interface StepPart {
  size: number;
  /** Decodes the part's volumes; a part of several may be loaded again. */
  load(): Promise<StepVolumes>;
}

const stageSeeds: Record<StageName, number> = { teacher: 1, fast: 2, align: 3 };

/** What the input of a step is drawn from. */
export interface StepSource {
  scans: readonly CohortScan[];
  /** Of the sentences of these scans' reports. */
  frequencies: ReadonlyMap<string, number>;
  volumes: VolumeStore;
  /** Of the foreign teacher that `config.teacher` names. */
  targets?: TeacherTargets;
}

/** Draws the input of a step and decodes its first part. */
export async function loadStep(config: TrainConfig, stage: StageName, step: number, { scans: train, frequencies, volumes, targets }: StepSource, hasTeacher: boolean): Promise<StepInput> {
  const seed = config.seed * 1000 + stageSeeds[stage];
  const batch = Math.min(config.virtualBatch ?? config.batch, train.length);
  const scans = batchIndices(seed, step, batch, train.length).map((index) => train[index]!);
  const [low, high] = config.trainQuality;
  const qualities = scans.map((_, row) => Math.round(uniform(seededRandom(seed, step, row, 'quality'), low, high)));
  const { input = 'jpeg' } = config;
  const distils = stage === 'fast' || (stage === 'align' && config.fastWeight > 0);
  const needsRaw = stage === 'teacher' || (distils && !targets && (hasTeacher || stage === 'fast'));
  const part = (first: number): StepPart => {
    const group = scans.slice(first, first + config.batch);
    return {
      size: group.length,
      load: async () => ({
        size: group.length,
        targets: distils && targets ? await targets.batch(group) : null,
        raw: needsRaw ? await volumes.rawBatch(group) : null,
        input: stage === 'teacher' ? null : input === 'jpeg' ? await volumes.jpegBatch(group, (row) => qualities[first + row]!) : await volumes.batch(group, input === 'grey' ? 'grey' : null),
      }),
    };
  };
  const parts = Array.from({ length: Math.ceil(batch / config.batch) }, (_, index) => part(index * config.batch));
  return {
    batch,
    parts: [loadedOnce(parts[0]!, await parts[0]!.load()), ...parts.slice(1)],
    texts: stage === 'fast' ? null : drawTexts(scans, frequencies, config.text, seed, step),
  };
}

/** The part with its first load done already. */
function loadedOnce(part: StepPart, loaded: StepVolumes): StepPart {
  let ready: StepVolumes | null = loaded;
  return {
    size: part.size,
    load: async () => {
      const volumes = ready ?? (await part.load());
      ready = null;
      return volumes;
    },
  };
}
