/**
 * Entry of a decoding thread (dist/decode-worker.js): reads a scan by its path, or compresses a volume, and sends back what it
 * made, its memory handed over and not copied. One job at a time; node-decode-pool.ts is the other end.
 */
import { parentPort } from 'node:worker_threads';
import { runPoolJob } from './node-decode-file.ts';
import type { DecodeReply, DecodeRequest } from './node-decode-file.ts';
import { initNodeCodecs } from './node-dicom-codecs.ts';

initNodeCodecs();

parentPort?.on('message', (request: DecodeRequest) => {
  runPoolJob(request.job).then(
    (result) => {
      const reply: DecodeReply = { id: request.id, result };
      const arrays = result instanceof Uint8Array ? [result] : [result.values, ...(result.grey ? [result.grey] : [])];
      parentPort!.postMessage(reply, arrays.map(({ buffer }) => buffer as ArrayBuffer));
    },
    (error: unknown) => {
      const reply: DecodeReply = { id: request.id, error: error instanceof Error ? error.message : String(error) };
      parentPort!.postMessage(reply);
    },
  );
});
