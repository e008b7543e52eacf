import { ops, type Engine, type Tensor } from '../autograd/index.ts';
import type { LossScaler } from './loss-scale.ts';

export interface NamedParameter {
  /** Unique over all groups: the key of its state. */
  name: string;
  tensor: Tensor;
  /** Multiplies the group's learning rate; BTT cores take (d_in/f_in)/2 (MODEL §2). Default 1. */
  learningRateMultiplier?: number;
}

export interface ParameterGroup {
  parameters: readonly NamedParameter[];
  learningRate: number;
  /** Decoupled weight decay. Default 0. */
  weightDecay?: number;
}

export interface AdamWSettings {
  /** Decay of the first and second moment. Default [0.9, 0.98], MODEL §5 [O]. */
  betas?: readonly [number, number];
  eps?: number;
  /** Largest global L2 norm of the gradients; longer ones are scaled down to it. 0: no clipping. */
  clip?: number;
}

/** A step that the GPU takes or leaves out. */
export interface ScaledStep {
  /** Of the gradients of the loss itself before clipping, [1]. */
  norm: Tensor;
  /** [3], of `ops.lossScaleStep`: the second is 1 where the step is taken, else 0. */
  update: Tensor;
  /** To be told once, when it is known, what the GPU did. */
  settle: (taken: boolean) => void;
}

interface Slot {
  parameter: NamedParameter;
  group: ParameterGroup;
  /**
   * Steps of this parameter: one that was frozen at first starts its bias correction when it first has a gradient. One that is not settled
   * counts as taken.
   */
  steps: number;
  moment: Tensor | null;
  square: Tensor | null;
}

const SUFFIXES = { moment: '.exp_avg', square: '.exp_avg_sq', steps: '.step' } as const;

/**
 * AdamW with clipping of the global gradient norm (MODEL §5 [O]; Loshchilov & Hutter 2019), as torch.optim.AdamW after
 * clip_grad_norm_. Parameters without a gradient are skipped. Nothing is read back from the GPU in a step.
 */
export class AdamW {
  /** Steps taken so far. */
  stepCount = 0;
  private readonly engine: Engine;
  private readonly slots: Slot[] = [];
  /** The parameters of each scaled step of which it is not known yet whether the GPU took it. */
  private readonly unsettled = new Set<readonly Slot[]>();
  private readonly betas: readonly [number, number];
  private readonly eps: number;
  private readonly clip: number;

  /** @throws Error where a name occurs twice, or a rate, decay or setting is negative or not a number */
  constructor(engine: Engine, groups: readonly ParameterGroup[], { betas = [0.9, 0.98], eps = 1e-8, clip = 1 }: AdamWSettings = {}) {
    this.engine = engine;
    this.betas = betas;
    this.eps = eps;
    this.clip = clip;
    if (!(clip >= 0)) throw new Error(`AdamW: clip must not be negative, got ${clip}`);
    const names = new Set<string>();
    for (const group of groups) {
      requireNotNegative('learningRate', group.learningRate);
      requireNotNegative('weightDecay', group.weightDecay ?? 0);
      for (const parameter of group.parameters) {
        const { name, learningRateMultiplier = 1 } = parameter;
        if (names.has(name)) throw new Error(`AdamW: parameter names must be unique, got "${name}" twice; give each parameter to one group`);
        requireNotNegative(`learningRateMultiplier of ${name}`, learningRateMultiplier);
        names.add(name);
        this.slots.push({ parameter, group, steps: 0, moment: null, square: null });
      }
    }
  }

  /**
   * Updates every parameter that has a gradient, with its learning rate times `learningRateFactor` (the schedule's). Gradients
   * stay as they are. Gives the gradient norm before clipping, as [1] on the GPU.
   *
   * @throws Error where no parameter has a gradient
   */
  step(learningRateFactor = 1): Tensor {
    requireNotNegative('learningRateFactor', learningRateFactor);
    const active = this.withGradients();
    return this.engine.scope(() => {
      const norm = normOf(active);
      this.update(active, this.clip ? ops.clipScale(norm, this.clip) : this.engine.full([1], 1), learningRateFactor);
      return norm;
    });
  }

  /**
   * The same with gradients of a loss that was multiplied with the current scale of `lossScale`. Where their norm is not finite the GPU leaves the
   * step out: parameters and moments stay as they are, bit for bit. The host learns of that later, and `settle` then takes the step back from the
   * counts. The step after it may be submitted before: it has with it the bias corrections for either case, and the GPU chooses.
   *
   * @throws Error where no parameter has a gradient, or two steps before this one are not settled
   */
  scaledStep(lossScale: LossScaler, learningRateFactor = 1): ScaledStep {
    requireNotNegative('learningRateFactor', learningRateFactor);
    if (this.unsettled.size > 1) throw new Error('AdamW.scaledStep: two steps before this one are not settled; settle the first of them');
    const active = this.withGradients();
    return this.engine.scope(() => {
      const { norm, update } = lossScale.step(normOf(active), this.clip);
      this.update(active, update, learningRateFactor);
      this.unsettled.add(active);
      return { norm, update, settle: (taken) => this.settle(active, taken) };
    });
  }

