/** `ct-lite eval --checkpoint`: each volume encoded once, the prompts once, the reports once. */
import type { Engine } from '../autograd/index.ts';
import { defaultPrompts, readPrompts, type CohortScan, type PromptPair } from '../data/index.ts';
import { presets } from '../model/index.ts';
import { nodeFiles } from '../platform/node-files.ts';
import { createProgress } from '../platform/progress.ts';
import { decodeCheckpoint, distinctReports, embedScans, embedTexts, encodePrompts, measureRetrieval, scoreEmbeddings, type RunState, type VolumeStore } from '../train/index.ts';
import { cohortSource, openCohortSession, openNodeEngine, openVolumeStore } from './cohort-session.ts';
import type { EvalFlags, ScoredModel, ScoredPart } from './scored-model.ts';
import { say } from './terminal.ts';
import { findScores, modelName, readOther } from './eval-scores.ts';
import { interruptSignal } from './interrupt.ts';
import { findCheckpoint } from './run-folder.ts';

/** @param keep is given the scores as soon as they are there, before anything else can fail */
export async function scoreCheckpoint(flags: EvalFlags, keep: (scored: Pick<ScoredModel, 'labels' | 'validation' | 'test'>) => Promise<void>): Promise<ScoredModel> {
  const file = await findCheckpoint(flags.checkpoint!);
  const prompts = flags.prompts ? readPrompts(await nodeFiles.readFile(flags.prompts), flags.prompts) : defaultPrompts();
  const otherScores = flags.compare === undefined ? null : await findScores(flags.compare);
  const otherCheckpoint = flags.compare !== undefined && !otherScores ? await findCheckpoint(flags.compare) : null;
  const { engine, line } = await openNodeEngine(flags.adapter);
  say(line);
  try {
    const first = await openModel(engine, file, flags.model, flags);
    const signal = interruptSignal();
    const { cohort, volumes, pool } = await openCohortSession(cohortSource(flags), first.state.config.preset, flags.seed, say, signal);
    try {
      const everything = flags.split === 'all' || cohort.splitTooSmall;
      const splitName = everything ? 'the whole cohort' : 'the test split';
      const scansOf = (split: string): CohortScan[] => cohort.scans.filter((scan) => scan.labels && (everything ? split === 'test' : scan.split === split));
      const [validation, test] = [scansOf('validation'), scansOf('test')];
      if (test.length === 0) throw new Error(`eval: no scan of ${splitName} has labels; give --labels a CSV with VolumeName and the labels`);
      const notes = [...(everything ? ['Every scan is evaluated, so no threshold is fitted: there is no F1, accuracy or precision.'] : []), ...(cohort.splitTooSmall ? ['Too few patients to split: the model may have been trained on these very scans.'] : [])];

      const embed = (model: OpenModel, scans: readonly CohortScan[], store: VolumeStore, title: string): Promise<Float32Array[]> => embedWithProgress(engine, model, scans, store, title, signal);
      const embeddings = await embed(first, [...validation, ...test], volumes, 'scoring');
      const testEmbeddings = embeddings.slice(validation.length);
      const labels = prompts.map(({ label }) => label);
      const encoded = await promptsOf(first, prompts);
      const partOf = (scans: readonly CohortScan[], part: readonly Float32Array[], by = encoded): ScoredPart => {
        const { scores, truths } = scoreEmbeddings(scans, part, by, labels);
        return { ids: scans.map(({ id }) => id), patientIds: scans.map(({ patientId }) => patientId), scores: Float64Array.from(scores), truths };
      };
      const scored = { labels, validation: partOf(validation, embeddings.slice(0, validation.length)), test: partOf(test, testEmbeddings) };
      await keep(scored);

      let other: ScoredModel['other'] = otherScores ? await readOther(otherScores, { name: modelName(file), ids: scored.test.ids, labels }) : null;
      if (otherCheckpoint) {
        const second = await openModel(engine, otherCheckpoint, flags.compareModel ?? flags.model, flags);
        const store = second.state.config.preset === first.state.config.preset ? volumes : openVolumeStore(pool, second.state.config.preset);
        other = { name: second.name, scores: partOf(test, await embed(second, test, store, 'scoring the second'), await promptsOf(second, prompts)).scores };
        if (other.name === first.name) other.name = `${other.name} (second)`;
      }
      return {
        ...scored, name: first.name, splitName, other, notes,
        retrieval: flags.retrieval ? await retrieve(first, test, testEmbeddings, flags) : null,
        facts: [
          ['Checkpoint', file], ['Model', describe(first)], ...(other ? [['Compared with', `${flags.compare} (${other.name})`] as [string, string]] : []),
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

interface OpenModel {
  name: string;
  state: RunState;
  model: NonNullable<RunState['student']>;
  kind: 'student' | 'teacher';
  quality: number | null;
}

async function openModel(engine: Engine, file: string, kind: 'student' | 'teacher', { quality }: EvalFlags): Promise<OpenModel> {
  const state = decodeCheckpoint(engine, await nodeFiles.readFile(file), file);
  const model = state[kind];
  if (!model) throw new Error(`${file}: holds no ${kind}; choose the other with --model`);
  return { name: `${modelName(file)} ${kind}`, state, model, kind, quality: kind === 'teacher' ? null : (quality ?? state.config.quality) };
}

const describe = ({ kind, quality, state }: OpenModel): string => `${kind}, preset ${state.config.preset}, ${quality === null ? 'uncompressed input' : `JPEG ${quality}`}`;

const promptsOf = ({ model, state }: OpenModel, prompts: readonly PromptPair[]): ReturnType<typeof encodePrompts> => encodePrompts(model, state.tokenizer, prompts, state.config.text.maxTokens);

async function embedWithProgress(engine: Engine, { model, state, quality }: OpenModel, scans: readonly CohortScan[], volumes: VolumeStore, title: string, signal: AbortSignal): Promise<Float32Array[]> {
  const progress = createProgress({ title, total: scans.length });
  try {
    const onProgress = (done: number): void => {
      signal.throwIfAborted();
      progress.update(done);
    };
    return await embedScans(scans, { engine, model, volumes, shape: presets[state.config.preset].grid.shape, batch: state.config.batch, quality, onProgress });
  } finally {
    progress.stop();
  }
}

/** The scans that have a report; null where there are none. */
async function retrieve({ model, state }: OpenModel, test: readonly CohortScan[], embeddings: readonly Float32Array[], { seed, resamples }: EvalFlags): Promise<ScoredModel['retrieval']> {
  const rows = test.flatMap(({ report }, row) => (report.trim() === '' ? [] : [row]));
  if (rows.length === 0) return null;
  const scans = rows.map((row) => test[row]!);
  const reports = await embedTexts(model, state.tokenizer, distinctReports(scans).texts, state.config.text.maxTokens);
  return measureRetrieval(scans, rows.map((row) => embeddings[row]!), reports, { seed, resamples });
}
