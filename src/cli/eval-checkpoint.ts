/** `ct-lite eval --checkpoint` and `--ct-clip`: each volume encoded once, the prompts once, the reports once. */
import type { Engine } from '../autograd/index.ts';
import { defaultPrompts, readPrompts, type Cohort, type CohortScan, type PromptPair } from '../data/index.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { createProgress } from '../platform/progress.ts';
import { distinctReports, embedScans, embedTexts, encodePrompts, measureRetrieval, scoreEmbeddings, type VolumeStore } from '../train/index.ts';
import { cohortSource, openCohortSession, openNodeEngine, openVolumeStore } from './cohort-session.ts';
import type { EvalFlags, ScoredModel, ScoredPart } from './scored-model.ts';
import { say } from './terminal.ts';
import { findScores, modelName, readOther } from './eval-scores.ts';
import { interruptSignal } from './interrupt.ts';
import { openCheckpoint, openCtClip, type OpenModel } from './open-model.ts';
import { findCheckpoint } from './run-folder.ts';

/** @param keep is given the scores as soon as they are there, before anything else can fail */
export async function scoreCheckpoint(flags: EvalFlags, keep: (scored: Pick<ScoredModel, 'labels' | 'validation' | 'test'>) => Promise<void>): Promise<ScoredModel> {
  const file = flags.ctClip ?? (await findCheckpoint(flags.checkpoint!));
  const prompts = flags.prompts ? readPrompts(await nodeFiles.readFile(flags.prompts), flags.prompts) : defaultPrompts();
  const otherScores = flags.compare === undefined ? null : await findScores(flags.compare);
  const otherCheckpoint = flags.compare !== undefined && !otherScores ? await findCheckpoint(flags.compare) : null;
  const { engine, line } = await openNodeEngine(flags.adapter);
  say(line);
  try {
    const first = flags.ctClip ? await openCtClip(engine, flags) : await openCheckpoint(engine, file, { kind: flags.model, quality: flags.quality });
    for (const warning of first.warnings) say(`warning: ${warning}`);
    const signal = interruptSignal();
    const everything = ({ splitTooSmall }: Cohort): boolean => flags.split === 'all' || splitTooSmall;
    const lossy = new Set<string>();
    const { cohort, volumes, pool } = await openCohortSession(cohortSource(flags), first.input, flags.seed, say, {
      signal,
      needed: (all) => all.scans.filter((scan) => scan.labels && (everything(all) || scan.split !== 'train')),
      onDecoded: ({ id }, { format }) => void (format === 'jpeg-volume' && lossy.add(id)),
    });
    try {
      const splitName = everything(cohort) ? 'the whole cohort' : 'the test split';
      const scansOf = (split: string): CohortScan[] => cohort.scans.filter((scan) => scan.labels && (everything(cohort) ? split === 'test' : scan.split === split));
      const [validation, test] = [scansOf('validation'), scansOf('test')];
      if (test.length === 0) throw new Error(`eval: no scan of ${splitName} has labels; give --labels a CSV with VolumeName and the labels`);

      const embed = (model: OpenModel, scans: readonly CohortScan[], store: VolumeStore, title: string): Promise<Float32Array[]> => embedWithProgress(engine, model, scans, store, title, signal);
      const labels = prompts.map(({ label }) => label);
      const encoded = await promptsOf(first, prompts);
      const embeddings = await embed(first, [...validation, ...test], volumes, 'scoring');
      const testEmbeddings = embeddings.slice(validation.length);
      const partOf = (scans: readonly CohortScan[], part: readonly Float32Array[], by = encoded): ScoredPart => {
        const { scores, truths } = scoreEmbeddings(scans, part, by, labels);
        return { ids: scans.map(({ id }) => id), patientIds: scans.map(({ patientId }) => patientId), scores: Float64Array.from(scores), truths };
      };
      const scored = { labels, validation: partOf(validation, embeddings.slice(0, validation.length)), test: partOf(test, testEmbeddings) };
      await keep(scored);
      const retrieval = flags.retrieval ? await retrieve(first, test, testEmbeddings, flags) : null;
      first.dispose(); // never two models on the GPU: CT-CLIP's have 1.1 GB

      let other: ScoredModel['other'] = otherScores ? await readOther(otherScores, { name: modelName(file), ids: scored.test.ids, labels }) : null;
      if (otherCheckpoint) {
        const second = await openCheckpoint(engine, otherCheckpoint, { kind: flags.compareModel ?? flags.model, quality: flags.quality });
        const store = sameInput(first, second) ? volumes : openVolumeStore(pool, second.input);
        other = { name: second.name, scores: partOf(test, await embed(second, test, store, 'scoring the second'), await promptsOf(second, prompts)).scores };
        if (other.name === first.name) other.name = `${other.name} (second)`;
      }
      const compressed = [...validation, ...test].filter(({ id }) => lossy.has(id)).length;
      return {
        ...scored, name: first.name, splitName, other, retrieval,
        notes: [
          ...(everything(cohort) ? ['Every scan is evaluated, so no threshold is fitted: there is no F1, accuracy or precision.'] : []),
          ...(cohort.splitTooSmall && (!flags.ctClip || otherCheckpoint) ? ['Too few patients to split: the model may have been trained on these very scans.'] : []),
          ...(flags.ctClip && compressed > 0 ? [`${compressed} of ${validation.length + test.length} scans are JPEG volumes: CT-CLIP, the baseline on uncompressed scans, read them compressed and resampled from their own grid. Give --data the scans themselves.`] : []),
          ...first.warnings,
        ],
        facts: [
          ['Checkpoint', file], ['Model', first.description], ...(other ? [['Compared with', `${flags.compare} (${other.name})`] as [string, string]] : []),
          ['Cohort', cohort.name], ['Prompts', flags.prompts ?? '“X is present.” against “X is not present.”'], ['Adapter', line.replace(/^adapter: /, '')],
          ...(cohort.skipped.length > 0 ? [['Scans that could not be read', cohort.skipped.map(({ id }) => id).join(', ')] as [string, string]] : []),
        ],
      };
    } finally {
      await pool.close();
    }
  } finally {
    engine.destroy();
  }
}

