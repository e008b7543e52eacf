import type { Tokenizer } from '../data/index.ts';
import type { CtLite } from '../model/index.ts';
import type { TrainConfig } from './config.ts';
import { embedTexts, normalizedRows } from './evaluate.ts';
import { sentencesOf } from './texts.ts';

/**
 * L2-normalised embedding of each report [latent], of the texts that the model was trained on: of the report itself, or, where it was
 * trained on sentences, the normalised mean of its sentences' embeddings [O].
 */
export async function embedReports(model: CtLite, tokenizer: Tokenizer, reports: readonly string[], { unit, maxTokens }: TrainConfig['text']): Promise<Float32Array[]> {
  const texts = reports.map((report) => (unit === 'report' ? [report] : orWhole(sentencesOf(report), report)));
  const vectors = await embedTexts(model, tokenizer, texts.flat(), maxTokens);
  let first = 0;
  return texts.map(({ length }) => {
    const own = vectors.slice(first, (first += length));
    const [mean] = normalizedRows(own[0]!.map((_, at) => own.reduce((sum, vector) => sum + vector[at]!, 0)), 1);
    return mean!;
  });
}

/** A report without a letter has no sentence, but still an embedding. */
function orWhole(sentences: string[], report: string): string[] {
  return sentences.length ? sentences : [report];
}
