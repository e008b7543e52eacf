/** A pool of web workers that decode scans (and draw phantoms), so that neither the page nor the GPU waits for them. */
import { MOST_DECODE_MS, undecodedError } from './decode-limit.ts';
import type { BrowserDecodedScan, BrowserDecodeJob, BrowserDecodeReply } from './browser-decode-job.ts';

export interface BrowserDecodePool {
  readonly workers: number;
  /** Rejects with the scan's name in the message. */
  decode(job: BrowserDecodeJob): Promise<BrowserDecodedScan>;
  /** Ends the workers; jobs still waiting are rejected. */
  close(): void;
}

export interface BrowserDecodePoolOptions {
  /** Default one less than the cores, at least 1 and at most 8. Each starts with its first job. */
  workers?: number;
  /** A worker that is busy with one scan for longer is ended, and the scan refused, in ms; 10 minutes by default. */
  mostMs?: number;
}

interface Waiting {
  job: BrowserDecodeJob;
  watchdog?: ReturnType<typeof setTimeout>;
  resolve: (scan: BrowserDecodedScan) => void;
  reject: (error: Error) => void;
}

const coresLessOne = (): number => Math.max(1, Math.min(8, (navigator.hardwareConcurrency ?? 2) - 1));

/** @param workerUrl the built decode-worker.js. */
export function openBrowserDecodePool(workerUrl: URL, { workers = coresLessOne(), mostMs = MOST_DECODE_MS }: BrowserDecodePoolOptions = {}): BrowserDecodePool {
  const idle: Worker[] = [];
  const busy = new Map<Worker, Waiting>();
  const queue: Waiting[] = [];
  let closed = false;

  const release = (worker: Worker): Waiting | undefined => {
    const waiting = busy.get(worker);
    clearTimeout(waiting?.watchdog);
    busy.delete(worker);
    return waiting;
  };

  /** Ends a worker for good; the next job starts another. */
  const lose = (worker: Worker, errorOf: (job: BrowserDecodeJob) => Error): void => {
    const waiting = release(worker);
    worker.terminate();
    waiting?.reject(errorOf(waiting.job));
    assign();
  };

  const start = (): Worker => {
    const worker = new Worker(workerUrl, { type: 'module', name: 'decode' });
    worker.addEventListener('message', ({ data }: MessageEvent<BrowserDecodeReply>) => {
      const waiting = release(worker);
      idle.push(worker);
      if ('error' in data) waiting?.reject(new Error(data.error));
      else waiting?.resolve(data.scan);
      assign();
    });
    // It could not be started, or ran out of memory in the middle of a job: it is not used again.
    worker.addEventListener('error', (event) => lose(worker, ({ name }) => new Error(`decodeScan: ${name}: its worker was lost (${event.message || 'no message'}); the scan may be too large for the memory of this browser`)));
    return worker;
  };

  const assign = (): void => {
    while (queue.length > 0 && (idle.length > 0 || busy.size < workers)) {
      const worker = idle.pop() ?? start();
      const waiting = queue.shift()!;
      busy.set(worker, waiting);
      waiting.watchdog = setTimeout(() => lose(worker, ({ name }) => undecodedError(name, mostMs)), mostMs);
      worker.postMessage(waiting.job);
    }
  };

  return {
    workers,
    decode: (job) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new Error(`decodeScan: ${job.name}: the decoding was closed`));
        queue.push({ job, resolve, reject });
        assign();
      }),
    close() {
      closed = true;
      for (const { job, reject } of [...queue.splice(0), ...busy.values()]) reject(new Error(`decodeScan: ${job.name}: the decoding was closed`));
      for (const worker of [...idle.splice(0), ...busy.keys()]) {
        release(worker);
        worker.terminate();
      }
    },
  };
}
