/** Typed calls from the page to a worker, and events from the worker to the page. One call after another, in order. */

/** What a worker's methods are: name → arguments and result. */
export type Methods<M> = { [K in keyof M]: { args: object; result: unknown } };

interface Call {
  id: number;
  method: string;
  args: object;
}

type Message = { id: number; result: unknown } | { id: number; error: { name: string; message: string } } | { event: unknown };

export type Handlers<M extends Methods<M>> = { [K in keyof M]: (args: M[K]['args']) => Promise<M[K]['result']> | M[K]['result'] };

export interface ServeOptions {
  /** Methods that do not wait for the call before them. */
  atOnce?: readonly string[];
}

/** Answers the page's calls in a worker. Memory of typed arrays in results is handed over, not copied. */
export function serve<M extends Methods<M>, E>(handlers: Handlers<M>, { atOnce = [] }: ServeOptions = {}): (event: E) => void {
  let last: Promise<unknown> = Promise.resolve();
  const answer = async ({ id, method, args }: Call): Promise<void> => {
    try {
      const result = await handlers[method as keyof M](args as M[keyof M]['args']);
      postMessage({ id, result } satisfies Message, { transfer: buffersIn(result) });
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      postMessage({ id, error: { name, message } } satisfies Message);
    }
  };
  globalThis.addEventListener('message', ({ data }: MessageEvent<Call>) => {
    if (atOnce.includes(data.method)) void answer(data);
    else last = last.then(() => answer(data));
  });
  return (event) => postMessage({ event } satisfies Message);
}

function buffersIn(value: unknown): ArrayBuffer[] {
  const parts = value && typeof value === 'object' ? [value, ...Object.values(value)] : [];
  return [...new Set(parts.flatMap((part) => (ArrayBuffer.isView(part) ? [part.buffer as ArrayBuffer] : [])))];
}

/** An error that a worker reported, under its name there. */
export class WorkerError extends Error {
  constructor({ name, message }: { name: string; message: string }) {
    super(message);
    this.name = name;
  }
}

export interface WorkerClientOptions<M, E> {
  onEvent?: (event: E) => void;
  /** The worker was ended or died, with all that it held; the next call starts a new one. */
  onLost?: () => void;
  /** Methods that are given up after so many ms, with the worker: code that never returns cannot be stopped otherwise. */
  most?: Partial<Record<keyof M, number>>;
}

/** The page's end. The worker is started with the first call. */
export class WorkerClient<M extends Methods<M>, E> {
  private readonly url: URL;
  private readonly name: string;
  private readonly options: WorkerClientOptions<M, E>;
  private readonly waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  private worker: Worker | null = null;
  private calls = 0;

  constructor(url: URL, name: string, options: WorkerClientOptions<M, E> = {}) {
    this.url = url;
    this.name = name;
    this.options = options;
  }

  /** Calls are answered one after another; the limit of a method counts from its call. */
  call<K extends keyof M & string>(method: K, args: M[K]['args']): Promise<M[K]['result']> {
    const id = this.calls++;
    const most = this.options.most?.[method];
    return new Promise<M[K]['result']>((resolve, reject) => {
      const late = most === undefined ? undefined : setTimeout(() => this.lose(new Error(`The ${this.name} worker gave no answer for ${Math.round(most / 60_000)} minutes and was ended; the file may be damaged in a way that its checks do not see, or is too large for this computer. Go on with another one.`)), most);
      const done = <T>(settle: (value: T) => void) => (value: T): void => {
        clearTimeout(late);
        settle(value);
      };
      this.waiting.set(id, { resolve: done(resolve) as (value: never) => void, reject: done(reject) });
      (this.worker ??= this.start()).postMessage({ id, method, args } satisfies Call);
    });
  }

  private start(): Worker {
    const worker = new Worker(this.url, { type: 'module', name: this.name });
    worker.addEventListener('message', ({ data }: MessageEvent<Message>) => {
      if ('event' in data) return this.options.onEvent?.(data.event as E);
      const waiting = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if ('error' in data) waiting?.reject(new WorkerError(data.error));
      else waiting?.resolve(data.result as never);
    });
    // It could not be loaded, or died, as of too little memory.
    worker.addEventListener('error', (event) => this.lose(new Error(`The ${this.name} worker was lost (${event.message || 'no message'}); try again, with a smaller scan if there is too little memory`)));
    return worker;
  }

  private lose(error: Error): void {
    this.worker?.terminate();
    this.worker = null;
    const left = [...this.waiting.values()];
    this.waiting.clear();
    this.options.onLost?.();
    for (const { reject } of left) reject(error);
  }
}
