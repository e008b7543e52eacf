/** ct-lite itself, as its users call it. */
import { noGrad, ops, type Engine, type Tensor } from '../../src/autograd/index.ts';
import { packageVersion } from '../../src/cli/versions.ts';
import { openEngine } from '../../src/index.ts';
import type { Peer, Prepared } from './peer.ts';
import { operandsOf, type Problem } from './problems.ts';
import { prepareTrainingStep } from './training-step-ours.ts';

export async function open(adapter?: string): Promise<Peer> {
  const engine = await openEngine(adapter === undefined ? {} : { adapter });
  return { version: `ct-lite ${packageVersion('ct-lite')}`, prepare: async (problem) => (problem.kind === 'trainingStep' ? prepareTrainingStep(engine) : prepare(engine, problem)) };
}

function prepare(engine: Engine, problem: Problem): Prepared {
  const { shapes, backward } = problem;
  const tensors = Object.fromEntries(
    Object.entries(operandsOf(problem)).map(([name, data]) => [name, engine.tensor(data, shapes[name]!, { requiresGrad: backward && name !== 'dY' })]),
  );
  const leaves = Object.entries(tensors).filter(([, tensor]) => tensor.requiresGrad);
  const compute = (): Promise<void> =>
    engine.scope(async () => {
      for (const [, leaf] of leaves) leaf.zeroGrad();
      if (backward) await forward(problem, tensors).backward(tensors.dY);
      else noGrad(() => forward(problem, tensors));
      await engine.sync();
    });
  return {
    run: compute,
    async outputs() {
      if (!backward) return { y: (await engine.scope(() => noGrad(() => forward(problem, tensors))).toArray()) as Float32Array };
      await compute();
      return Object.fromEntries(await Promise.all(leaves.map(async ([name, leaf]) => [name, (await leaf.grad!.toArray()) as Float32Array] as const)));
    },
    dispose() {
      for (const tensor of Object.values(tensors)) {
        tensor.zeroGrad();
        tensor.dispose();
      }
    },
  };
}

function forward({ kind }: Problem, t: Record<string, Tensor>): Tensor {
  switch (kind) {
    case 'matmul':
      return ops.matmul(t.a!, t.b!);
    case 'conv3d':
      return ops.conv3d(t.x!, t.weight!, t.bias!, { padding: 1 });
    case 'attention':
      return ops.scaledDotProductAttention(t.q!, t.k!, t.v!);
    case 'layerNorm':
      return ops.layerNorm(t.x!, t.weight!, t.bias!);
    case 'trainingStep':
      throw new Error('has a file of its own');
  }
}
