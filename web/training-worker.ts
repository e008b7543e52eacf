/** The worker that trains. */
import { zipSync } from 'fflate';
import { openPrivateFiles } from '../src/platform/browser-files.ts';
import { initBrowserCodecs } from '../src/platform/browser-codecs.ts';
import type { TrainingEvent, TrainingMethods } from './protocol.ts';
import { serve } from './rpc.ts';
import { checkpointPath, EXPORTED_FILES, holdRun, listRuns, REPORT_FILE, runFolder } from './run-store.ts';
import { TrainingRuns } from './training-runs.ts';

initBrowserCodecs();

/** Made here: the page would stand still while hundreds of megabytes are copied. Not the file itself, which the next checkpoint replaces. */
async function blobOf(path: string, type: string): Promise<Blob> {
  return new Blob([(await (await openPrivateFiles()).readFile(path)) as Uint8Array<ArrayBuffer>], { type });
}

const runs = new TrainingRuns((event) => emit(event));
const emit = serve<TrainingMethods, TrainingEvent>(
  {
    begin: (args) => runs.begin(args),
    resume: ({ id }) => runs.resume(id),
    end: ({ wish }) => (runs.ask(wish), null),
    runs: async () => listRuns(await openPrivateFiles()),
    remove: ({ id }) => holdRun(id, async () => (await (await openPrivateFiles()).remove(runFolder(id)), null)),
    exportRun: async ({ id }) => {
      const files = await openPrivateFiles();
      const entries: Record<string, Uint8Array> = {};
      for (const name of EXPORTED_FILES) if (await files.exists(`${runFolder(id)}/${name}`)) entries[name] = await files.readFile(`${runFolder(id)}/${name}`);
      return new Blob([zipSync(entries, { level: 0 })], { type: 'application/zip' });
    },
    checkpoint: ({ id }) => blobOf(checkpointPath(id), 'application/octet-stream'),
    report: ({ id }) => blobOf(`${runFolder(id)}/${REPORT_FILE}`, 'text/html'),
  },
  { atOnce: ['end', 'runs', 'exportRun', 'checkpoint', 'report'] },
);
