/**
 * Entry of a web worker that decodes scans: sends back the model's input, its memory handed over and not copied. One job at a
 * time; browser-decode-pool.ts is the other end.
 */
import { runDecodeJob } from './browser-decode-job.ts';
import type { BrowserDecodeJob, BrowserDecodeReply } from './browser-decode-job.ts';
import { initBrowserCodecs } from './browser-codecs.ts';

initBrowserCodecs();

globalThis.addEventListener('message', ({ data: job }: MessageEvent<BrowserDecodeJob>) => {
  runDecodeJob(job).then(
    (scan) => postMessage({ scan } satisfies BrowserDecodeReply, { transfer: [scan.values.buffer as ArrayBuffer] }),
    (error: unknown) => postMessage({ error: error instanceof Error ? error.message : String(error) } satisfies BrowserDecodeReply),
  );
});
