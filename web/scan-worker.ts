/** The worker that reads scans, compresses them and applies a model to them. */
import { initBrowserCodecs } from '../src/platform/browser-codecs.ts';
import type { ScanMethods } from './protocol.ts';
import { serve } from './rpc.ts';
import { openGivenScan, type Scan } from './scan.ts';
import { compressScan } from './scan-compression.ts';
import { Reader } from './scan-reader.ts';

initBrowserCodecs();

/** Bytes of a scan's voxels that are kept until the next scan is read. */
const mostKept = 2 ** 29;

let scan: Scan | null = null;
const reader = new Reader();

function opened(): Scan {
  if (!scan) throw new Error('Open a scan first.');
  return scan;
}

serve<ScanMethods, never>({
  open: async ({ scan: given }) => {
    // A large scan's memory is free before the next one needs some.
    const closed = scan !== null && scan.volume.hu.byteLength > mostKept;
    if (closed) scan = null;
    try {
      const { next, view } = await openGivenScan(given);
      scan = next;
      reader.forgetScan();
      return view;
    } catch (error) {
      throw closed ? new Error(`${(error as Error).message}. The scan before was closed to make room; open it again`, { cause: error }) : error;
    }
  },
  compress: ({ quality, grid }) => compressScan(opened(), quality, grid === 'model' ? reader.grid : null),
  loadCheckpoint: ({ source }) => reader.load(source),
  predict: ({ quality }) => reader.predict(opened(), quality),
  ask: ({ text }) => reader.ask(text),
});
