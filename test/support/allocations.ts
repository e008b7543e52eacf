/** The largest single allocation of a typed array or buffer while watching, in bytes: a reader that believes a header shows here. */
const NAMES = ['ArrayBuffer', 'Uint8Array', 'Int8Array', 'Uint16Array', 'Int16Array', 'Uint32Array', 'Int32Array', 'Float32Array', 'Float64Array', 'Array'] as const;

type Constructor = new (...args: unknown[]) => object;

export function watchAllocations(): { largest(): number; reset(): void; stop(): void } {
  let largest = 0;
  const holder = globalThis as unknown as Record<string, Constructor>;
  const originals = NAMES.map((name) => [name, holder[name]!] as const);
  for (const [name, original] of originals) {
    const bytes = (original as unknown as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? (name === 'Array' ? 8 : 1);
    holder[name] = new Proxy(original, {
      construct(target, args: unknown[], newTarget) {
        if (typeof args[0] === 'number') largest = Math.max(largest, args[0] * bytes);
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
  }
  return {
    largest: () => largest,
    reset: () => void (largest = 0),
    stop: () => originals.forEach(([name, original]) => (holder[name] = original)),
  };
}
