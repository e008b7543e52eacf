import { noGrad, ops, type Tensor } from '../autograd/index.ts';

/** Activations at the end of a stack: tokens × channels. */
export interface Tap {
  /** Residual stream before the stack's final norm, [B, N, C]: the attention maps are read from it. */
  residual: Tensor;
  /** After the final norm, [B, N, C]. */
  features: Tensor;
}

/** End of the spatial stack, end of the temporal stack. */
export type Taps = readonly Tap[];

/** φ: from the student's to the teacher's channels, for training only. `weight` [C_teacher, C_student], `bias` [C_teacher]. */
export interface Projector {
  weight: Tensor;
  bias: Tensor | null;
}

export const fastTerms = ['style', 'position', 'channel', 'feature'] as const;
export type FastTerm = (typeof fastTerms)[number];

export interface FastOptions {
  /** Weight λ of each term; a term of weight 0 is not computed. Default 1 each [O]. */
  weights?: Partial<Record<FastTerm, number>>;
  /** Which tokens the Gram matrices of the style term look at: their attention maps, or all alike (Gatys et al. 2016). */
  style?: 'attention' | 'gatys';
  /** Temperature of the style term's attention maps. Default 1 [O]. */
  styleTau?: number;
  /** Temperature of the feature term's masks. Default 0.5 [O]. */
  maskTau?: number;
}

export interface FastInputs {
  student: Taps;
  /** Of the same volume and pooled to the same tokens. Constants: no gradient reaches them. */
  teacher: Taps;
  /** One a tap; null where student and teacher have the same channels and none is wanted. */
  projectors: readonly (Projector | null)[];
}

export interface FastLoss {
  /** Σ λ · term, [1]. */
  total: Tensor;
  /** Each term, [1], mean over batch and taps; null where its weight is 0. */
  terms: Record<FastTerm, Tensor | null>;
}

/** Temperatures of MODEL §4 [O]. */
export const STYLE_TAU = 1;
export const MASK_TAU = 0.5;

/**
 * FAST, feature attention style transfer (MODEL §4): distils a teacher's activation patterns and structure into the student.
 * [A] Gram-matrix-based attention style preservation and dual-attention feature alignment; [O] every formula. A mean over taps of
 *
 * - style: ‖G_S − G_T‖²/‖G_T‖², G = Σ_n m_n F̂_n F̂_nᵀ, m = softmax(standardised token energy / styleTau), each model its own m;
 * - position: ‖a_S − a_T‖², a the token energies at unit length (Zagoruyko & Komodakis 2017);
 * - channel: the same of the channel energies of φ(f);
 * - feature: (1/NC) Σ P_n Q_c (F̂_S − F̂_T)², P and Q the teacher's token and channel masks at maskTau;
 *
 * with F̂ the affine-free LayerNorm of φ(f_S) and of f_T. Attention is over the tokens of one volume; batch means.
 *
 * @throws Error where the taps, projectors or weights do not fit
 */
export function fastLoss({ student, teacher, projectors }: FastInputs, options: FastOptions = {}): FastLoss {
  const weights = { style: 1, position: 1, channel: 1, feature: 1, ...options.weights };
  requireInputs({ student, teacher, projectors }, weights);
  const parts: Record<FastTerm, Tensor[]> = { style: [], position: [], channel: [], feature: [] };
  student.forEach((tap, index) => {
    const terms = tapTerms(tap, teacher[index]!, projectors[index]!, weights, options);
    for (const name of fastTerms) if (terms[name]) parts[name].push(terms[name]);
  });
  const mean = (tensors: Tensor[]): Tensor | null => (tensors.length ? ops.weightedMean(tensors, tensors.map(() => 1 / tensors.length)) : null);
  const terms = { style: mean(parts.style), position: mean(parts.position), channel: mean(parts.channel), feature: mean(parts.feature) };
  const active = fastTerms.filter((name) => terms[name]);
  return { total: ops.weightedMean(active.map((name) => terms[name]!), active.map((name) => weights[name])), terms };
}