const sameInput = (a: OpenModel, b: OpenModel): boolean => JSON.stringify([a.input.grid, a.input.antialias]) === JSON.stringify([b.input.grid, b.input.antialias]);

const promptsOf = ({ model, tokenizer, maxTokens }: OpenModel, prompts: readonly PromptPair[]): ReturnType<typeof encodePrompts> => encodePrompts(model, tokenizer, prompts, maxTokens);

async function embedWithProgress(engine: Engine, { model, input, batch, quality }: OpenModel, scans: readonly CohortScan[], volumes: VolumeStore, title: string, signal: AbortSignal): Promise<Float32Array[]> {
  const progress = createProgress({ title, total: scans.length });
  try {
    const onProgress = (done: number): void => {
      signal.throwIfAborted();
      progress.update(done);
    };
    return await embedScans(scans, { engine, model, volumes, shape: input.grid.shape, batch, quality, onProgress });
  } finally {
    progress.stop();
  }
}

/** The scans that have a report; null where there are none. */
async function retrieve({ model, tokenizer, maxTokens }: OpenModel, test: readonly CohortScan[], embeddings: readonly Float32Array[], { seed, resamples }: EvalFlags): Promise<ScoredModel['retrieval']> {
  const rows = test.flatMap(({ report }, row) => (report.trim() === '' ? [] : [row]));
  if (rows.length === 0) return null;
  const scans = rows.map((row) => test[row]!);
  const reports = await embedTexts(model, tokenizer, distinctReports(scans).texts, maxTokens);
  return measureRetrieval(scans, rows.map((row) => embeddings[row]!), reports, { seed, resamples });
}
