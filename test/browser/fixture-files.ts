/// <reference types="vite/client" />
/** Stands in for node:fs in a page: the op tests read their PyTorch fixtures with it and nothing else. */
const files = import.meta.glob<string>('../fixtures/ops/*.json', { query: '?raw', import: 'default', eager: true });

export function readFileSync(url: URL): string {
  const name = `../fixtures/ops/${url.pathname.split('/').at(-1)}`;
  const text = files[name];
  if (text === undefined) throw new Error(`readFileSync: ${url.href}: only test/fixtures/ops can be read in a page`);
  return text;
}
