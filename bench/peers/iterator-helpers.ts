/** Iterator helpers (ES2025) for Node 20, as far as jax-js uses them. */
type AnyIterator = Iterator<unknown> & { [Symbol.iterator](): AnyIterator };

const helpers: Record<string, (this: AnyIterator, ...args: any[]) => unknown> = {
  *map(f) {
    let index = 0;
    for (const value of this) yield f(value, index++);
  },
  *filter(f) {
    let index = 0;
    for (const value of this) if (f(value, index++)) yield value;
  },
  *flatMap(f) {
    let index = 0;
    for (const value of this) yield* f(value, index++);
  },
  *take(count) {
    let left = count;
    if (left <= 0) return;
    for (const value of this) {
      yield value;
      if (--left === 0) return;
    }
  },
  *drop(count) {
    let left = count;
    for (const value of this) if (left-- <= 0) yield value;
  },
  toArray() {
    return [...this];
  },
  forEach(f) {
    let index = 0;
    for (const value of this) f(value, index++);
  },
  some(f) {
    for (const value of this) if (f(value)) return true;
    return false;
  },
  every(f) {
    for (const value of this) if (!f(value)) return false;
    return true;
  },
  find(f) {
    for (const value of this) if (f(value)) return value;
    return undefined;
  },
  reduce(f, ...initial) {
    return initial.length ? [...this].reduce(f, initial[0]) : [...this].reduce(f);
  },
};

export function addIteratorHelpers(): void {
  const prototype = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())) as object;
  for (const [name, helper] of Object.entries(helpers)) {
    if (!(name in prototype)) Object.defineProperty(prototype, name, { value: helper, writable: true, configurable: true });
  }
}