/** The terms of one tap, [B] each. */
function tapTerms(studentTap: Tap, teacherTap: Tap, projector: Projector | null, weights: Record<FastTerm, number>, options: FastOptions): Partial<Record<FastTerm, Tensor>> {
  const { style: styleKind = 'attention', styleTau = STYLE_TAU, maskTau = MASK_TAU } = options;
  const student = inF32(studentTap);
  const teacher = noGrad(() => inF32(teacherTap));
  const terms: Partial<Record<FastTerm, Tensor>> = {};
  const attends = weights.style > 0 && styleKind === 'attention';
  const needsEnergy = attends || weights.position > 0;
  const energy = needsEnergy ? ops.tokenEnergy(student.residual) : null;
  const teacherEnergy = needsEnergy ? noGrad(() => ops.tokenEnergy(teacher.residual)) : null;
  const projected = projector ? ops.linear(student.features, projector.weight, projector.bias) : student.features;
  if (weights.position) terms.position = ops.mapDistance(energy!, teacherEnergy!);
  if (weights.channel) terms.channel = ops.mapDistance(ops.channelEnergy(projected), noGrad(() => ops.channelEnergy(teacher.features)));
  if (!weights.style && !weights.feature) return terms;
  const normed = ops.layerNorm(projected, null, null);
  const target = noGrad(() => ops.layerNorm(teacher.features, null, null));
  if (weights.style) {
    const map = (e: Tensor | null): Tensor => (e ? ops.energySoftmax(e, { tau: styleTau }) : uniformMap(normed));
    const gram = ops.attentionGram(normed, map(attends ? energy : null));
    const targetGram = noGrad(() => ops.attentionGram(target, map(attends ? teacherEnergy : null)));
    terms.style = ops.relativeDistance(gram, targetGram);
  }
  if (weights.feature) {
    const [tokenMask, channelMask] = noGrad(() => [
      ops.energySoftmax(ops.tokenMagnitude(teacher.residual), { tau: maskTau }),
      ops.energySoftmax(ops.channelMagnitude(teacher.features), { tau: maskTau }),
    ]) as [Tensor, Tensor];
    terms.feature = ops.maskedAlignment(normed, target, tokenMask, channelMask);
  }
  return terms;
}

/** Sums over tokens and channels want more than f16 holds. */
function inF32({ residual, features }: Tap): Tap {
  return { residual: ops.cast(residual, 'f32'), features: ops.cast(features, 'f32') };
}

function uniformMap(features: Tensor): Tensor {
  const [batches, tokens] = features.shape as [number, number];
  return features.engine.full([batches, tokens], 1 / tokens);
}

function requireInputs({ student, teacher, projectors }: FastInputs, weights: Record<FastTerm, number>): void {
  const fail = (rule: string): Error => new Error(`fastLoss: ${rule}`);
  if (!student.length || student.length !== teacher.length || student.length !== projectors.length) {
    throw fail(`student, teacher and projectors must be as many taps, got ${student.length}, ${teacher.length} and ${projectors.length}`);
  }
  for (const name of fastTerms) if (!(weights[name] >= 0)) throw fail(`the weight of "${name}" must not be negative, got ${weights[name]}`);
  if (fastTerms.every((name) => weights[name] === 0)) throw fail('at least one term must have a weight above 0');
  student.forEach((tap, index) => {
    const { shape } = tap.features;
    const other = teacher[index]!.features.shape;
    if (shape.length !== 3 || other.length !== 3 || shape[0] !== other[0] || shape[1] !== other[1]) {
      throw fail(`tap ${index}: student and teacher must be [B, N, C] with the same B and N, got [${shape.join(', ')}] and [${other.join(', ')}]; pool both to the coarser grid`);
    }
    for (const { residual, features } of [tap, teacher[index]!]) {
      if (residual.shape.slice(0, 2).join() !== features.shape.slice(0, 2).join()) throw fail(`tap ${index}: residual [${residual.shape.join(', ')}] and features [${features.shape.join(', ')}] must have the same tokens`);
    }
    if (!projectors[index] && shape[2] !== other[2]) throw fail(`tap ${index}: ${shape[2]} student and ${other[2]} teacher channels need a projector, got null`);
  });
}

/** The four terms volume by volume, [B] each, unweighted and means over taps: for measuring, without a history. */
export function fastDistances(inputs: FastInputs, options: Omit<FastOptions, 'weights'> = {}): Record<FastTerm, Tensor> {
  const weights = { style: 1, position: 1, channel: 1, feature: 1 };
  requireInputs(inputs, weights);
  const { student, teacher, projectors } = inputs;
  return noGrad(() => student[0]!.features.engine.scope(() => {
    const taps = student.map((tap, index) => tapTerms(tap, teacher[index]!, projectors[index]!, weights, options));
    const mean = (name: FastTerm): Tensor => ops.mul(taps.map((terms) => terms[name]!).reduce((sum, term) => ops.add(sum, term)), 1 / taps.length);
    return { style: mean('style'), position: mean('position'), channel: mean('channel'), feature: mean('feature') };
  }));
}
