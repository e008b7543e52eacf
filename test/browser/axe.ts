/** What axe-core finds wrong with a page, by WCAG 2.1 AA and its own best practices. */
import axe from 'axe-core';
import type { Page } from 'playwright';

const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];

/** Of the page as it is, each with the element's markup; the script is brought in by the browser's debugger, which the page's policy does not concern. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async (values) => {
    const { axe: tester } = globalThis as unknown as { axe: typeof import('axe-core') };
    const found = await tester.run(document, { runOnly: { type: 'tag', values }, resultTypes: ['violations'] });
    return found.violations.flatMap(({ id, nodes }) => nodes.map(({ html, any }) => `${id}: ${html.slice(0, 160)} ${any[0]?.message ?? ''}`));
  }, rules);
}
