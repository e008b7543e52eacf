import { afterAll, beforeAll, expect, it } from 'vitest';
import { noGrad } from '../../../src/autograd/index.ts';
import { disposeState, embedReports, prepareStage } from '../../../src/train/index.ts';
import { expectClose } from '../../support/arrays.ts';
import { testEngine } from '../../support/engine.ts';
import { tinyRun, type TinyRun } from './tiny-run.ts';

const reports = ['There is a pleural effusion. The heart is normal. Number a is seen.', 'The heart is normal.', '…'];
let run: TinyRun;

beforeAll(async () => {
  const engine = await testEngine();
  run = tinyRun(engine);
  prepareStage(engine, run.state, 'teacher');
});
afterAll(() => disposeState(run.state));

async function unit(text: string, maxTokens: number): Promise<Float32Array> {
  const { teacher, tokenizer } = run.state;
  const vector = (await teacher!.logScale.engine.scope(() => noGrad(() => teacher!.encodeText(tokenizer.encodeBatch([text], maxTokens))).toArray())) as Float32Array;
  return vector.map((value) => value / Math.hypot(...vector));
}

it('embeds a report as a whole where the model was trained on reports, cut at its tokens', async () => {
  const vectors = await embedReports(run.state.teacher!, run.state.tokenizer, reports, { unit: 'report', sentencesPerScan: 1, maxTokens: 6 });
  for (const [row, report] of reports.entries()) expectClose(vectors[row]!, await unit(report, 6), 1e-5, report);
});

it('embeds a report as the mean of its sentences where the model was trained on sentences', async () => {
  const vectors = await embedReports(run.state.teacher!, run.state.tokenizer, reports, { unit: 'sentence', sentencesPerScan: 1, maxTokens: 16 });
  const sentences = [await unit('There is a pleural effusion.', 16)];
  for (const sentence of ['The heart is normal.', 'Number a is seen.']) sentences.push(await unit(sentence, 16));
  const mean = sentences[0]!.map((_, at) => sentences.reduce((sum, vector) => sum + vector[at]!, 0) / 3);
  expectClose(vectors[0]!, mean.map((value) => value / Math.hypot(...mean)), 1e-5);
  expectClose(vectors[1]!, sentences[1]!, 1e-5);
  // No sentence in it: the text itself.
  expectClose(vectors[2]!, await unit('…', 16), 1e-5);
  expect(vectors).toHaveLength(3);
});
