/**
 * Float64 reference of FAST (MODEL §4) for one tap: value of each term and gradients by the closed forms. Plain loops, for tests.
 * All arrays are flat and row-major.
 */
import type { FastTerm } from './fast.ts';

export interface FastReferenceShape {
  batches: number;
  tokens: number;
  /** Channels of the student's residual and features, and of the teacher's. */
  studentChannels: number;
  teacherChannels: number;
}

export interface FastReferenceInputs {
  studentResidual: Float64Array;
  studentFeatures: Float64Array;
  teacherResidual: Float64Array;
  teacherFeatures: Float64Array;
  /** Projector [teacherChannels, studentChannels] and [teacherChannels]. */
  weight: Float64Array;
  bias: Float64Array;
}

export interface FastReferenceOptions {
  weights: Record<FastTerm, number>;
  style?: 'attention' | 'gatys';
  styleTau?: number;
  maskTau?: number;
  layerNormEps?: number;
  energyEpsilon?: number;
}

export interface FastReferenceResult {
  total: number;
  terms: Record<FastTerm, number>;
  gradients: Pick<FastReferenceInputs, 'studentResidual' | 'studentFeatures' | 'weight' | 'bias'>;
}

/** Value and gradients of FAST for one tap. */
export function fastReference(inputs: FastReferenceInputs, shape: FastReferenceShape, options: FastReferenceOptions): FastReferenceResult {
  const { batches, tokens, studentChannels: cs, teacherChannels: ct } = shape;
  const { weights, style = 'attention', styleTau = 1, maskTau = 0.5, layerNormEps = 1e-5, energyEpsilon = 1e-6 } = options;
  const terms: Record<FastTerm, number> = { style: 0, position: 0, channel: 0, feature: 0 };
  const gradients = {
    studentResidual: new Float64Array(inputs.studentResidual.length),
    studentFeatures: new Float64Array(inputs.studentFeatures.length),
    weight: new Float64Array(inputs.weight.length),
    bias: new Float64Array(inputs.bias.length),
  };
  for (let b = 0; b < batches; b++) {
    const part = (x: Float64Array, channels: number): Float64Array => x.subarray(b * tokens * channels, (b + 1) * tokens * channels);
    const features = part(inputs.studentFeatures, cs);
    const teacherFeatures = part(inputs.teacherFeatures, ct);
    const residual = part(inputs.studentResidual, cs);
    const teacherResidual = part(inputs.teacherResidual, ct);
    const projected = project(features, inputs.weight, inputs.bias, tokens, cs, ct);
    const dProjected = new Float64Array(projected.length);
    const energy = tokenEnergyReference(residual, tokens, cs);
    const teacherEnergy = tokenEnergyReference(teacherResidual, tokens, ct);
    const dEnergy = new Float64Array(tokens);

    const position = mapDistanceReference(energy, teacherEnergy);
    terms.position += position.value / batches;
    addScaled(dEnergy, position.gradient, weights.position / batches);

    const channelEnergy = channelEnergyReference(projected, tokens, ct);
    const channel = mapDistanceReference(channelEnergy, channelEnergyReference(teacherFeatures, tokens, ct));
    terms.channel += channel.value / batches;
    const channelScale = ((2 / tokens) * weights.channel) / batches;
    for (let i = 0; i < projected.length; i++) dProjected[i]! += channelScale * projected[i]! * channel.gradient[i % ct]!;

    const normed = layerNorm(projected, ct, layerNormEps);
    const target = layerNorm(teacherFeatures, ct, layerNormEps);
    const dNormed = new Float64Array(normed.y.length);

    const uniform = new Float64Array(tokens).fill(1 / tokens);
    const map = style === 'gatys' ? uniform : energySoftmaxReference(energy, styleTau, energyEpsilon);
    const teacherMap = style === 'gatys' ? uniform : energySoftmaxReference(teacherEnergy, styleTau, energyEpsilon);
    const gram = styleReference(normed.y, map, target.y, teacherMap, tokens, ct);
    terms.style += gram.value / batches;
    addScaled(dNormed, gram.dFeatures, weights.style / batches);
    if (style === 'attention') addScaled(dEnergy, energySoftmaxBackwardReference(energy, map, gram.dMap, styleTau, energyEpsilon), weights.style / batches);

    const p = energySoftmaxReference(meanMagnitude(teacherResidual, tokens, ct, 'token'), maskTau, energyEpsilon);
    const q = energySoftmaxReference(meanMagnitude(teacherFeatures, tokens, ct, 'channel'), maskTau, energyEpsilon);
    for (let i = 0; i < normed.y.length; i++) {
      const mask = p[Math.floor(i / ct)]! * q[i % ct]!;
      const difference = normed.y[i]! - target.y[i]!;
      terms.feature += (mask * difference ** 2) / batches;
      dNormed[i]! += (2 * mask * difference * weights.feature) / batches;
    }

    addScaled(dProjected, layerNormBackward(normed, dNormed, ct), 1);
    part(gradients.studentResidual, cs).set(tokenEnergyBackwardReference(residual, dEnergy, tokens, cs));
    for (let n = 0; n < tokens; n++) {
      for (let o = 0; o < ct; o++) {
        const g = dProjected[n * ct + o]!;
        gradients.bias[o]! += g;
        for (let i = 0; i < cs; i++) {
          gradients.weight[o * cs + i]! += g * features[n * cs + i]!;
          gradients.studentFeatures[(b * tokens + n) * cs + i]! += g * inputs.weight[o * cs + i]!;
        }
      }
    }
  }
  const total = (Object.keys(terms) as FastTerm[]).reduce((sum, name) => sum + weights[name] * terms[name], 0);
  return { total, terms, gradients };
}

