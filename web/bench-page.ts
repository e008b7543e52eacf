/** "Benchmarks": the benches of bench/, as a table with bars, and their results as a file. */
import type { Ceiling } from '../bench/ceiling.ts';
import type { Outcome, Timing } from '../bench/harness.ts';
import { byId, download, element, messageOf, say } from './dom.ts';
import type { BenchEvent, BenchMethods } from './protocol.ts';
import { WorkerClient } from './rpc.ts';

interface Results {
  adapter: string;
  browser: string;
  date: string;
  ceiling: Ceiling;
  cases: Outcome[];
}

export class BenchPage {
  private readonly worker = new WorkerClient<BenchMethods, BenchEvent>(new URL('bench-worker.js', import.meta.url), 'bench', { onEvent: (event) => this.on(event) });
  private results: Results | null = null;

  constructor(canCompute: boolean) {
    const run = byId<HTMLButtonElement>('bench-run');
    run.disabled = !canCompute;
    run.addEventListener('click', () => void this.run());
    byId('bench-stop').addEventListener('click', () => {
      byId<HTMLButtonElement>('bench-stop').disabled = true;
      void this.worker.call('stop', {});
    });
    byId('bench-save').addEventListener('click', () => {
      if (this.results) download(new TextEncoder().encode(`${JSON.stringify(this.results, null, 1)}\n`), 'ct-lite-bench.json', 'application/json');
    });
  }

  private async run(): Promise<void> {
    const [run, stop] = [byId<HTMLButtonElement>('bench-run'), byId<HTMLButtonElement>('bench-stop')];
    [run.disabled, stop.disabled] = [true, false];
    say(byId('bench-message'), null);
    say(byId('bench-busy'), 'Measuring what the adapter can do at best…');
    byId('bench-body').replaceChildren();
    try {
      const { stopped } = await this.worker.call('run', { quick: byId<HTMLInputElement>('bench-quick').checked });
      const failed = this.results!.cases.filter((outcome) => 'failed' in outcome).length;
      if (stopped) say(byId('bench-message'), 'Stopped; the table has what was measured.');
      else if (failed) say(byId('bench-message'), `${failed} cases failed: this adapter computes them wrongly, or not at all.`);
    } catch (error) {
      say(byId('bench-message'), messageOf(error));
    } finally {
      [run.disabled, stop.disabled] = [false, true];
      say(byId('bench-busy'), null);
    }
  }

  private on(event: BenchEvent): void {
    if (event.kind === 'begun') {
      const { adapter, ceiling } = event;
      this.results = { adapter, browser: navigator.userAgent, date: new Date().toISOString(), ceiling, cases: [] };
      byId('bench-adapter').textContent = `${adapter}: at best ${(ceiling.flops / 1e9).toFixed(1)} GFLOP/s in a matrix product, ${(ceiling.bandwidth / 1e9).toFixed(1)} GB/s in a copy.`;
      return;
    }
    const { outcome, done, total } = event;
    this.results?.cases.push(outcome);
    byId<HTMLButtonElement>('bench-save').disabled = false;
    byId('bench-table').hidden = false;
    byId('bench-body').append(...rowsOf(outcome));
    say(byId('bench-busy'), `${done} of ${total} cases`);
  }
}

const threeDigits = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });

function rowsOf(outcome: Outcome): HTMLTableRowElement[] {
  const { family, name } = outcome;
  const head = [element('td', {}, family), element('td', {}, name)];
  if ('timings' in outcome) return outcome.timings.map((timing, at) => element('tr', {}, ...(at === 0 ? head : [element('td'), element('td')]), ...cellsOf(timing)));
  const reason = 'failed' in outcome ? `failed: ${outcome.failed}` : `skipped: ${outcome.skipped.split(';')[0]}`;
  return [element('tr', {}, ...head, element('td', { className: 'reason', colSpan: 5 }, reason))];
}

function cellsOf({ pass, milliseconds, gflops, gigabytes, share, bound }: Timing): HTMLTableCellElement[] {
  const number = (value: number): HTMLTableCellElement => element('td', { className: 'number' }, value ? threeDigits.format(value) : '–');
  const fill = element('i');
  fill.style.width = `${Math.min(100, 100 * share)}%`;
  const bar = element('span', { className: 'bar' }, fill);
  const shown = element('span', { className: 'share', title: bound === 'memory' ? 'of the copy' : 'of the matrix product' }, bar, `${(100 * share).toFixed(0)} %`);
  return [element('td', {}, pass), number(milliseconds), number(gflops), number(gigabytes), element('td', {}, shown)];
}
