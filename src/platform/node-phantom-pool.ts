/**
 * Renders phantom volumes in worker threads, or in this thread where the built worker is not there (tests run from source).
 * The first error stops the whole: it is a full disk or a read-only folder, which the next volume would meet too.
 */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { writePhantomVolume } from './node-phantom-file.ts';
import type { PhantomJob, PhantomReply } from './node-phantom-file.ts';

const WORKER_FILE = fileURLToPath(new URL('./phantom-worker.js', import.meta.url));

export interface PhantomPoolOptions {
  /** Called after each volume. */
  onWritten: (bytes: number) => void;
  /** Begins no further volume once aborted, and rejects with its reason. */
  signal?: AbortSignal;
  /** Threads; default one for each core. */
  workers?: number;
}

export async function writePhantomVolumes(jobs: readonly PhantomJob[], { onWritten, signal, workers = availableParallelism() }: PhantomPoolOptions): Promise<void> {
  const stop = { stopped: false };
  let next = 0;
  const work = async (write: (job: PhantomJob) => Promise<number>): Promise<void> => {
    try {
      while (next < jobs.length && !stop.stopped) {
        signal?.throwIfAborted();
        onWritten(await write(jobs[next++]!));
      }
    } catch (error) {
      stop.stopped = true;
      throw error;
    }
  };
  if (!existsSync(WORKER_FILE)) return work(writePhantomVolume);
  const threads = Array.from({ length: Math.min(workers, jobs.length) }, () => new RenderThread());
  const outcomes = await Promise.allSettled(threads.map((thread) => work((job) => thread.write(job))));
  await Promise.all(threads.map((thread) => thread.end()));
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure) throw failure.reason;
}

/** One thread with at most one job. Its listeners stay for its life. */
class RenderThread {
  private readonly worker = new Worker(WORKER_FILE);
  private job: { path: string; resolve: (bytes: number) => void; reject: (error: Error) => void } | null = null;

  constructor() {
    this.worker.on('message', (reply: PhantomReply) => {
      const { job } = this;
      this.job = null;
      if ('error' in reply) job?.reject(new Error(reply.error));
      else job?.resolve(reply.bytes);
    });
    this.worker.on('error', (error) => this.lose(error.message));
    this.worker.on('exit', (code) => this.lose(`it ended with code ${code}`));
  }

  write(job: PhantomJob): Promise<number> {
    return new Promise((resolve, reject) => {
      this.job = { path: job.path, resolve, reject };
      this.worker.postMessage(job);
    });
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }

  private lose(reason: string): void {
    this.job?.reject(new Error(`phantom: ${this.job.path}: its thread was lost: ${reason}; run again to go on`));
    this.job = null;
  }
}
