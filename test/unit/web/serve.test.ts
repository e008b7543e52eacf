/** The page's own small server: its headers, and that it gives nothing but its folder. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error plain JavaScript
import { HEADERS, serve } from '../../../web/serve.mjs';

describe('serve', () => {
  const base = mkdtempSync(join(tmpdir(), 'ct-lite-serve-'));
  let server: Server;
  let url: string;
  beforeAll(async () => {
    mkdirSync(join(base, 'site'));
    mkdirSync(join(base, 'site-beside'));
    for (const [name, text] of Object.entries({ 'site/index.html': '<p>page', 'site/a.wasm': '\0asm', 'site/b.js': '1', 'secret.txt': 'no', 'site-beside/secret.txt': 'no' })) writeFileSync(join(base, name), text);
    server = (await serve({ folder: join(base, 'site') })) as Server;
    url = `http://localhost:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.close();
    rmSync(base, { recursive: true, force: true });
  });

  it.each([['/', 'text/html; charset=utf-8'], ['/a.wasm', 'application/wasm'], ['/b.js', 'text/javascript; charset=utf-8']])('gives %s as %s with the policy and isolation', async (path, type) => {
    const reply = await fetch(url + path);
    expect(reply.status).toBe(200);
    expect(reply.headers.get('content-type')).toBe(type);
    expect(reply.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(reply.headers.get('cross-origin-opener-policy')).toBe('same-origin');
    expect(reply.headers.get('cross-origin-embedder-policy')).toBe('require-corp');
    expect(reply.headers.get('x-content-type-options')).toBe('nosniff');
  });

  // As they are: fetch would straighten the paths before they are sent.
  it.each(['/../secret.txt', '/%2e%2e/secret.txt', '/..%2fsecret.txt', '/..%2fsite-beside%2fsecret.txt', '/missing', '/%ff'])('gives nothing for %s', async (path) => {
    const status = await new Promise((resolve, reject) => request(`${url}`, { path }, (reply) => (reply.resume(), resolve(reply.statusCode))).on('error', reject).end());
    expect([400, 404]).toContain(status);
  });

  it('takes nothing', async () => {
    expect((await fetch(url, { method: 'POST', body: 'a scan' })).status).toBe(405);
  });

  it('has the policy of the page, which other hosts serve without headers', () => {
    const page = readFileSync(new URL('../../../web/index.html', import.meta.url), 'utf8');
    const [, policy] = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(page)!;
    // A page cannot say by itself who may frame it.
    expect((HEADERS as Record<string, string>)['Content-Security-Policy']).toBe(`${policy}; frame-ancestors 'none'`);
  });
});
