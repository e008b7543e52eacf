import { describe, expect, it } from 'vitest';
import { ops } from '../../../src/autograd/index.ts';
import { attentionGramBackwardReference, attentionGramReference } from '../../../src/autograd/ops/attention-gram.ts';
import { testEngine } from '../../support/engine.ts';
import { expectFixture, readOpFixtures } from '../../support/op-fixture.ts';
import { expectOp, input } from '../../support/op-test.ts';

const plans = ['row', 'workgroup'] as const;

describe('attentionGram', () => {
  for (const [batches, tokens, channels] of [[1, 1, 1], [2, 3, 65], [3, 63, 3], [1, 300, 130], [2, 65, 64]] as const) {
    it.each(plans)(`agrees with its reference on [${batches}, ${tokens}, ${channels}], plan %s`, async (plan) => {
      const shape = { batches, tokens, channels };
      await expectOp({
        inputs: { f: input([batches, tokens, channels], 1), m: input([batches, tokens], 2) },
        run: ({ f, m }) => ops.attentionGram(f, m, { plan }),
        reference: ({ f, m }) => attentionGramReference(f, m, shape),
        backward: ({ f, m }, dG) => attentionGramBackwardReference(f, m, dG, shape),
      });
    });
  }

  // Made by test/reference/attention-gram.py.
  for (const [name, fixture] of Object.entries(readOpFixtures('attention-gram'))) {
    it.each(plans)(`agrees with PyTorch: ${name}, plan %s`, async (plan) => {
      await expectFixture(fixture, ({ f, m }) => ops.attentionGram(f!, m!, { plan }));
    });
  }

  it('names a map that does not fit', async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => ops.attentionGram(engine.zeros([2, 3, 4]), engine.zeros([2, 4]))).toThrow('attentionGram: m must be [2, 3], got [2, 4]');
      expect(() => ops.attentionGram(engine.zeros([3, 4]), engine.zeros([3]))).toThrow('attentionGram: f must be [*, *, *], got [3, 4]');
    });
  });
});