function addScaled(sum: Float64Array, x: Float64Array, scale: number): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += scale * x[i]!;
}

function project(x: Float64Array, weight: Float64Array, bias: Float64Array, tokens: number, inputs: number, outputs: number): Float64Array {
  return Float64Array.from({ length: tokens * outputs }, (_, at) => {
    const n = Math.floor(at / outputs);
    const o = at % outputs;
    let y = bias[o]!;
    for (let i = 0; i < inputs; i++) y += x[n * inputs + i]! * weight[o * inputs + i]!;
    return y;
  });
}

function centred(x: Float64Array, tokens: number, channels: number): Float64Array {
  const u = Float64Array.from(x);
  for (let c = 0; c < channels; c++) {
    let mean = 0;
    for (let n = 0; n < tokens; n++) mean += x[n * channels + c]! / tokens;
    for (let n = 0; n < tokens; n++) u[n * channels + c]! -= mean;
  }
  return u;
}

/** e_n = mean_c (x_nc − mean_n x_nc)² of one volume. */
export function tokenEnergyReference(x: Float64Array, tokens: number, channels: number): Float64Array {
  const e = new Float64Array(tokens);
  centred(x, tokens, channels).forEach((u, i) => (e[Math.floor(i / channels)]! += (u * u) / channels));
  return e;
}

export function tokenEnergyBackwardReference(x: Float64Array, dE: Float64Array, tokens: number, channels: number): Float64Array {
  const dU = centred(x, tokens, channels).map((u, i) => (2 / channels) * u * dE[Math.floor(i / channels)]!);
  return centred(dU, tokens, channels);
}

/** e_c = mean_n x_nc² of one volume. */
export function channelEnergyReference(x: Float64Array, tokens: number, channels: number): Float64Array {
  const e = new Float64Array(channels);
  x.forEach((value, i) => (e[i % channels]! += (value * value) / tokens));
  return e;
}

function meanMagnitude(x: Float64Array, tokens: number, channels: number, of: 'token' | 'channel'): Float64Array {
  const e = new Float64Array(of === 'token' ? tokens : channels);
  x.forEach((value, i) => (e[of === 'token' ? Math.floor(i / channels) : i % channels]! += Math.abs(value) / (of === 'token' ? channels : tokens)));
  return e;
}

/** ‖s/‖s‖ − t/‖t‖‖² and its gradient with respect to s. */
export function mapDistanceReference(s: Float64Array, t: Float64Array): { value: number; gradient: Float64Array } {
  const length = (x: Float64Array): number => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  const sLength = length(s);
  const tLength = length(t);
  const g = s.map((value, i) => 2 * (value / sLength - t[i]! / tLength));
  const along = g.reduce((sum, value, i) => sum + (value * s[i]!) / sLength, 0);
  return { value: g.reduce((sum, value) => sum + value * value, 0) / 4, gradient: g.map((value, i) => (value - (s[i]! / sLength) * along) / sLength) };
}

