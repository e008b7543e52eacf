import { describe, expect, it } from 'vitest';
import { describePlan, measuresInOrder, planMemory, type MemoryBudget, type MemoryCount } from '../../../src/train/index.ts';
import type { MemoryMeasures } from '../../../src/model/index.ts';

const count = (peakBytes: number): MemoryCount => ({ peakBytes, stage: 'align', op: 'linear.backward', weightBytes: 40e6, optimizerBytes: 80e6, gradientBytes: 20e6, activationBytes: peakBytes - 140e6 });

/** 1000 MB of activations for each volume: halved by checkpointing, then divided by slabs, then 10 MB less. */
const peak = ({ checkpointBlocks, stemSlabs, fusedAttention }: Readonly<MemoryMeasures>, batch: number): MemoryCount =>
  count(140e6 + batch * ((checkpointBlocks ? 100e6 + 400e6 / stemSlabs : 1000e6) - (fusedAttention ? 10e6 : 0)));

const plan = (bytes: number, origin: MemoryBudget['origin'] = 'given', batch = 2): ReturnType<typeof planMemory> =>
  planMemory({ budget: { bytes, origin }, batch, volumes: 8, candidates: measuresInOrder(6, { holdsScores: true }), count: async (measures, size) => peak(measures, size) });

describe('measuresInOrder', () => {
  it('goes from none over blocks and slabs to attention', () => {
    expect(measuresInOrder(6, { holdsScores: true })).toEqual([
      { checkpointBlocks: false, stemSlabs: 1, textParts: 1, fusedAttention: false, precision: 'f32' },
      { checkpointBlocks: true, stemSlabs: 1, textParts: 1, fusedAttention: false, precision: 'f32' },
      { checkpointBlocks: true, stemSlabs: 2, textParts: 1, fusedAttention: false, precision: 'f32' },
      { checkpointBlocks: true, stemSlabs: 4, textParts: 1, fusedAttention: false, precision: 'f32' },
      { checkpointBlocks: true, stemSlabs: 6, textParts: 1, fusedAttention: false, precision: 'f32' },
      { checkpointBlocks: true, stemSlabs: 6, textParts: 4, fusedAttention: false, precision: 'f32' },
      { checkpointBlocks: true, stemSlabs: 6, textParts: 4, fusedAttention: true, precision: 'f32' },
    ]);
  });

  it('ends with f16, where that may be chosen and is not there already', () => {
    const last = (options: Parameters<typeof measuresInOrder>[1]): object => measuresInOrder(6, options).at(-1)!;
    expect(last({ holdsScores: false, mayHalve: true })).toEqual({ checkpointBlocks: true, stemSlabs: 6, textParts: 4, fusedAttention: false, precision: 'f16' });
    expect(last({ holdsScores: true, mayHalve: true })).toMatchObject({ fusedAttention: true, precision: 'f16' });
    expect(measuresInOrder(6, { holdsScores: true, mayHalve: true, precision: 'f16' })).toEqual(measuresInOrder(6, { holdsScores: true, precision: 'f16' }));
  });

  it('leaves out what changes nothing', () => {
    expect(measuresInOrder(1, { holdsScores: false })).toHaveLength(3);
    expect(measuresInOrder(2, { holdsScores: false }).map(({ stemSlabs }) => stemSlabs)).toEqual([1, 1, 2, 2]);
  });
});

describe('planMemory', () => {
  it.each([
    [2140e6, { checkpointBlocks: false, stemSlabs: 1 }],
    [2139e6, { checkpointBlocks: true, stemSlabs: 1 }],
    [1139e6, { checkpointBlocks: true, stemSlabs: 2 }],
    [700e6, { checkpointBlocks: true, stemSlabs: 4 }],
    [473e6, { checkpointBlocks: true, stemSlabs: 6 }],
  ])('takes the first that keeps within %d bytes', async (bytes, measures) => {
    const made = await plan(bytes);
    expect(made.measures).toMatchObject({ fusedAttention: bytes < 474e6 ? expect.any(Boolean) : false, ...measures });
    expect(made.count.peakBytes).toBeLessThanOrEqual(bytes);
  });

  it('says the least that would do, and the batch that would', async () => {
    await expect(plan(400e6)).rejects.toThrow(
      'train: --memory gives 400 MB, but the run needs at least 454 MB with gradient checkpointing of blocks, the stem in 6 slabs, texts in 4 parts, attention without scores (in linear.backward of stage "align"); ' +
        'take --memory 454MB, or --batch 1 --virtual-batch 8, the same gradients in 297 MB, or a smaller --preset',
    );
  });

  it('says so where not even one volume is little enough', async () => {
    await expect(plan(200e6, 'available')).rejects.toThrow(/70 % of the memory that is free are 200 MB.* free memory, or --batch 1 --virtual-batch 8, the same gradients in 297 MB \(still too much\), or a smaller --preset$/);
  });

  it('of batches takes the largest that would do', async () => {
    await expect(plan(800e6, 'given', 8)).rejects.toThrow('--batch 4 --virtual-batch 8');
  });

  it('goes beyond a budget that is only assumed, with all measures', async () => {
    const made = await plan(400e6, 'assumed');
    expect(made.measures).toEqual({ checkpointBlocks: true, stemSlabs: 6, textParts: 4, fusedAttention: true, precision: 'f32' });
    expect(describePlan(made)[2]).toMatch(/more than assumed/);
  });
});

it('describePlan says bytes and what they are', async () => {
  expect(describePlan(await plan(700e6))).toEqual([
    'memory: 540 MB of 700 MB (--memory), with gradient checkpointing of blocks, the stem in 4 slabs',
    '  at most, in linear.backward of stage align: weights 40 MB, optimiser 80 MB, gradients 20 MB, input, activations and work space 400 MB',
  ]);
});
