import { pathToFileURL } from 'node:url';

/** bench/results/<adapter>[.<what>].json, seen from the working folder of `npm run`. */
export function resultsFile(adapterName: string, what?: string): URL {
  const stem = adapterName.toLowerCase().replace(/\(.*$/, '').replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');
  return new URL(`bench/results/${stem}${what ? `.${what}` : ''}.json`, pathToFileURL(`${process.cwd()}/`));
}
