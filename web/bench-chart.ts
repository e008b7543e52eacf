/**
 * A bar a pass of each case, grouped by kernels: text and lengths, so that it reads without seeing it too. A full bar is the adapter's
 * best; cases that stay in a cache, or were lucky on a busy machine, go beyond it, and only their number says how far.
 */
import type { Outcome } from '../bench/harness.ts';
import { element } from './dom.ts';

export class BenchChart {
  private readonly place: HTMLElement;
  private readonly groups = new Map<string, HTMLElement>();

  constructor(place: HTMLElement) {
    this.place = place;
  }

  clear(): void {
    this.place.replaceChildren();
    this.groups.clear();
  }

  /** Cases without times have no bar; the table says why. */
  add(outcome: Outcome): void {
    if (!('timings' in outcome)) return;
    const { family, name, timings } = outcome;
    const bars = timings.map(({ pass, share, bound }) => {
      const fill = element('i', { className: pass });
      fill.style.width = `${100 * Math.min(1, share)}%`;
      const bar = element('span', { className: 'bar' }, fill);
      bar.setAttribute('aria-hidden', 'true');
      return element('span', { className: 'pass' }, element('span', { className: 'hidden-text' }, `${pass}: `), bar, element('span', { className: 'value', title: bound === 'memory' ? 'of the copy' : 'of the matrix product' }, `${(100 * share).toFixed(0)} %`));
    });
    this.group(family).append(element('li', {}, element('span', {}, name), element('span', { className: 'passes' }, ...bars)));
  }

  private group(family: string): HTMLElement {
    const known = this.groups.get(family);
    if (known) return known;
    const list = element('ul');
    list.setAttribute('aria-label', family);
    this.place.append(element('div', { className: 'bench-group' }, element('h2', {}, family), list));
    this.groups.set(family, list);
    return list;
  }
}
