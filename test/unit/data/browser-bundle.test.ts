/** The data room, its libraries included, must bundle for a browser: nothing of Node may be left in it. */
import { fileURLToPath } from 'node:url';
import { build, type BuildOptions } from 'esbuild';
import { expect, it } from 'vitest';
// @ts-expect-error plain JavaScript
import { builds } from '../../../esbuild.mjs';

it('the data room bundles for browsers', async () => {
  const browser = (builds as BuildOptions[]).find(({ platform }) => platform === 'browser')!;
  const entry = fileURLToPath(new URL('../../../src/data/index.ts', import.meta.url));
  const { metafile } = await build({ ...browser, entryPoints: { data: entry }, write: false, metafile: true, sourcemap: false });
  const inputs = Object.keys(metafile!.inputs);
  expect(inputs.some((path) => path.includes('dicom-parser'))).toBe(true);
  expect(inputs.some((path) => path.includes('jpeg-lossless-decoder-js'))).toBe(true);
  expect(inputs.filter((path) => path.includes('@cornerstonejs') || path.includes('src/platform'))).toEqual([]);
  const external = Object.values(metafile!.inputs).flatMap((file) => file.imports).filter((each) => each.external);
  expect(external).toEqual([]);
});
