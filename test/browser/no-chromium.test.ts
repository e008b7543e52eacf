import { it } from 'vitest';
import { findChromium } from './chromium.ts';

// Only in the run where no Chromium starts.
it.skip(`op tests in a page: ${(await findChromium()).reason}`);
