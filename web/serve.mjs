#!/usr/bin/env node
// Builds the page and serves dist/web on localhost: `npm run web`, or `npm run web -- --port 8000`. For other hosts, copy dist/web.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../dist/web', import.meta.url));

const TYPES = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.json': 'application/json',
  '.wasm': 'application/wasm', '.map': 'application/json', '.safetensors': 'application/octet-stream',
};

/** The page's own policy (web/index.html) for its workers too, and what only headers can say. */
export const HEADERS = {
  'Content-Security-Policy': "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-cache',
};

/** Serves a folder on this machine alone. Resolves with the server once it listens; port 0 takes a free one. */
export async function serve({ port = 0, folder = root } = {}) {
  const server = createServer(async (request, response) => {
    const send = (status, text) => response.writeHead(status, { ...HEADERS, 'Content-Type': 'text/plain' }).end(text);
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'GET and HEAD only');
    let path;
    try {
      path = normalize(join(folder, decodeURIComponent(new URL(request.url, 'http://localhost').pathname)));
    } catch {
      return send(400, 'bad request');
    }
    if (path !== folder && !path.startsWith(folder + sep)) return send(404, 'not found');
    const found = await stat(path).catch(() => null);
    const file = found?.isDirectory() ? join(path, 'index.html') : path;
    const info = await stat(file).catch(() => null);
    if (!info?.isFile()) return send(404, 'not found');
    response.writeHead(200, { ...HEADERS, 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream', 'Content-Length': info.size });
    if (request.method === 'HEAD') return response.end();
    createReadStream(file).on('error', () => response.destroy()).pipe(response);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  return server;
}

async function start() {
  const at = process.argv.indexOf('--port');
  const port = at < 0 ? 5173 : Number(process.argv[at + 1]);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Error(`--port must be a whole number up to 65535, got ${process.argv[at + 1]}`);
  const { buildAll } = await import('../esbuild.mjs');
  await buildAll();
  const server = await serve({ port });
  console.log(`CT-Lite: http://localhost:${server.address().port}/ (Ctrl-C ends)`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await start().catch((error) => {
    if (error.code === 'EADDRINUSE') error.message = `port ${error.port} is in use; choose another with --port`;
    // esbuild has printed its own messages.
    if (!error.errors) console.error(`web: ${error.message}`);
    process.exitCode = 1;
  });
}
