import { it } from 'vitest';

// Only in the run where neither an installed Chromium nor CT_LITE_CHROMIUM was found.
it.skip('op tests in a page: no Chromium on this machine (install one, or name it in CT_LITE_CHROMIUM)');
