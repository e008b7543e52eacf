/** The page for everybody: by keyboard alone, for screen readers, in light and dark, on a laptop and a tablet. */
import type { Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { violations } from './axe.ts';
import { chromiumLaunch, openSite, screenshot, shows, visit, type Site } from './page.ts';

/** Pixels that the page is wider than its window. */
const overflow = (page: Page): Promise<number> => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

interface Stop {
  id: string;
  outline: number;
}

/** Where Tab leads from the top of the page, until it leaves it: each stop with the width of its visible outline in pixels. */
async function tabStops(page: Page): Promise<Stop[]> {
  await page.focus('.skip');
  const stops: Stop[] = [];
  for (;;) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      const at = document.activeElement as HTMLElement | null;
      if (!at || at === document.body) return null;
      const own = getComputedStyle(at);
      // A radio button that is drawn as a segment: its text has the outline.
      const drawn = at.matches('.choice input') ? getComputedStyle(at.nextElementSibling!) : own;
      const input = at as HTMLInputElement;
      return { id: at.id || (input.name ? `${input.name}=${input.type === 'radio' ? input.value : '*'}` : at.className), outline: drawn.outlineStyle === 'none' ? 0 : parseFloat(drawn.outlineWidth) };
    });
    if (!stop || stops.some(({ id }) => id === stop.id) || stops.length > 100) return stops;
    stops.push(stop);
  }
}

/** Visible controls that Tab should reach, named as `tabStops` names them; of radio buttons of a name only the checked one, as browsers have it. */
function controls(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll<HTMLInputElement>('button, input, select, canvas, summary')]
      .filter((control) => !control.disabled && control.tabIndex >= 0 && control.checkVisibility() && !(control.type === 'radio' && !control.checked))
      .map((control) => control.id || (control.name ? `${control.name}=${control.type === 'radio' ? control.value : '*'}` : control.className)),
  );
}

async function expectReachable(page: Page): Promise<void> {
  const stops = await tabStops(page);
  const reached = new Set(stops.map(({ id }) => id));
  expect((await controls(page)).filter((id) => !reached.has(id)), 'not reached by Tab').toEqual([]);
  expect(stops.filter(({ outline }) => outline < 2), 'focus that is not seen').toEqual([]);
}

