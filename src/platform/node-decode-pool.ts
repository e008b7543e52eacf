/**
 * A pool of threads that decode and compress scans ahead of need, so that neither the GPU nor the thread that feeds it waits for
 * gunzip, resampling and JPEG. Where the worker's file is not there (tests run from source), this thread does it, job by job.
 */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { DecodedScan } from '../data/index.ts';
import { MOST_DECODE_MS, undecodedError } from './decode-limit.ts';
import { isDecodeJob, jobName, runPoolJob } from './node-decode-file.ts';
import type { CompressJob, DecodeJob, DecodeReply, DecodeRequest, PoolJob, PoolResult } from './node-decode-file.ts';
import { initNodeCodecs } from './node-dicom-codecs.ts';

export interface DecodePoolOptions {
  /** Threads; default one less than the cores, at least 1. 0 decodes in this thread. */
  workers?: number;
  /** The built worker; default decode-worker.js beside the bundle. */
  workerFile?: string;
  /** A thread that is busy with one scan for longer is ended, and the scan refused, in ms; 10 minutes by default. Not where this thread decodes. */
  mostMs?: number;
}

/** Result of one job of a stream: a bad scan is a value here, so that one does not end the stream. */
export type DecodeOutcome<Job extends DecodeJob = DecodeJob> =
  | { job: Job; scan: DecodedScan; error: null }
  | { job: Job; scan: null; error: Error };

/** A job that is done, for traces. `begin` and `end` in ms of `performance.now()`, as the thread that asked saw them. */
export interface JobTime {
  kind: 'decode' | 'JPEG';
  name: string;
  /** 1, 2, …; 0 for this thread. */
  thread: number;
  begin: number;
  end: number;
}

export interface DecodePool {
  /** Threads in use; 0 where scans are decoded in this thread. */
  readonly workers: number;
  /** Rejects with the scan's name in the message. */
  decode(job: DecodeJob): Promise<DecodedScan>;
  /** Grey levels of a volume after JPEG. */
  compress(job: CompressJob): Promise<Uint8Array<ArrayBuffer>>;
  /** Called after each job, where set. */
  onJob: ((time: JobTime) => void) | null;
  /**
   * Outcomes in the order of the jobs. At most `lookAhead` jobs (default twice the threads) are begun and not yet taken, which
   * bounds the memory; leaving the loop early leaves nothing behind but those.
   */
  stream<Job extends DecodeJob>(jobs: Iterable<Job>, lookAhead?: number): AsyncGenerator<DecodeOutcome<Job>, void, undefined>;
  /** Ends the threads; jobs still waiting are rejected. */
  close(): Promise<void>;
}

interface Waiting {
  job: PoolJob;
  begin: number;
  watchdog?: NodeJS.Timeout;
  resolve: (result: DecodedScan | Uint8Array<ArrayBuffer>) => void;
  reject: (error: Error) => void;
}

type JobWatch = (job: PoolJob, thread: number, begin: number) => void;

const WORKER_LOCATIONS = ['./decode-worker.js', '../decode-worker.js'];

export function openDecodePool(options: DecodePoolOptions = {}): DecodePool {
  const workerFile = options.workerFile ?? findWorkerFile();
  const count = workerFile && existsSync(workerFile) ? (options.workers ?? Math.max(1, availableParallelism() - 1)) : 0;
  const timed: JobWatch = (job, thread, begin) => pool.onJob?.({ kind: isDecodeJob(job) ? 'decode' : 'JPEG', name: jobName(job), thread, begin, end: performance.now() });
  const backend = count > 0 ? new WorkerThreads(workerFile!, count, timed, options.mostMs ?? MOST_DECODE_MS) : new InThisThread(timed);
  const pool: DecodePool = {
    workers: count,
    onJob: null,
    decode: (job) => backend.run(job),
    compress: (job) => backend.run(job),
    stream: (jobs, lookAhead = Math.max(1, 2 * count)) => streamInOrder(backend, jobs, lookAhead),
    close: () => backend.close(),
  };
  return pool;
}

function findWorkerFile(): string | undefined {
  return WORKER_LOCATIONS.map((location) => fileURLToPath(new URL(location, import.meta.url))).find((path) => existsSync(path));
}

async function* streamInOrder<Job extends DecodeJob>(
  backend: { run(job: DecodeJob): Promise<DecodedScan> },
  jobs: Iterable<Job>,
  lookAhead: number,
): AsyncGenerator<DecodeOutcome<Job>, void, undefined> {
  const iterator = jobs[Symbol.iterator]();
  const begun: Promise<DecodeOutcome<Job>>[] = [];
  const begin = (): void => {
    const next = iterator.next();
    if (next.done) return;
    const job = next.value;
    begun.push(
      backend.run(job).then(
        (scan) => ({ job, scan, error: null }),
        (error: Error) => ({ job, scan: null, error }),
      ),
    );
  };
  for (let i = 0; i < Math.max(1, lookAhead); i++) begin();
  for (let next = begun.shift(); next; next = begun.shift()) {
    const outcome = await next;
    begin();
    yield outcome;
  }
}

