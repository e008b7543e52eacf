import { check } from '../engine/index.ts';
import { isGradEnabled, noGrad, withGradMode } from './grad-mode.ts';
import { record, runBackward } from './tape.ts';
import type { Tensor } from './tensor.ts';

/**
 * Gradient checkpointing (Chen et al. 2016): runs `body(...inputs)` keeping only the inputs, and runs it once more in the
 * backward pass to get its intermediates. Tensors that `body` closes over (weights) receive their gradients too. `body` must be
 * a pure function: the second run has to give the same values.
 */
export function checkpoint(body: (...inputs: Tensor[]) => Tensor, ...inputs: Tensor[]): Tensor {
  check(inputs.length > 0, 'checkpoint', () => 'takes at least one input tensor');
  const { engine } = inputs[0]!;
  return engine.inOp('checkpoint', () => {
    const output = noGrad(() => engine.scope(() => body(...inputs)));
    if (!isGradEnabled()) return output;
    const fresh = inputs.includes(output) ? output.alias() : output;
    const saved = Object.fromEntries(inputs.map((input, index) => [index, input]));
    // A leaf that never receives a gradient: puts the op on the tape even where only weights inside `body` need one.
    const anchor = engine.zeros([1], { requiresGrad: true });
    return record(fresh, 'checkpoint', [...inputs, anchor], saved, (dY, held, needs) => {
      const copies = inputs.map((_, index) => {
        const copy = held[index]!.alias();
        copy.requiresGrad = needs[index]!;
        return copy;
      });
      // In a scope of its own: what the second run makes and the tape does not save goes at once.
      const again = withGradMode(true, () => engine.scope(() => body(...copies)));
      if (again.requiresGrad) runBackward(again, dY);
      for (const { grad } of copies) if (grad) engine.track(grad); // `backward` keeps gradients; these are intermediates
      return [...copies.map((copy) => copy.grad), null];
    });
  });
}