  private settle(active: readonly Slot[], taken: boolean): void {
    if (!this.unsettled.delete(active) || taken) return;
    for (const slot of active) slot.steps--;
    this.stepCount--;
  }

  private withGradients(): Slot[] {
    const active = this.slots.filter(({ parameter }) => parameter.tensor.grad);
    if (!active.length) throw new Error('AdamW.step: no parameter has a gradient; run backward on a loss that depends on them first');
    return active;
  }

  private update(active: readonly Slot[], scale: Tensor, factor: number): void {
    const [before] = this.unsettled;
    for (const slot of active) this.updateSlot(slot, scale, factor, before?.includes(slot) ?? false);
    this.stepCount++;
  }

  private updateSlot(slot: Slot, scale: Tensor, factor: number, wasInUnsettled: boolean): void {
    const { parameter, group } = slot;
    const { tensor } = parameter;
    slot.moment ??= this.engine.keep(this.engine.zeros(tensor.shape));
    slot.square ??= this.engine.keep(this.engine.zeros(tensor.shape));
    slot.steps++;
    ops.adamWStep(
      { param: tensor, grad: tensor.grad!, moment: slot.moment, square: slot.square, scale },
      {
        learningRate: group.learningRate * (parameter.learningRateMultiplier ?? 1) * factor,
        betas: this.betas,
        eps: this.eps,
        weightDecay: group.weightDecay ?? 0,
        step: slot.steps,
        stepAfterLeftOut: slot.steps - (wasInUnsettled ? 1 : 0),
      },
    );
  }

  /** Drops every gradient. */
  zeroGrad(): void {
    for (const { parameter } of this.slots) parameter.tensor.zeroGrad();
  }

  /**
   * What a checkpoint has to hold besides `stepCount`, once all steps are settled: for each parameter that was updated, `<name>.exp_avg` and
   * `<name>.exp_avg_sq` of its shape, the optimiser's own tensors (not copies: read them before the next step and do not dispose
   * them), and `<name>.step` [1], a new tensor of the innermost scope.
   */
  state(): Record<string, Tensor> {
    const state: Record<string, Tensor> = {};
    for (const { parameter, moment, square, steps } of this.slots) {
      if (!moment || !square || !steps) continue;
      state[parameter.name + SUFFIXES.moment] = moment;
      state[parameter.name + SUFFIXES.square] = square;
      state[parameter.name + SUFFIXES.steps] = this.engine.tensor([steps]);
    }
    return state;
  }

  /**
   * Restores what `state` gave, read back. Parameters that it does not name start anew, as they were when it was saved.
   *
   * @throws Error naming the entry that is unknown, missing or of the wrong length; the optimiser is then unchanged
   */
  load(state: Readonly<Record<string, Float32Array<ArrayBuffer>>>, stepCount: number): void {
    if (!Number.isSafeInteger(stepCount) || stepCount < 0) throw new Error(`AdamW.load: stepCount must be a whole number of at least 0, got ${stepCount}`);
    const unknown = new Set(Object.keys(state));
    const found = this.slots.map(({ parameter: { name, tensor } }) => {
      const lengths = { moment: tensor.size, square: tensor.size, steps: 1 };
      const entries = { moment: state[name + SUFFIXES.moment], square: state[name + SUFFIXES.square], steps: state[name + SUFFIXES.steps] };
      if (!entries.moment && !entries.square && !entries.steps) return null;
      for (const key of ['moment', 'square', 'steps'] as const) {
        const got = entries[key]?.length;
        if (got !== lengths[key]) throw new Error(`AdamW.load: ${name}${SUFFIXES[key]}: must hold ${lengths[key]} values, got ${got ?? 'none'}; load the state of the same model`);
        unknown.delete(name + SUFFIXES[key]);
      }
      return entries as { moment: Float32Array<ArrayBuffer>; square: Float32Array<ArrayBuffer>; steps: Float32Array };
    });
    if (unknown.size) throw new Error(`AdamW.load: ${[...unknown][0]}: belongs to no parameter; load the state of the same model`);
    this.dispose();
    this.slots.forEach((slot, index) => {
      const entries = found[index];
      if (!entries) return;
      const { shape } = slot.parameter.tensor;
      slot.moment = this.engine.keep(this.engine.tensor(entries.moment, shape));
      slot.square = this.engine.keep(this.engine.tensor(entries.square, shape));
      slot.steps = entries.steps[0]!;
    });
    this.stepCount = stepCount;
  }

  /** Frees the moments and forgets all steps. The parameters are the caller's. */
  dispose(): void {
    for (const slot of this.slots) {
      slot.moment?.dispose();
      slot.square?.dispose();
      slot.moment = slot.square = null;
      slot.steps = 0;
    }
    this.unsettled.clear();
    this.stepCount = 0;
  }
}

function normOf(slots: readonly Slot[]): Tensor {
  return ops.gradientNorm(slots.map(({ parameter }) => parameter.tensor.grad!));
}

function requireNotNegative(name: string, value: number): void {
  if (!(value >= 0 && Number.isFinite(value))) throw new Error(`AdamW: ${name} must be a number of at least 0, got ${value}`);
}
