import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { Tensor, type Engine } from '../autograd/index.ts';

/** A tensor of a module that is not trained: PyTorch's buffer. */
export class Constant {
  readonly tensor: Tensor;

  constructor(tensor: Tensor) {
    this.tensor = tensor;
  }
}

/**
 * A part of a model. Its parameters are its tensor properties and those of its child modules (also in arrays), named by the
 * path of properties: `vision.spatial.0.qkv.weight`.
 */
export abstract class Module {
  /** Every parameter with its path, in the order of construction. */
  namedParameters(prefix = ''): Map<string, Tensor> {
    const found = new Map<string, Tensor>();
    collect(this, prefix, found);
    return found;
  }

  get parameterCount(): number {
    let count = 0;
    for (const tensor of this.namedParameters().values()) count += tensor.size;
    return count;
  }

  /** Turns gradients of all parameters on or off; a frozen model records no tape. */
  requireGrad(on: boolean): this {
    for (const tensor of this.namedParameters().values()) {
      tensor.requiresGrad = on;
      if (!on) tensor.zeroGrad();
    }
    return this;
  }

  dispose(): void {
    for (const tensor of this.namedParameters().values()) {
      tensor.zeroGrad();
      tensor.dispose();
    }
    disposeConstants(this);
  }
}

function collect(value: unknown, path: string, found: Map<string, Tensor>): void {
  if (value instanceof Tensor) found.set(path, value);
  else if (Array.isArray(value)) value.forEach((item, index) => collect(item, `${path}.${index}`, found));
  else if (value instanceof Module) {
    for (const [name, child] of Object.entries(value)) collect(child, path ? `${path}.${name}` : name, found);
  }
}

function disposeConstants(value: unknown): void {
  if (value instanceof Constant) value.tensor.dispose();
  else if (Array.isArray(value)) value.forEach(disposeConstants);
  else if (value instanceof Module) Object.values(value).forEach(disposeConstants);
}

/** Makes the parameters of a model, each from a seeded stream, so that the same seed gives the same model. */
export class Initializer {
  readonly engine: Engine;
  private readonly random: ReturnType<typeof xoroshiro128plus>;

  constructor(engine: Engine, seed: number) {
    this.engine = engine;
    this.random = xoroshiro128plus(seed);
  }

  /** N(0, deviation²), by Box and Muller. */
  normal(shape: readonly number[], deviation: number): Tensor {
    const size = shape.reduce((product, extent) => product * extent, 1);
    const values = new Float32Array(size);
    for (let i = 0; i < size; i += 2) {
      const radius = deviation * Math.sqrt(-2 * Math.log(1 - uniformFloat64(this.random)));
      const angle = 2 * Math.PI * uniformFloat64(this.random);
      values[i] = radius * Math.cos(angle);
      if (i + 1 < size) values[i + 1] = radius * Math.sin(angle);
    }
    return this.parameter(values, shape);
  }

  constant(shape: readonly number[], value: number): Tensor {
    return this.engine.keep(this.engine.full(shape, value, { requiresGrad: true }));
  }

  private parameter(values: Float32Array<ArrayBuffer>, shape: readonly number[]): Tensor {
    return this.engine.keep(this.engine.tensor(values, shape, { requiresGrad: true }));
  }
}

/** Makes parameters of undefined content, for a model whose weights are read from a file. */
export class BlankInitializer extends Initializer {
  /** Everything that was made so far: to dispose where the model cannot be finished. */
  readonly made: Tensor[] = [];

  constructor(engine: Engine) {
    super(engine, 0);
  }

  override normal(shape: readonly number[]): Tensor {
    const tensor = this.engine.keep(this.engine.empty(shape));
    tensor.requiresGrad = true;
    this.made.push(tensor);
    return tensor;
  }

  override constant(shape: readonly number[]): Tensor {
    return this.normal(shape);
  }
}
