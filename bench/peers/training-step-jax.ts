import type { Prepared } from './peer.ts';
import { comparedGradients, optimizer, parameterShapes, parameterValues, step, stepData, stepLoss, volumeShape, type MathLibrary } from './training-step.ts';

type A = any; // jax-js has no types here: see modules.d.ts
type Arrays = Record<string, A>;

/** Loss, gradients and AdamW in one `jit`. Its arrays are consumed by use, hence the `ref`s. */
export async function prepareTrainingStep(jax: any): Promise<Prepared> {
  const { numpy: np } = jax;
  const { volumes, ids, signs } = stepData();
  const oneHot = new Float32Array(ids.length * step.vocabulary);
  ids.forEach((id, row) => (oneHot[row * step.vocabulary + id] = 1));
  const data: A[] = [np.array(volumes).reshape(volumeShape), np.array(oneHot).reshape([ids.length, step.vocabulary]), np.array(signs).reshape([step.batch, step.texts])];
  const shapes = parameterShapes();
  const zeros = (): Arrays => Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, np.zeros(shape)]));
  let state: [Arrays, Arrays, Arrays] = [Object.fromEntries(Object.entries(parameterValues()).map(([name, values]) => [name, np.array(values).reshape(shapes[name]!)])), zeros(), zeros()];
  const loss = (parameters: Arrays, x: A, hot: A, sign: A): A => stepLoss(library(jax, hot), parameters, x, sign);
  const update = jax.jit((parameters: Arrays, moments: Arrays, squares: Arrays, x: A, hot: A, sign: A) => {
    const [value, grads] = jax.valueAndGrad(loss)(parameters, x, hot, sign) as [A, Arrays];
    const compared = Object.fromEntries(comparedGradients.map((name) => [name, grads[name].ref]));
    return [adamW(np, shapes, parameters, moments, squares, grads), value, compared];
  });
  // One function for both, since compiling it takes minutes on software adapters.
  const advance = async (): Promise<{ value: A; compared: Arrays }> => {
    const [next, value, compared] = update(...state, ...refs());
    state = next;
    await jax.blockUntilReady([value, ...Object.values(compared), ...state.flatMap((part: Arrays) => Object.values(part))]);
    return { value, compared };
  };
  const refs = (): A[] => data.map((array) => array.ref);
  await jax.blockUntilReady([...data, ...state.flatMap((part) => Object.values(part))]);
  return {
    async run() {
      const { value, compared } = await advance();
      for (const array of [value, ...Object.values(compared)]) array.dispose();
    },
    async outputs() {
      const { value, compared } = await advance();
      const named = await Promise.all(Object.entries({ loss: value, ...compared }).map(async ([name, array]) => [name, Float32Array.from(await array.data())] as const));
      return Object.fromEntries(named);
    },
    dispose() {
      for (const array of [...data, ...state.flatMap((part) => Object.values(part))]) array.dispose();
    },
  };
}

/** One step from zero moments, as every step of the comparison: the corrections are those of step 1. */
function adamW(np: any, shapes: Record<string, number[]>, parameters: Arrays, moments: Arrays, squares: Arrays, grads: Arrays): [Arrays, Arrays, Arrays] {
  const { learningRate, betas: [beta1, beta2], eps, weightDecay, clip } = optimizer;
  const names = Object.keys(shapes);
  const total = names.map((name) => np.square(grads[name].ref).sum()).reduce((sum: A, each: A) => sum.add(each));
  const scale = np.minimum(np.reciprocal(np.sqrt(total).add(1e-6)).mul(clip), 1);
  const next: [Arrays, Arrays, Arrays] = [{}, {}, {}];
  for (const name of names) {
    const g = grads[name].mul(scale.ref);
    const moment = moments[name].mul(beta1).add(g.ref.mul(1 - beta1));
    const square = squares[name].mul(beta2).add(np.square(g).mul(1 - beta2));
    const change = moment.ref.mul(1 / (1 - beta1)).div(np.sqrt(square.ref.mul(1 / (1 - beta2))).add(eps));
    const decay = shapes[name]!.length < 2 ? 0 : weightDecay;
    next[0][name] = parameters[name].mul(1 - learningRate * decay).sub(change.mul(learningRate));
    next[1][name] = moment;
    next[2][name] = square;
  }
  scale.dispose();
  return next;
}

function library({ numpy: np, nn, lax }: any, oneHot: A): MathLibrary<A> {
  const operand = (b: A): A => (typeof b === 'number' ? b : b.ref);
  return {
    add: (a, b) => a.ref.add(operand(b)),
    sub: (a, b) => a.ref.sub(operand(b)),
    mul: (a, b) => a.ref.mul(operand(b)),
    div: (a, b) => a.ref.div(b.ref),
    matmul: (a, b) => np.matmul(a.ref, b.ref),
    transpose: (x, axes) => np.transpose(x.ref, axes),
    reshape: (x, shape) => x.ref.reshape(shape),
    slice: (x, axis, from, to) => x.ref.slice(...new Array(axis).fill([]), [from, to]),
    softmax: (x) => nn.softmax(x.ref, -1),
    gelu: (x) => nn.gelu(x.ref, { approximate: false }),
    relu: (x) => nn.relu(x.ref),
    softplus: (x) => nn.softplus(x.ref),
    exp: (x) => np.exp(x.ref),
    sqrt: (x) => np.sqrt(x.ref),
    square: (x) => np.square(x.ref),
    meanLast: (x) => np.mean(x.ref, -1, { keepdims: true }),
    sumLast: (x) => np.sum(x.ref, -1, { keepdims: true }),
    sumAll: (x) => np.sum(x.ref),
    conv3d: (x, weight, stride, padding) => {
      const y = lax.convGeneralDilated(np.transpose(x.ref, [0, 4, 1, 2, 3]), weight.ref, stride, [[padding, padding], [padding, padding], [padding, padding]]);
      return np.transpose(y, [0, 2, 3, 4, 1]);
    },
    tokens: (table) => np.matmul(oneHot.ref, table.ref),
  };
}
