/** The evaluation and the report of a run in the browser: as `ct-lite train` makes them. */
import { presets } from '../src/model/index.ts';
import type { CohortScan, FileSystem } from '../src/data/index.ts';
import { collectReport, evaluateSplit, evaluationScans, renderReport, scoreScans, type Evaluation, type RunState, type VolumeStore } from '../src/train/index.ts';
import { besideBundle } from '../src/platform/browser-wasm.ts';
import type { OpenedEngine } from './open-engine.ts';
import { REPORT_FILE, runFolder, type RunConfig, type StoredCohort } from './run-store.ts';

export interface TrainedRun {
  id: string;
  files: FileSystem;
  config: RunConfig;
  cohort: StoredCohort;
  volumes: VolumeStore;
  opened: OpenedEngine;
  state: RunState;
  seconds: number;
  fileBytes: (scan: CohortScan) => number;
}

export async function writeTrainingReport(run: TrainedRun): Promise<void> {
  const { id, files, config, cohort, volumes, opened, state, seconds, fileBytes } = run;
  const evaluation = await evaluate(run, state.student ? 'student' : 'teacher');
  const warnings = config.phantom ? ['The scans are phantoms: drawn by this software, not taken of people. The numbers say how the software works, not how well it reads chest CTs.'] : [];
  if (cohort.splitTooSmall) warnings.push('Too few patients to split: the figures below are of the scans that the model was trained on.');
  if (evaluation && !state.student) warnings.push('There is no student yet: the figures below are of the teacher, on uncompressed input.');
  const data = await collectReport({
    files, folder: runFolder(id), config: { ...config, train: state.config }, adapter: { line: `adapter: ${opened.line}`, kind: opened.kind }, cohort, volumes,
    scanBytes: async (scan) => fileBytes(scan), parameters: (state.student ?? state.teacher)!.parameterCount, seconds, evaluation, warnings,
  });
  const [uPlotScript, uPlotStyle] = await Promise.all(['uPlot.iife.min.js', 'uPlot.min.css'].map(async (file) => new TextDecoder().decode(await besideBundle(file))));
  await files.writeFile(`${runFolder(id)}/${REPORT_FILE}`, new TextEncoder().encode(renderReport(data, { uPlotScript: uPlotScript!, uPlotStyle: uPlotStyle! })));
}

async function evaluate({ state, cohort, volumes, opened }: TrainedRun, model: 'teacher' | 'student'): Promise<Evaluation | null> {
  const { config, tokenizer } = state;
  const { test, validation, where } = evaluationScans(cohort);
  if (!state[model] || test.length === 0) return null;
  const options = { engine: opened.engine, model: state[model], tokenizer, volumes, shape: presets[config.preset].grid.shape, batch: config.batch, quality: model === 'teacher' ? null : config.quality };
  return evaluateSplit(await scoreScans(validation, options), await scoreScans(test, options), test.map(({ patientId }) => patientId), { seed: config.seed }, where);
}
