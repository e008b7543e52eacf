/**
 * Entry of a thread that renders phantom volumes (dist/phantom-worker.js) and writes them itself, so that no voxel crosses
 * threads. One job at a time; node-phantom-pool.ts is the other end.
 */
import { parentPort } from 'node:worker_threads';
import { writePhantomVolume } from './node-phantom-file.ts';
import type { PhantomJob, PhantomReply } from './node-phantom-file.ts';

parentPort?.on('message', (job: PhantomJob) => {
  writePhantomVolume(job).then(
    (bytes) => parentPort!.postMessage({ bytes } satisfies PhantomReply),
    (error: unknown) => parentPort!.postMessage({ error: error instanceof Error ? error.message : String(error) } satisfies PhantomReply),
  );
});
