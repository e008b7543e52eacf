/**
 * ONNX Runtime's WebGPU execution provider, forward only: it differentiates nothing. It brings its own Dawn, which takes the
 * adapter from VK_DRIVER_FILES. Its runs take and give arrays in memory: `run` counts that copying, as its users have to.
 */
import { requestNodeAdapter } from '../../src/platform/node-adapter.ts';
import { versionOf } from './dawn.ts';
import { onnxModel, type OnnxNode } from './onnx-model.ts';
import type { Peer, Prepared } from './peer.ts';
import { operandsOf, type Problem } from './problems.ts';

export async function open(adapter?: string): Promise<Peer> {
  await requestNodeAdapter(adapter === undefined ? {} : { adapter }); // sets VK_DRIVER_FILES, or loads SwiftShader
  const ort = (await import('onnxruntime-node')).default;
  return { version: versionOf('onnxruntime-node'), prepare: (problem) => prepare(ort, problem) };
}

async function prepare(ort: any, problem: Problem): Promise<Prepared | null> {
  if (problem.backward) return null;
  const { kind, shapes } = problem;
  const model = onnxModel({ inputs: shapes, outputs: { y: outputShape(problem) }, nodes: nodesOf(problem), ...(shapes.q && { constants: { scale: { shape: [], values: [1 / Math.sqrt(shapes.q.at(-1)!)] } } }) });
  const session = await ort.InferenceSession.create(model, { executionProviders: ['webgpu'], graphOptimizationLevel: kind === 'attention' ? 'basic' : 'all' });
  const operands = operandsOf(problem);
  const feeds = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, new ort.Tensor('float32', operands[name]!, shape)]));
  return {
    run: async () => void (await session.run(feeds)),
    outputs: async () => ({ y: Float32Array.from((await session.run(feeds)).y.data as Float32Array) }),
    dispose: () => void session.release(),
  };
}

function outputShape({ kind, shapes }: Problem): number[] {
  if (kind === 'conv3d') return [1, shapes.weight![0]!, ...shapes.x!.slice(2)];
  return (shapes.a ?? shapes.q ?? shapes.x)!;
}

function nodesOf({ kind }: Problem): OnnxNode[] {
  switch (kind) {
    case 'matmul':
      return [{ op: 'MatMul', inputs: ['a', 'b'], outputs: ['y'] }];
    case 'conv3d':
      return [{ op: 'Conv', inputs: ['x', 'weight', 'bias'], outputs: ['y'], attributes: { kernel_shape: [3, 3, 3], pads: [1, 1, 1, 1, 1, 1], strides: [1, 1, 1], dilations: [1, 1, 1], group: 1 } }];
    case 'attention':
      // Unfused: the fused node was fast and wrong on software adapters.
      return [
        { op: 'Transpose', inputs: ['k'], outputs: ['kT'], attributes: { perm: [0, 1, 3, 2] } },
        { op: 'MatMul', inputs: ['q', 'kT'], outputs: ['raw'] },
        { op: 'Mul', inputs: ['raw', 'scale'], outputs: ['scores'] },
        { op: 'Softmax', inputs: ['scores'], outputs: ['p'], attributes: { axis: 3 } },
        { op: 'MatMul', inputs: ['p', 'v'], outputs: ['y'] },
      ];
    case 'trainingStep':
      return [];
    case 'layerNorm':
      return [{ op: 'LayerNormalization', inputs: ['x', 'weight', 'bias'], outputs: ['y'], attributes: { axis: 1, epsilon: 1e-5 }, floats: ['epsilon'] }];
  }
}
