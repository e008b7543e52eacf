/** Runs cases in a process of its own, asked by messages: a case that never ends can be ended from outside, and a crash takes no other along. */
import { Engine } from '../src/autograd/index.ts';
import { Device } from '../src/engine/index.ts';
import { describeAdapter, requestNodeAdapter } from '../src/platform/node-adapter.ts';
import { cases } from './cases.ts';
import { measureCeiling, type Ceiling } from './ceiling.ts';
import { whyNotRun, runCase, type HarnessOptions, type Outcome } from './harness.ts';
import { tuneCase, type TunedOutcome } from './tuned.ts';

export type CaseRequest =
  /** The ceiling is measured where none is known. */
  | { kind: 'open'; adapter?: string; ceiling?: Ceiling }
  /** `at` in `cases`. */
  | { kind: 'run'; at: number; options: HarnessOptions }
  | { kind: 'tune'; at: number; options: HarnessOptions };

export type CaseReply =
  | { kind: 'ready'; adapter: string; line: string; isSoftware: boolean; ceiling: Ceiling }
  | { kind: 'outcome'; outcome: Outcome }
  | { kind: 'tuned'; outcome: TunedOutcome | Outcome }
  | { kind: 'failed'; message: string };

interface Open {
  engine: Engine;
  ceiling: Ceiling;
}

let opened: Open | null = null;

async function open(adapter?: string, known?: Ceiling): Promise<CaseReply> {
  const chosen = await requestNodeAdapter(adapter === undefined ? {} : { adapter });
  const engine = new Engine(await Device.open(chosen.adapter, { collectGarbage: chosen.collectGarbage }));
  opened = { engine, ceiling: known ?? (await measureCeiling(engine)) };
  return { kind: 'ready', adapter: chosen.name, line: describeAdapter(chosen), isSoftware: engine.device.isSoftware, ceiling: opened.ceiling };
}

async function tune({ engine, ceiling }: Open, at: number, options: HarnessOptions): Promise<TunedOutcome | Outcome> {
  return whyNotRun(engine, cases[at]!, ceiling, options) ?? tuneCase(engine, cases[at]!);
}

async function answer(request: CaseRequest): Promise<CaseReply> {
  switch (request.kind) {
    case 'open':
      return open(request.adapter, request.ceiling);
    case 'run':
      return { kind: 'outcome', outcome: await runCase(opened!.engine, cases[request.at]!, opened!.ceiling, request.options) };
    case 'tune':
      return { kind: 'tuned', outcome: await tune(opened!, request.at, request.options) };
  }
}

process.on('message', (request: CaseRequest) => {
  answer(request)
    .catch((error: unknown): CaseReply => ({ kind: 'failed', message: error instanceof Error ? error.message : String(error) }))
    .then((reply) => process.send!(reply));
});
process.on('disconnect', () => process.exit());
