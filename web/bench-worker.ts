/** The worker that runs the benches of bench/ on the browser's adapter. */
import { cases } from '../bench/cases.ts';
import { measureCeiling } from '../bench/ceiling.ts';
import { runCase } from '../bench/harness.ts';
import { openBrowserEngine } from './open-engine.ts';
import type { BenchEvent, BenchMethods } from './protocol.ts';
import { serve } from './rpc.ts';

/** What a case should take at most. */
const caseSeconds = 120;

let isStopped = false;

const emit = serve<BenchMethods, BenchEvent>(
  {
    run: async ({ quick }) => {
      isStopped = false;
      const { engine, line } = await openBrowserEngine();
      try {
        const ceiling = await measureCeiling(engine);
        emit({ kind: 'begun', adapter: line, ceiling, total: cases.length });
        for (const [at, bench] of cases.entries()) {
          if (isStopped) break;
          emit({ kind: 'outcome', outcome: await runCase(engine, bench, ceiling, { quick, all: false, seconds: caseSeconds }), done: at + 1, total: cases.length });
        }
        return { stopped: isStopped };
      } finally {
        engine.destroy();
      }
    },
    stop: () => ((isStopped = true), null),
  },
  { atOnce: ['stop'] },
);
