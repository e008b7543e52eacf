/**
 * Entry of a decoding thread (dist/decode-worker.js): reads a scan by its path and sends back the model's input, its memory
 * handed over and not copied. One job at a time; node-decode-pool.ts is the other end.
 */
import { parentPort } from 'node:worker_threads';
import { decodeFile } from './node-decode-file.ts';
import type { DecodeReply, DecodeRequest } from './node-decode-file.ts';
import { initNodeCodecs } from './node-dicom-codecs.ts';

initNodeCodecs();

parentPort?.on('message', (request: DecodeRequest) => {
  decodeFile(request.job).then(
    (scan) => {
      const reply: DecodeReply = { id: request.id, scan };
      parentPort!.postMessage(reply, [scan.values.buffer as ArrayBuffer]);
    },
    (error: unknown) => {
      const reply: DecodeReply = { id: request.id, error: error instanceof Error ? error.message : String(error) };
      parentPort!.postMessage(reply);
    },
  );
});
