/** TensorFlow.js on WebGPU. Its layouts are channels-last: operands are turned before the clock starts, results after. */
import { provideNavigatorGpu, versionOf } from './dawn.ts';
import type { Peer, Prepared } from './peer.ts';
import { operandsOf, type Problem } from './problems.ts';
import { prepareTrainingStep } from './training-step-tfjs.ts';

type T = any; // TensorFlow.js has no types here: see modules.d.ts

export async function open(adapter?: string): Promise<Peer> {
  await provideNavigatorGpu(adapter);
  const tf = (await import('@tensorflow/tfjs')).default;
  await import('@tensorflow/tfjs-backend-webgpu');
  if (!(await tf.setBackend('webgpu'))) throw new Error('TensorFlow.js found no WebGPU');
  await tf.ready();
  tf.env().set('WEBGPU_CPU_FORWARD', false); // small tensors would be computed in JavaScript
  return { version: versionOf('@tensorflow/tfjs-backend-webgpu'), prepare: async (problem) => (problem.kind === 'trainingStep' ? prepareTrainingStep(tf, () => finish(tf)) : prepare(tf, problem)) };
}

/** Waits until the adapter has done everything, without reading anything back. */
async function finish(tf: T): Promise<void> {
  const backend = tf.backend();
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  backend.submitQueue();
  await backend.device.queue.onSubmittedWorkDone();
}

async function prepare(tf: T, problem: Problem): Promise<Prepared> {
  const names = Object.keys(problem.shapes);
  const operands = operandsOf(problem);
  const inputs: T[] = tf.tidy(() => names.map((name) => toChannelsLast(tf, problem, name, tf.tensor(operands[name]!, problem.shapes[name]!))));
  const compute = (): T[] =>
    tf.tidy(() => {
      if (!problem.backward) return [forward(tf, problem, inputs)];
      const dY = inputs.at(-1);
      return tf.grads((...args: T[]) => forward(tf, problem, args))(inputs.slice(0, -1), dY);
    });
  const outputNames = problem.backward ? names.slice(0, -1) : ['y'];
  await finish(tf);
  return {
    async run() {
      const results = compute();
      await finish(tf);
      tf.dispose(results);
    },
    async outputs() {
      const results = compute();
      const entries: [string, Float32Array][] = [];
      for (const [index, result] of results.entries()) {
        const name = outputNames[index]!;
        const turned = tf.tidy(() => toChannelsFirst(tf, problem, name, result));
        entries.push([name, Float32Array.from((await turned.data()) as Float32Array)]);
        turned.dispose();
      }
      tf.dispose(results);
      return Object.fromEntries(entries);
    },
    dispose: () => tf.dispose(inputs),
  };
}

function toChannelsLast(tf: T, { kind }: Problem, name: string, x: T): T {
  if (kind === 'attention') return x.squeeze([0]);
  if (kind !== 'conv3d' || name === 'bias') return x;
  return tf.transpose(x, name === 'weight' ? [2, 3, 4, 1, 0] : [0, 2, 3, 4, 1]);
}

function toChannelsFirst(tf: T, { kind }: Problem, name: string, x: T): T {
  if (kind !== 'conv3d' || name === 'bias') return x;
  return tf.transpose(x, name === 'weight' ? [4, 3, 0, 1, 2] : [0, 4, 1, 2, 3]);
}

const epsilon = 1e-5;

function forward(tf: T, { kind, shapes }: Problem, [first, second, third]: T[]): T {
  switch (kind) {
    case 'matmul':
      return tf.matMul(first, second);
    case 'conv3d': {
      // Its WebGPU backend cannot broadcast over five axes: the shader does not compile.
      const y = tf.conv3d(first, second, 1, 'same');
      return tf.reshape(tf.add(tf.reshape(y, [-1, y.shape.at(-1)]), third), y.shape);
    }
    case 'attention': {
      const scale = 1 / Math.sqrt(shapes.q!.at(-1)!);
      return tf.matMul(tf.softmax(tf.mul(tf.matMul(first, second, false, true), scale)), third);
    }
    case 'layerNorm': {
      const { mean, variance } = tf.moments(first, -1, true);
      return tf.add(tf.mul(tf.mul(tf.sub(first, mean), tf.rsqrt(tf.add(variance, epsilon))), second), third);
    }
  }
}
