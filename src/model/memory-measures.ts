/** What a model does to hold less in memory at once, for more work. Its results are the same up to rounding. */
export interface MemoryMeasures {
  /** Keeps the input of each transformer block alone and runs the block again in the backward pass (gradient checkpointing). */
  checkpointBlocks: boolean;
  /** Parts along the depth of the volume in which the stem runs, one after another and each again in the backward pass; 1: the whole at once. */
  stemSlabs: number;
  /** Parts of a batch of texts that the text tower reads one after another; 1: all at once. */
  textParts: number;
  /** Attention that never holds scores, also where another plan is faster (software adapters). */
  fusedAttention: boolean;
}

export const NO_MEASURES: Readonly<MemoryMeasures> = { checkpointBlocks: false, stemSlabs: 1, textParts: 1, fusedAttention: false };