describe.skipIf(!chromiumLaunch)('the page for everybody', () => {
  let site: Site;
  beforeAll(async () => {
    site = await openSite();
  });
  afterAll(async () => {
    await site?.close();
  });

  it('is read, asked and trained by keyboard alone', async () => {
    const { page, offences } = await visit(site);
    const press = async (...keys: string[]): Promise<void> => {
      for (const key of keys) await page.keyboard.press(key);
    };
    /** Tabs on to a control: it fails where that is not reached. */
    const tabTo = async (id: string): Promise<void> => {
      for (let presses = 0; presses < 60; presses++) {
        await press('Tab');
        if (await page.evaluate((wanted) => document.activeElement?.id === wanted || (document.activeElement as HTMLInputElement).name === wanted, id)) return;
      }
      throw new Error(`Tab does not lead to ${id}`);
    };
    await press('Tab');
    expect(await page.evaluate(() => document.activeElement?.className)).toBe('skip');
    await press('Enter');
    await tabTo('open-phantom');
    await press('Enter');
    await shows(page, '#compression-facts', /SSIM\s+0\.\d+/, { alert: '#scan-message' });
    expect(await page.evaluate(() => document.activeElement?.id), 'focus goes along').toBe('scan-title');

    await page.focus('#raw-canvas');
    const slice = async (): Promise<number> => Number(/^(\d+) of/.exec(await page.innerText('#slice-output'))![1]);
    const start = await slice();
    await press('ArrowUp', 'ArrowUp', 'ArrowDown');
    expect(await slice()).toBe(start + 1);
    // The viewer's own key for another plane does not act behind the controls' back.
    await press('v');
    expect(await slice()).toBe(start + 1);
    await press('Home');
    expect(await slice()).toBe(1);
    await tabTo('slice');
    await press('ArrowRight', 'ArrowRight');
    expect(await slice()).toBe(3);

    await tabTo('demo-model');
    await press('Enter');
    await shows(page, '#model-line', /Demo model, trained on drawn chests/, { alert: '#model-message' });
    expect(await page.innerText('#phantom-caution')).toMatch(/has seen only drawn chests/);
    await tabTo('predict');
    await press('Enter');
    await shows(page, '#findings-list', /Pleural effusion/, { alert: '#model-message' });
    expect(await page.locator('#findings-list li').count()).toBe(18);
    expect(await page.innerText('#findings .caution')).toMatch(/not a medical device.* not for diagnosis/);
    await tabTo('ask-text');
    await page.keyboard.type('is there a pleural effusion?');
    await press('Enter');
    await shows(page, '#answer', /“Pleural effusion is present\.” scores 0\.\d+/, { alert: '#model-message' });
    await expectReachable(page);

    await page.focus('#scan-tab');
    await press('ArrowRight');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('training-tab');
    for (const [name, value] of Object.entries({ patients: 2, testPatients: 1 })) {
      await tabTo(name);
      await page.keyboard.type(String(value));
    }
    await expectReachable(page);
    await tabTo('steps');
    await page.keyboard.type('30');
    await tabTo('batch');
    await page.keyboard.type('1');
    await tabTo('begin');
    await press('Enter');
    await shows(page, '#training-facts', /\d+ of 30/, { alert: '#training-message', timeout: 180_000 });
    expect(await violations(page)).toEqual([]);
    await tabTo('pause');
    await press('Enter');
    await shows(page, '#live-title', /Paused/, { alert: '#training-message' });
    expect(await violations(page)).toEqual([]);
    await expectReachable(page);

    await page.focus('#training-tab');
    await press('ArrowRight');
    await expectReachable(page);
    expect(offences).toEqual([]);
    await page.context().close();
  }, 400_000);

  it('has no violation that axe-core knows and fits, light and dark, on a laptop and a tablet', async () => {
    const { page, offences } = await visit(site);
    const found: string[] = [];
    const look = async (state: string): Promise<void> => {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        for (const [width, height] of [[768, 1024], [1280, 800]] as const) {
          await page.setViewportSize({ width, height });
          await screenshot(page, `${state}-${colorScheme}-${width}`);
          expect(await overflow(page), `pixels that ${state} is wider than ${width}`).toBe(0);
        }
        found.push(...(await violations(page)).map((violation) => `${state}, ${colorScheme}: ${violation}`));
      }
    };
    await look('start');
    await page.click('#open-phantom');
    await shows(page, '#compression-facts', /SSIM\s+0\.\d+/, { alert: '#scan-message' });
    await page.click('#demo-model');
    await shows(page, '#model-line', /Demo model/, { alert: '#model-message' });
    await page.click('#predict');
    await shows(page, '#findings-list', /Pleural effusion/, { alert: '#model-message' });
    await page.check('#heat-toggle');
    await look('findings');
    await page.setInputFiles('#file-input', { name: 'notes.txt', mimeType: '', buffer: Buffer.from('not a scan') });
    await shows(page, '#scan-message', /notes\.txt/);
    // The scan before is still there to be read.
    await page.click('#predict');
    await shows(page, '#findings-note', /Read as JPEG 75/, { alert: '#model-message' });
    await look('message');
    await page.click('#training-tab');
    await page.check('input[name=start][value=new]');
    await page.selectOption('#preset', 'small');
    expect(await page.innerText('#preset-note')).toMatch(/Needs a GPU, with about .* of its memory.* This browser computes on the CPU, .*: use tiny here/);
    await look('settings');
    await page.click('#bench-tab');
    await look('benches');
    expect(found).toEqual([]);
    expect(offences).toEqual([]);
    await page.context().close();
  }, 240_000);
});
