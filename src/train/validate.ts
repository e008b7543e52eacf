/** What is measured on validation scans while a run trains. */
import { noGrad, type Engine, type Tensor } from '../autograd/index.ts';
import { LABELS, type CohortScan } from '../data/index.ts';
import { fastLoss, presets } from '../model/index.ts';
import { fastOptions, studentQuality, type StageName } from './config.ts';
import { scoreScans } from './evaluate.ts';
import { evaluateLabels } from './metrics.ts';
import type { RunState } from './run-state.ts';
import { uploadVolumes } from './upload-volumes.ts';
import type { VolumeStore } from './volumes.ts';

/** FAST is a mean over tokens and channels: few scans measure it well. */
const MOST_DISTILLATION_SCANS = 16;

/** Mean AUROC of the model that `stage` trains, at the quality it is to be used at; null where no label has both classes. */
export async function validateAuroc(engine: Engine, { config, tokenizer, teacher, student }: RunState, stage: StageName, scans: readonly CohortScan[], volumes: VolumeStore): Promise<number | null> {
  const isTeacher = stage === 'teacher';
  const scores = await scoreScans(scans, {
    engine, tokenizer, volumes, shape: presets[config.preset].grid.shape, batch: config.batch,
    model: isTeacher ? teacher! : student!,
    quality: isTeacher ? null : studentQuality(config),
  });
  return evaluateLabels(LABELS, scores, scores, 'validation').mean.auroc;
}

export interface DistillationMeasure {
  scans: number;
  /** JPEG quality of the student's input. */
  quality: number;
  /** FAST's terms and their weighted sum `fast`, means over the scans. */
  losses: Record<string, number>;
}

/**
 * FAST on the same validation scans at the same quality each time: single steps differ by scan and quality more than training
 * moves them where the student starts from its teacher.
 */
export async function measureDistillation(engine: Engine, { config, teacher, student, projectors }: RunState, validation: readonly CohortScan[], volumes: VolumeStore): Promise<DistillationMeasure> {
  const scans = validation.slice(0, MOST_DISTILLATION_SCANS);
  const losses: Record<string, number> = {};
  for (let first = 0; first < scans.length; first += config.batch) {
    const group = scans.slice(first, first + config.batch);
    const [raw, read] = await Promise.all([volumes.rawBatch(group), volumes.batch(group, studentQuality(config))]);
    const shape = [group.length, 1, ...presets[config.preset].grid.shape];
    await engine.scope(async () => {
      const { total, terms } = noGrad(() => fastLoss(
        {
          student: student!.vision.forward(uploadVolumes(engine, read, shape)).taps,
          teacher: teacher!.vision.forward(uploadVolumes(engine, raw, shape)).taps,
          projectors: projectors!.taps,
        },
        fastOptions(config),
      ));
      for (const [name, term] of Object.entries({ ...terms, fast: total }) as [string, Tensor | null][]) {
        if (term) losses[name] = (losses[name] ?? 0) + ((await term.item()) * group.length) / scans.length;
      }
    });
  }
  return { scans: scans.length, quality: config.quality, losses };
}
