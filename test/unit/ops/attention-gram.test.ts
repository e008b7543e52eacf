import { it } from 'vitest';
import { attentionGramBackwardReference, attentionGramReference } from '../../../src/autograd/ops/attention-gram.ts';
import { expectReferenceGradient, input } from '../../support/op-test.ts';

it('attentionGram: reference gradient agrees with central differences', () => {
  const shape = { batches: 2, tokens: 3, channels: 4 };
  expectReferenceGradient(
    { f: input([2, 3, 4], 1), m: input([2, 3], 2) },
    ({ f, m }) => attentionGramReference(f, m, shape),
    ({ f, m }, dG) => attentionGramBackwardReference(f, m, dG, shape),
  );
});
