/** `ct-lite train --profile`: where the time of a step goes. */
import { nodeFiles } from '../platform/node-files.ts';
import { profileSummary, StepProfiler } from '../train/index.ts';
import type { CohortSession, OpenedEngine } from './cohort-session.ts';

/** @throws where the adapter cannot time its work */
export function requireTimestamps({ engine, line }: OpenedEngine): void {
  if (engine.device.canProfile) return;
  throw new Error(`train: --profile: needs an adapter that offers "timestamp-query" (${line}); leave --profile out, or choose another adapter by --adapter`);
}

/** A profiler that writes its trace to `file` and notes what it found. A trace that cannot be written does not end the run. */
export function profileSteps({ engine }: OpenedEngine, { pool }: CohortSession, file: string, note: (text: string) => void): StepProfiler {
  const { description, device, vendor } = engine.device.adapterInfo;
  const profiler = new StepProfiler({
    engine,
    adapter: description || device || vendor,
    onProfile: async (profile) => {
      pool.onJob = null;
      note(profileSummary(profile));
      try {
        await nodeFiles.writeFile(file, new TextEncoder().encode(profile.trace));
        note(`trace: ${file} (open it in ui.perfetto.dev or chrome://tracing)`);
      } catch (error) {
        note(`the trace could not be written: ${(error as Error).message}; the run goes on`);
      }
    },
  });
  pool.onJob = ({ kind, name, thread, begin, end }) => profiler.add({ track: thread ? `decoding thread ${thread}` : 'decoding', name: kind, begin, end, args: { scan: name } });
  return profiler;
}
