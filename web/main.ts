/** The page: its sections, and what this browser can do. */
import { AdapterError, isSoftwareBrowserAdapter, requestBrowserAdapter } from '../src/platform/browser-adapter.ts';
import { BenchPage } from './bench-page.ts';
import { byId, messageOf, say } from './dom.ts';
import { ScanPage } from './scan-page.ts';
import { TrainingPage, type Computing } from './training-page.ts';

const REMEDY = 'You can still open scans, look at them and compare compression; findings and training need WebGPU.';

/** Arrow keys move between tabs, as the pattern for tabs asks. */
function bindTabs(): void {
  const tabs = [...document.querySelectorAll<HTMLButtonElement>('[role=tab]')];
  const select = (chosen: HTMLButtonElement): void => {
    for (const tab of tabs) {
      const on = tab === chosen;
      tab.setAttribute('aria-selected', String(on));
      tab.tabIndex = on ? 0 : -1;
      byId(tab.getAttribute('aria-controls')!).hidden = !on;
    }
  };
  tabs.forEach((tab, at) => {
    tab.addEventListener('click', () => select(tab));
    tab.addEventListener('keydown', ({ key }) => {
      const step = key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0;
      if (step === 0) return;
      const next = tabs[(at + step + tabs.length) % tabs.length]!;
      select(next);
      next.focus();
    });
  });
}

/** Says what is missing, and on whose side. */
async function checkWebGpu(): Promise<Computing> {
  try {
    return isSoftwareBrowserAdapter((await requestBrowserAdapter()).info) ? 'on the CPU' : 'on a GPU';
  } catch (error) {
    const text = messageOf(error).replace(/^adapter: /, '');
    say(byId('gpu-message'), `${text[0]!.toUpperCase()}${text.slice(1)}. ${error instanceof AdapterError ? REMEDY : ''}`);
    return 'not at all';
  }
}

async function hasDemo(): Promise<boolean> {
  const reply = await fetch('demo/checkpoint.safetensors', { method: 'HEAD' }).catch(() => null);
  return reply?.ok ?? false;
}

bindTabs();
const computing = await checkWebGpu();
const canCompute = computing !== 'not at all';
const scanPage = new ScanPage(canCompute);
const trainingPage = new TrainingPage(computing, (runs) => scanPage.offerRuns(runs));
new BenchPage(canCompute);
if (await hasDemo()) trainingPage.offerDemo();
else byId('demo-model').hidden = true;
document.body.dataset.ready = 'true';
