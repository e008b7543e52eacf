/** Puts generated Markdown between a pair of HTML comments of a page, so that no measured number is typed by hand. */

/**
 * The page with `body` between `<!-- name: begin -->` and `<!-- name: end -->`.
 *
 * @throws Error where the page has not exactly one of each, in this order
 */
export function replaceBetween(page: string, name: string, body: string): string {
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const [before, ...middle] = page.split(begin);
  const [, after, ...more] = middle.join(begin).split(end);
  if (middle.length !== 1 || after === undefined || more.length || before!.includes(end)) throw new Error(`bench:table: the page must have "${begin}" and "${end}" once each, in this order; put both where the table belongs`);
  return `${before}${begin}\n${body}\n${end}${after}`;
}

/** A Markdown table. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n');
}

/** What the pages call an adapter: "llvmpipe: Mesa 25.0.7 (LLVM …)" is lavapipe. */
export function adapterTitle(name: string): string {
  if (/llvmpipe|lavapipe/i.test(name)) return 'lavapipe';
  if (/swiftshader/i.test(name)) return 'SwiftShader';
  return name.split(/[:(]/)[0]!.trim();
}

/** "2026-11-23" or "2026-11-23 to 2026-11-25", of ISO dates; "no date" of none. */
export function dateRange(dates: readonly string[]): string {
  const days = [...new Set(dates.map((date) => date.slice(0, 10)))].sort();
  if (!days.length) return 'no date';
  return days.length === 1 ? days[0]! : `${days[0]} to ${days.at(-1)}`;
}

/** "5", "2–40". */
export function numberRange(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return least === most ? `${least}` : `${least}–${most}`;
}

/** Three significant digits, from 100 on whole numbers: 0.0123, 1.23, 12.3, 1234. */
export function threeDigits(value: number): string {
  return value >= 100 ? `${Math.round(value)}` : `${Number(value.toPrecision(3))}`;
}