function standardize(e: Float64Array, epsilon: number): { z: Float64Array; rstd: number } {
  const mean = e.reduce((sum, value) => sum + value, 0) / e.length;
  const rstd = 1 / Math.sqrt(e.reduce((sum, value) => sum + (value - mean) ** 2, 0) / e.length + epsilon);
  return { z: e.map((value) => (value - mean) * rstd), rstd };
}

/** softmax(z/tau), z the standardised energies. */
export function energySoftmaxReference(e: Float64Array, tau: number, epsilon = 1e-6): Float64Array {
  const { z } = standardize(e, epsilon);
  const peak = Math.max(...z);
  const values = z.map((value) => Math.exp((value - peak) / tau));
  const sum = values.reduce((total, value) => total + value, 0);
  return values.map((value) => value / sum);
}

export function energySoftmaxBackwardReference(e: Float64Array, p: Float64Array, dP: Float64Array, tau: number, epsilon = 1e-6): Float64Array {
  const { z, rstd } = standardize(e, epsilon);
  const along = p.reduce((sum, value, n) => sum + value * dP[n]!, 0);
  const dZ = p.map((value, n) => (value * (dP[n]! - along)) / tau);
  const mean = dZ.reduce((sum, value) => sum + value, 0) / e.length;
  const meanZ = dZ.reduce((sum, value, n) => sum + value * z[n]!, 0) / e.length;
  return dZ.map((value, n) => rstd * (value - mean - z[n]! * meanZ));
}

interface Normed {
  y: Float64Array;
  rstd: Float64Array;
}

function layerNorm(x: Float64Array, channels: number, epsilon: number): Normed {
  const rows = x.length / channels;
  const y = new Float64Array(x.length);
  const rstd = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const standardized = standardize(x.slice(row * channels, (row + 1) * channels), epsilon);
    y.set(standardized.z, row * channels);
    rstd[row] = standardized.rstd;
  }
  return { y, rstd };
}

function layerNormBackward({ y, rstd }: Normed, dY: Float64Array, channels: number): Float64Array {
  const dX = new Float64Array(y.length);
  rstd.forEach((scale, row) => {
    let mean = 0;
    let meanY = 0;
    for (let i = row * channels; i < (row + 1) * channels; i++) {
      mean += dY[i]! / channels;
      meanY += (dY[i]! * y[i]!) / channels;
    }
    for (let i = row * channels; i < (row + 1) * channels; i++) dX[i] = scale * (dY[i]! - mean - y[i]! * meanY);
  });
  return dX;
}

function gramMatrix(f: Float64Array, m: Float64Array, tokens: number, channels: number): Float64Array {
  const g = new Float64Array(channels * channels);
  for (let n = 0; n < tokens; n++) for (let r = 0; r < channels; r++) for (let c = 0; c < channels; c++) g[r * channels + c]! += m[n]! * f[n * channels + r]! * f[n * channels + c]!;
  return g;
}

/** ‖G_S − G_T‖²/‖G_T‖² and its gradients with respect to the student's features and map. */
function styleReference(f: Float64Array, m: Float64Array, fT: Float64Array, mT: Float64Array, tokens: number, channels: number): { value: number; dFeatures: Float64Array; dMap: Float64Array } {
  const target = gramMatrix(fT, mT, tokens, channels);
  const square = target.reduce((sum, value) => sum + value * value, 0);
  const difference = gramMatrix(f, m, tokens, channels).map((value, i) => value - target[i]!);
  const dFeatures = new Float64Array(f.length);
  const dMap = new Float64Array(tokens);
  for (let n = 0; n < tokens; n++) {
    for (let r = 0; r < channels; r++) {
      let h = 0;
      for (let c = 0; c < channels; c++) h += (2 * difference[r * channels + c]! * f[n * channels + c]!) / square;
      dFeatures[n * channels + r] = 2 * m[n]! * h;
      dMap[n]! += f[n * channels + r]! * h;
    }
  }
  return { value: difference.reduce((sum, value) => sum + value * value, 0) / square, dFeatures, dMap };
}
