import type { Prepared } from './peer.ts';
import { comparedGradients, optimizer, parameterShapes, parameterValues, step, stepData, stepLoss, volumeShape, type MathLibrary } from './training-step.ts';

type T = any; // TensorFlow.js has no types here: see modules.d.ts

/** Loss, gradients and AdamW, op by op: TensorFlow.js compiles no graphs of its own. */
export function prepareTrainingStep(tf: T, finish: () => Promise<void>): Prepared {
  const { volumes, ids, signs } = stepData();
  const x = tf.tensor(volumes, volumeShape);
  const sign = tf.tensor(signs, [step.batch, step.texts]);
  const shapes = parameterShapes();
  const names = Object.keys(shapes);
  const values = parameterValues();
  const rows = tf.tensor1d(Int32Array.from(ids), 'int32');
  const parameters: Record<string, T> = Object.fromEntries(names.map((name) => [name, tf.variable(tf.tensor(values[name], shapes[name]))]));
  const moments = names.map((name) => tf.variable(tf.zeros(shapes[name])));
  const squares = names.map((name) => tf.variable(tf.zeros(shapes[name])));
  const m = library(tf, rows);
  // A turned copy of the stems' weights would hide what is trained: they are turned inside.
  const compute = (): { value: T; grads: Record<string, T> } => {
    const list = names.map((name) => parameters[name]);
    const byVariable = new Map(list.map((variable, index) => [variable.name, names[index]!]));
    const { value, grads } = tf.variableGrads(() => stepLoss(m, parameters, x, sign).asScalar(), list);
    return { value, grads: Object.fromEntries(Object.entries(grads).map(([name, gradient]) => [byVariable.get(name)!, gradient])) };
  };
  const update = (grads: Record<string, T>): void =>
    tf.tidy(() => {
      const { learningRate, betas: [beta1, beta2], eps, weightDecay, clip } = optimizer;
      const total = names.map((name) => tf.sum(tf.square(grads[name]))).reduce((sum: T, each: T) => tf.add(sum, each));
      const scale = tf.minimum(tf.div(clip, tf.add(tf.sqrt(total), 1e-6)), 1);
      names.forEach((name, index) => {
        const g = tf.mul(grads[name], scale);
        moments[index].assign(tf.add(tf.mul(moments[index], beta1), tf.mul(g, 1 - beta1)));
        squares[index].assign(tf.add(tf.mul(squares[index], beta2), tf.mul(tf.square(g), 1 - beta2)));
        const change = tf.div(tf.mul(moments[index], 1 / (1 - beta1)), tf.add(tf.sqrt(tf.mul(squares[index], 1 / (1 - beta2))), eps));
        const decay = shapes[name]!.length < 2 ? 0 : weightDecay;
        parameters[name].assign(tf.sub(tf.mul(parameters[name], 1 - learningRate * decay), tf.mul(change, learningRate)));
      });
    });
  return {
    async run() {
      const { value, grads } = compute();
      update(grads);
      await finish();
      tf.dispose([value, ...Object.values(grads)]);
    },
    async outputs() {
      const { value, grads } = compute();
      const results: Record<string, Float32Array> = { loss: Float32Array.from(await value.data()) };
      for (const name of comparedGradients) results[name] = Float32Array.from(await grads[name].data());
      tf.dispose([value, ...Object.values(grads)]);
      return results;
    },
    dispose: () => tf.dispose([x, sign, rows, ...Object.values(parameters), ...moments, ...squares]),
  };
}

/** Its WebGPU backend cannot broadcast over five axes (the shader does not compile): leading axes become one. */
function flat(tf: T, operation: (a: T, b: T) => T): (a: T, b: T | number) => T {
  return (a, b) => {
    if (typeof b === 'number' || a.rank < 5) return operation(a, b);
    const keeps = b.rank === a.rank ? 1 : b.rank;
    const y = operation(tf.reshape(a, [-1, ...a.shape.slice(a.rank - keeps)]), b.rank === a.rank ? tf.reshape(b, [-1, b.shape.at(-1)]) : b);
    return tf.reshape(y, a.shape);
  };
}

/** Zeros around D, Y and X of [B, D, Y, X, C]; neither does it pad five axes. */
function pad(tf: T, x: T, zeros: number): T {
  const [batch, d, h, w, channels] = x.shape as [number, number, number, number, number];
  const both = [zeros, zeros];
  const planes = tf.pad(tf.reshape(x, [batch * d, h, w, channels]), [[0, 0], both, both, [0, 0]]);
  const wide = [h + 2 * zeros, w + 2 * zeros, channels];
  const slabs = tf.pad(tf.reshape(planes, [batch, d, wide[0]! * wide[1]! * channels]), [[0, 0], both, [0, 0]]);
  return tf.reshape(slabs, [batch, d + 2 * zeros, ...wide]);
}

function library(tf: T, ids: T): MathLibrary<T> {
  return {
    add: flat(tf, (a, b) => tf.add(a, b)),
    sub: flat(tf, (a, b) => tf.sub(a, b)),
    mul: flat(tf, (a, b) => tf.mul(a, b)),
    div: flat(tf, (a, b) => tf.div(a, b)),
    matmul: (a, b) => tf.matMul(a, b),
    transpose: (x, axes) => tf.transpose(x, axes),
    reshape: (x, shape) => tf.reshape(x, shape),
    slice: (x, axis, from, to) => tf.slice(x, x.shape.map((_: number, i: number) => (i === axis ? from : 0)), x.shape.map((extent: number, i: number) => (i === axis ? to - from : extent))),
    softmax: (x) => tf.softmax(x),
    gelu: (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)),
    relu: (x) => tf.relu(x),
    softplus: (x) => tf.softplus(x),
    exp: (x) => tf.exp(x),
    sqrt: (x) => tf.sqrt(x),
    square: (x) => tf.square(x),
    meanLast: (x) => tf.mean(x, -1, true),
    sumLast: (x) => tf.sum(x, -1, true),
    sumAll: (x) => tf.sum(x),
    conv3d: (x, weight, stride, padding) => {
      return tf.conv3d(padding ? pad(tf, x, padding) : x, tf.transpose(weight, [2, 3, 4, 1, 0]), stride, 'valid');
    },
    tokens: (table) => tf.gather(table, ids),
  };
}
