/** The pool of decoding workers. Runs in a page, with a worker in place of the built one. */
import { expect, it } from 'vitest';
import { openBrowserDecodePool } from '../../../src/platform/browser-decode-pool.ts';
import type { BrowserDecodeJob } from '../../../src/platform/browser-decode-job.ts';

/** Answers each job with the length of its name; loops for ever in WebAssembly, as a codec may, at "hangs". */
const worker = `
  // (module (func (export "f") (loop br 0)))
  const wasm = Uint8Array.from('0061736d0100000001040160000003020100070501016600000a0901070003400c000b0b'.match(/../g), (pair) => parseInt(pair, 16));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm));
  addEventListener('message', ({ data: { name } }) => {
    if (name === 'hangs') exports.f();
    if (name === 'dies') { setTimeout(() => { throw new Error('out of memory'); }); return; }
    postMessage({ scan: { values: new Float32Array(name.length), warnings: [], fileBytes: name.length } });
  });
`;

it('ends a decoder that never returns and one that dies, names their scans, and goes on', async () => {
  const url = URL.createObjectURL(new Blob([worker], { type: 'text/javascript' }));
  const pool = openBrowserDecodePool(new URL(url), { workers: 1, mostMs: 3000 });
  const job = (name: string): BrowserDecodeJob => ({ name, source: { kind: 'file', file: new Blob([]) }, grid: { shape: [1, 1, 1], spacingMm: [1, 1, 1] } });
  const outcomes = await Promise.all(['one', 'hangs', 'two', 'dies', 'three'].map((name) => pool.decode(job(name)).then(({ values }) => values.length, (error: Error) => error.message)));
  expect(outcomes).toEqual([
    3,
    expect.stringContaining('decodeScan: hangs: its decoder gave no answer for 3 seconds and was ended'),
    3,
    expect.stringMatching(/decodeScan: dies: its worker was lost \(.*out of memory/),
    5,
  ]);
  pool.close();
  await expect(pool.decode(job('late'))).rejects.toThrow('decodeScan: late: the decoding was closed');
  URL.revokeObjectURL(url);
}, 30_000);
