/** "Benchmarks": the benches of bench/, as a chart and a table, and their results as a file. */
import type { Ceiling } from '../bench/ceiling.ts';
import type { Outcome, Timing } from '../bench/harness.ts';
import { BenchChart } from './bench-chart.ts';
import { byId, download, element, messageOf, say } from './dom.ts';
import type { BenchEvent, BenchMethods } from './protocol.ts';
import { WorkerClient } from './rpc.ts';

interface Results {
  adapter: string;
  browser: string;
  date: string;
  quick: boolean;
  /** All that was measured took so long. */
  seconds: number;
  ceiling: Ceiling;
  cases: Outcome[];
}

export class BenchPage {
  private readonly worker = new WorkerClient<BenchMethods, BenchEvent>(new URL('bench-worker.js', import.meta.url), 'bench', { onEvent: (event) => this.on(event) });
  private readonly chart = new BenchChart(byId('bench-bars'));
  private results: Results | null = null;
  private began = 0;
  private quick = true;

  constructor(canCompute: boolean) {
    const run = byId<HTMLButtonElement>('bench-run');
    run.disabled = !canCompute;
    run.addEventListener('click', () => void this.run());
    byId('bench-stop').addEventListener('click', () => {
      byId<HTMLButtonElement>('bench-stop').disabled = true;
      void this.worker.call('stop', {});
    });
    byId('bench-save').addEventListener('click', () => {
      if (this.results) download(new Blob([`${JSON.stringify(this.results, null, 1)}\n`], { type: 'application/json' }), `ct-lite-bench-${fileNameOf(this.results.adapter)}.json`);
    });
  }

  private async run(): Promise<void> {
    const [run, stop] = [byId<HTMLButtonElement>('bench-run'), byId<HTMLButtonElement>('bench-stop')];
    [run.disabled, stop.disabled] = [true, false];
    byId<HTMLButtonElement>('bench-save').disabled = true;
    say(byId('bench-message'), null);
    say(byId('bench-busy'), 'Measuring what the adapter can do at best…');
    say(byId('bench-done'), null);
    byId('bench-body').replaceChildren();
    this.chart.clear();
    this.results = null;
    [this.began, this.quick] = [performance.now(), byId<HTMLInputElement>('bench-quick').checked];
    try {
      const { stopped } = await this.worker.call('run', { quick: this.quick });
      this.conclude(stopped);
    } catch (error) {
      say(byId('bench-message'), messageOf(error));
    } finally {
      [run.disabled, stop.disabled] = [false, true];
      say(byId('bench-busy'), null);
    }
  }

  private conclude(stopped: boolean): void {
    const { cases, seconds } = this.results!;
    const failed = cases.filter((outcome) => 'failed' in outcome).length;
    const skipped = cases.filter((outcome) => 'skipped' in outcome).length;
    if (failed) say(byId('bench-message'), `${failed} cases failed: this adapter computes them wrongly, or not at all.`);
    const left = skipped ? `, ${skipped} of them left out as too slow on this adapter` : '';
    say(byId('bench-done'), `${stopped ? 'Stopped' : 'Done'}: ${cases.length} cases in ${durationOf(seconds)}${left}.`);
  }

  private on(event: BenchEvent): void {
    if (event.kind === 'begun') {
      const { adapter, ceiling } = event;
      this.results = { adapter, browser: navigator.userAgent, date: new Date().toISOString(), quick: this.quick, seconds: 0, ceiling, cases: [] };
      byId('bench-adapter').textContent = `${adapter}: at best ${(ceiling.flops / 1e9).toFixed(1)} GFLOP/s in a matrix product, ${(ceiling.bandwidth / 1e9).toFixed(1)} GB/s in a copy.`;
      return;
    }
    const { outcome, done, total } = event;
    if (!this.results) return;
    this.results.cases.push(outcome);
    this.results.seconds = (performance.now() - this.began) / 1000;
    byId<HTMLButtonElement>('bench-save').disabled = false;
    byId('bench-chart').hidden = false;
    byId('bench-table').hidden = false;
    this.chart.add(outcome);
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
  const of = bound === 'memory' ? 'the copy' : 'the product';
  return [element('td', {}, pass), number(milliseconds), number(gflops), number(gigabytes), element('td', { className: 'number' }, `${(100 * share).toFixed(0)} % of ${of}`)];
}

/** "google swiftshader (software, …)" → "google-swiftshader". */
function fileNameOf(adapter: string): string {
  return adapter.replace(/ \(.*$/, '').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '') || 'adapter';
}

function durationOf(seconds: number): string {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
