/** One step of the GPU behind the training loop: while the GPU computes a step, the loop draws up the next. */
import type { StageName } from './config.ts';
import type { SubmittedStep } from './steps.ts';

export interface StepInFlight extends SubmittedStep {
  /** Steps over all stages, this one included. */
  globalStep: number;
  stage: StageName;
  /** Steps of this stage, this one included. */
  step: number;
  /** Volumes in it. */
  batch: number;
  /** When the loop began with it, in ms of `performance.now()`. */
  started: number;
}

/**
 * Holds the last step that was submitted, so that the GPU has its work when it ends the one before, and settles each in its order: `settle`
 * waits for the values, judges them and writes them down. Nothing that rests on a step (a checkpoint, a validation, the end of a stage) may
 * come before `settleAll`.
 */
export class StepsInFlight {
  private readonly settle: (step: StepInFlight) => Promise<void>;
  private last: StepInFlight | null = null;

  constructor(settle: (step: StepInFlight) => Promise<void>) {
    this.settle = settle;
  }

  /** Takes a step and settles the one before it: two are on the GPU at most. */
  async add(step: StepInFlight): Promise<void> {
    const before = this.last;
    this.last = step;
    if (before) await this.settleOne(before);
  }

  /** Settles the step that is still on the GPU. */
  async settleAll(): Promise<void> {
    const { last } = this;
    this.last = null;
    if (last) await this.settleOne(last);
  }

  /** Where it fails, the step after it counts for nothing: it is waited for, since the caller may free what it works on. */
  private async settleOne(step: StepInFlight): Promise<void> {
    try {
      await this.settle(step);
    } catch (error) {
      const after = this.last;
      this.last = null;
      await after?.values.catch(() => {});
      throw error;
    }
  }
}