/** One after another: several at once in one thread would only hold more memory. */
class InThisThread {
  private last: Promise<unknown> = Promise.resolve();
  private closed = false;
  private readonly timed: JobWatch;

  constructor(timed: JobWatch) {
    this.timed = timed;
    initNodeCodecs();
  }

  run<Job extends PoolJob>(job: Job): Promise<PoolResult<Job>> {
    const result = this.last.then(() => {
      if (this.closed) throw closedError(job);
      const begin = performance.now();
      return runPoolJob(job).finally(() => this.timed(job, 0, begin));
    });
    this.last = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.last;
  }
}

class WorkerThreads {
  private readonly workerFile: string;
  private readonly count: number;
  private readonly timed: JobWatch;
  private readonly mostMs: number;
  private readonly numbers = new Map<Worker, number>();
  private readonly idle: Worker[] = [];
  private readonly busy = new Map<Worker, Waiting>();
  private readonly queue: Waiting[] = [];
  private closed = false;
  private requests = 0;

  constructor(workerFile: string, count: number, timed: JobWatch, mostMs: number) {
    this.workerFile = workerFile;
    this.count = count;
    this.timed = timed;
    this.mostMs = mostMs;
  }

  run<Job extends PoolJob>(job: Job): Promise<PoolResult<Job>> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(closedError(job));
      this.queue.push({ job, begin: 0, resolve: resolve as Waiting['resolve'], reject });
      this.assign();
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    const unfinished = [...this.queue.splice(0), ...this.busy.values()];
    const workers = [...this.idle.splice(0), ...this.busy.keys()];
    this.busy.clear();
    for (const { job, watchdog, reject } of unfinished) {
      clearTimeout(watchdog);
      reject(closedError(job));
    }
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  private assign(): void {
    while (this.queue.length > 0) {
      const worker = this.idle.pop() ?? (this.busy.size < this.count ? this.start() : undefined);
      if (!worker) return;
      const waiting = this.queue.shift()!;
      waiting.begin = performance.now();
      this.busy.set(worker, waiting);
      waiting.watchdog = setTimeout(() => this.end(worker), this.mostMs);
      // Only a thread at work keeps the process alive, so that a forgotten close() does not hang the command line.
      worker.ref();
      worker.postMessage({ id: this.requests++, job: waiting.job } satisfies DecodeRequest);
    }
  }

  private start(): Worker {
    const worker = new Worker(this.workerFile);
    this.numbers.set(worker, this.numbers.size + 1);
    worker.on('message', (reply: DecodeReply) => this.finish(worker, reply));
    worker.on('error', (error) => this.lose(worker, error.message));
    worker.on('exit', (code) => this.lose(worker, `it ended with code ${code}`));
    return worker;
  }

  private finish(worker: Worker, reply: DecodeReply): void {
    const waiting = this.busy.get(worker);
    if (!waiting) return;
    clearTimeout(waiting.watchdog);
    this.busy.delete(worker);
    worker.unref();
    this.idle.push(worker);
    this.timed(waiting.job, this.numbers.get(worker)!, waiting.begin);
    if ('error' in reply) waiting.reject(new Error(reply.error));
    else waiting.resolve(reply.result);
    this.assign();
  }

  /** A thread that dies (out of memory) takes its own scan with it and no other; the next job starts a new thread. */
  private lose(worker: Worker, reason: string): void {
    const place = this.idle.indexOf(worker);
    if (place >= 0) this.idle.splice(place, 1);
    this.fail(worker, (job) => new Error(`decodeScan: ${jobName(job)}: the decoding thread was lost (${reason}); use fewer workers if memory is short`));
  }

  /** A decoder that never returns is ended with its thread. */
  private end(worker: Worker): void {
    this.fail(worker, (job) => undecodedError(jobName(job), this.mostMs));
    void worker.terminate();
  }

  private fail(worker: Worker, errorOf: (job: PoolJob) => Error): void {
    const waiting = this.busy.get(worker);
    clearTimeout(waiting?.watchdog);
    this.busy.delete(worker);
    waiting?.reject(errorOf(waiting.job));
    if (!this.closed) this.assign();
  }
}

function closedError(job: PoolJob): Error {
  return new Error(`decodeScan: ${jobName(job)}: the decoding pool is closed`);
}
