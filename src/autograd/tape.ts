import { check, EngineError, formatShape, sameShape } from '../engine/index.ts';
import { accumulate } from './accumulate.ts';
import { isGradEnabled, noGrad } from './grad-mode.ts';
import type { Tensor } from './tensor.ts';

export type Saved = Record<string, Tensor | null>;

/** One recorded op: whose gradients it feeds, what it saved, and its rule. */
export interface TapeNode {
  readonly op: string;
  /** Order of recording; backward runs from high to low. */
  readonly order: number;
  readonly inputs: readonly (Tensor | null)[];
  saved: Saved | null;
  readonly rule: (dY: Tensor, saved: Saved, needs: readonly boolean[]) => readonly (Tensor | null)[];
}

let nextOrder = 0;

/**
 * Puts `output` on the tape when gradients are enabled and an input needs one.
 *
 * `saved` names what the rule needs of the forward pass (memory is held until the node's backward has run); `rule` gets the
 * gradient of the output, what was saved and which inputs need a gradient, and returns one gradient or null an input.
 */
export function record<S extends Saved>(
  output: Tensor,
  op: string,
  inputs: readonly (Tensor | null)[],
  saved: S,
  rule: (dY: Tensor, saved: S, needs: readonly boolean[]) => readonly (Tensor | null)[],
): Tensor {
  if (!isGradEnabled() || !inputs.some((input) => input?.requiresGrad)) return output;
  const { engine } = output;
  const held = engine.untracked(() => Object.fromEntries(Object.entries(saved).map(([name, tensor]) => [name, tensor && tensor.alias()])));
  // Inputs are held without their memory: only their identity, history and `grad` matter to the tape.
  const node: TapeNode = { op, order: nextOrder++, inputs, saved: held, rule: rule as TapeNode['rule'] };
  output.node = node;
  output.requiresGrad = true;
  engine.trackNode(node);
  return output;
}

/** Frees what a node saved. Its gradient can then no longer be computed. */
export function releaseNode(node: TapeNode): void {
  if (!node.saved) return;
  for (const tensor of Object.values(node.saved)) tensor?.dispose();
  node.saved = null;
}

/** The nodes that `roots` depend on. */
export function reachableNodes(roots: Iterable<Tensor>): Set<TapeNode> {
  const found = new Set<TapeNode>();
  const open: TapeNode[] = [];
  for (const { node } of roots) if (node) open.push(node);
  while (open.length) {
    const node = open.pop()!;
    if (found.has(node)) continue;
    found.add(node);
    for (const input of node.inputs) if (input?.node) open.push(input.node);
  }
  return found;
}

/** Reverse-mode differentiation from `output`; see Tensor.backward. Encodes the work, does not wait for it. */
export function runBackward(output: Tensor, dY?: Tensor): void {
  check(output.requiresGrad, 'backward', () => 'the tensor does not depend on any tensor with requiresGrad');
  if (dY) check(dY.dtype === output.dtype, 'backward', () => `the gradient must have the type of the tensor, ${output.dtype}, got ${dY.dtype}`);
  if (dY) check(sameShape(dY.shape, output.shape), 'backward', () => `the gradient has shape ${formatShape(dY.shape)}, the tensor ${formatShape(output.shape)}`);
  else check(output.size === 1, 'backward', () => `without a gradient takes a scalar, got ${formatShape(output.shape)}`);
  const { engine } = output;
  noGrad(() =>
    engine.scope(() => {
      const seed = dY ? dY.alias() : engine.full(output.shape, 1, { dtype: output.dtype === 'f16' ? 'f16' : 'f32' });
      if (!output.node) return deposit(output, seed);
      const gradients = new Map<TapeNode, Tensor>([[output.node, seed]]);
      const nodes = [...reachableNodes([output])].sort((a, b) => b.order - a.order);
      for (const node of nodes) {
        const gradient = gradients.get(node);
        gradients.delete(node);
        if (gradient) engine.inOp(`${node.op}.backward`, () => step(node, gradient, gradients));
        releaseNode(node);
        gradient?.dispose();
      }
    }),
  );
}

function step(node: TapeNode, gradient: Tensor, gradients: Map<TapeNode, Tensor>): void {
  const { saved, inputs, op } = node;
  if (!saved) throw new EngineError('backward', `the history of "${op}" was already used or its scope has ended; compute the forward pass again`);
  const needs = inputs.map((input) => input?.requiresGrad ?? false);
  const results = node.rule(gradient, saved, needs);
  inputs.forEach((input, index) => {
    const result = results[index];
    if (!input || !needs[index] || !result) return;
    check(sameShape(result.shape, input.shape), `${op}.backward`, () => `gradient ${index} has shape ${formatShape(result.shape)}, its input ${formatShape(input.shape)}`);
    check(result.dtype === input.dtype, `${op}.backward`, () => `gradient ${index} is ${result.dtype}, its input ${input.dtype}`);
    if (!input.node) return deposit(input, result);
    const sum = accumulate(gradients.get(input.node) ?? null, result);
    input.engine.moveToOuterScope(sum);
    gradients.set(input.node, sum);
  });
}

function deposit(leaf: Tensor, gradient: Tensor): void {
  const sum = accumulate(leaf.grad, gradient);
  leaf.engine.keep(sum);
  leaf.grad = sum;
}
