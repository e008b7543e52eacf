/** The worker that reads scans, compresses them and applies a model to them. */
import { initBrowserCodecs } from '../src/platform/browser-codecs.ts';
import type { ScanMethods } from './protocol.ts';
import { serve } from './rpc.ts';
import { openGivenScan, type Scan } from './scan.ts';
import { compressScan } from './scan-compression.ts';
import { Reader } from './scan-reader.ts';

initBrowserCodecs();

let scan: Scan | null = null;
const reader = new Reader();

function opened(): Scan {
  if (!scan) throw new Error('Open a scan first.');
  return scan;
}

serve<ScanMethods, never>({
  open: async ({ scan: given }) => {
    // The old scan's memory is free before the new one needs some.
    scan = null;
    reader.forgetScan();
    const { next, view } = await openGivenScan(given);
    scan = next;
    return view;
  },
  compress: ({ quality, grid }) => compressScan(opened(), quality, grid === 'model' ? reader.grid : null),
  loadCheckpoint: ({ source }) => reader.load(source),
  predict: ({ quality }) => reader.predict(opened(), quality),
  ask: ({ text }) => reader.ask(text),
});
