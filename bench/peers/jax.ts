/** jax-js on WebGPU: everything under `jit`, so that its own fusion counts. */
import type { Peer, Prepared } from './peer.ts';
import { provideNavigatorGpu } from './dawn.ts';
import { addIteratorHelpers } from './iterator-helpers.ts';
import { operandsOf, type Problem } from './problems.ts';
import { prepareTrainingStep } from './training-step-jax.ts';

type Arrays = any[]; // jax-js has no types here: see modules.d.ts

export async function open(adapter?: string): Promise<Peer> {
  addIteratorHelpers();
  await provideNavigatorGpu(adapter);
  const jax = await import('@jax-js/jax');
  const found = await jax.init('webgpu');
  if (!found.includes('webgpu')) throw new Error('jax-js found no WebGPU');
  jax.defaultDevice('webgpu');
  return { version: '@jax-js/jax 0.1.25', prepare: (problem) => (problem.kind === 'trainingStep' ? prepareTrainingStep(jax) : prepare(jax, problem)) };
}

async function prepare(jax: any, problem: Problem): Promise<Prepared> {
  const { numpy: np } = jax;
  const names = Object.keys(problem.shapes);
  const operands = operandsOf(problem);
  const inputs: Arrays = names.map((name) => np.array(operands[name]!).reshape(shapeFor(problem, name)));
  await jax.blockUntilReady(inputs);
  const f = jax.jit((...args: Arrays) => forward(jax, problem, args));
  const wanted = problem.backward
    ? jax.jit((...args: Arrays) => {
        const dY = args.pop();
        const [y, pullBack] = jax.vjp((...primals: Arrays) => forward(jax, problem, primals), args);
        y.dispose();
        const gradients = pullBack(dY);
        pullBack.dispose?.();
        return gradients;
      })
    : f;
  const compute = async (): Promise<Arrays> => {
    const result = wanted(...inputs.map((array) => array.ref));
    const list: Arrays = problem.backward ? result : [result];
    await jax.blockUntilReady(list);
    return list;
  };
  const outputNames = problem.backward ? names.slice(0, -1) : ['y'];
  return {
    async run() {
      for (const array of await compute()) array.dispose();
    },
    async outputs() {
      const list = await compute();
      return Object.fromEntries(await Promise.all(list.map(async (array, index) => [outputNames[index]!, Float32Array.from(await array.data())])));
    },
    dispose() {
      for (const array of inputs) array.dispose();
      wanted.dispose?.();
    },
  };
}

/** jax-js's attention takes [B, T, H, D]; with one pair a batch item it reads our [1, H, T, D] as [H, T, 1, D]. */
function shapeFor({ kind, shapes }: Problem, name: string): number[] {
  const shape = shapes[name]!;
  return kind === 'attention' ? [shape[1]!, shape[2]!, 1, shape[3]!] : shape;
}

function forward({ numpy: np, nn, lax }: any, { kind }: Problem, [first, second, third]: Arrays): any {
  switch (kind) {
    case 'matmul':
      return np.matmul(first, second);
    case 'conv3d':
      return lax.convGeneralDilated(first, second, [1, 1, 1], [[1, 1], [1, 1], [1, 1]]).add(third.reshape([1, -1, 1, 1, 1]));
    case 'attention':
      return nn.dotProductAttention(first, second, third);
    case 'layerNorm':
      return nn.standardize(first, -1).mul(second).add(third);
  }
}
