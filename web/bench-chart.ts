/** A bar a pass of each case, grouped by kernels: text and lengths, so that it reads without seeing it too. */
import type { Outcome } from '../bench/harness.ts';
import { element } from './dom.ts';

/** The axis ends here at least, as a share of the adapter's best; cases that stay in a cache go beyond. */
const leastEnd = 1;

export class BenchChart {
  private readonly place: HTMLElement;
  private readonly groups = new Map<string, HTMLElement>();
  private end = leastEnd;

  constructor(place: HTMLElement) {
    this.place = place;
  }

  clear(): void {
    this.place.replaceChildren();
    this.groups.clear();
    this.setEnd(leastEnd);
  }

  /** Cases without times have no bar; the table says why. */
  add(outcome: Outcome): void {
    if (!('timings' in outcome)) return;
    const { family, name, timings } = outcome;
    this.setEnd(Math.max(this.end, ...timings.map(({ share }) => share)));
    const bars = timings.map(({ pass, share, bound }) => {
      const fill = element('i', { className: pass });
      fill.style.setProperty('--share', String(share));
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
    this.place.append(element('div', { className: 'bench-group' }, element('h3', {}, family), list));
    this.groups.set(family, list);
    return list;
  }

  private setEnd(end: number): void {
    this.end = end;
    this.place.style.setProperty('--end', String(end));
  }
}
