/** A cohort of small scans for tests of the command line, and what its errors must look like. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { LABELS, writeNiftiGz } from '../../../src/data/index.ts';
import type { Finished } from '../../support/command-line.ts';

/** A body of water in air with a lung of its own size: enough to pass for a chest. */
function scanBytes(n: number): Uint8Array {
  const shape: [number, number, number] = [12, 40, 40];
  const hu = new Int16Array(12 * 40 * 40).map((_, at) => {
    const [y, x] = [Math.floor(at / 40) % 40, at % 40];
    const lung = Math.hypot(y - 20, Math.abs(x - 20) - 8) < 4 + (n % 3);
    return Math.hypot(y - 20, x - 20) > 17 ? -1000 : lung ? -800 : 40 + 3 * n;
  });
  return writeNiftiGz({ hu, shape, spacingMm: [25, 8, 8] }, { level: 1 });
}

/** A cohort of `count` scans of which the first `bad` are cut in the middle of their gzip stream. */
export function makeSmallCohort(folder: string, count: number, bad = 0): void {
  mkdirSync(folder);
  const ids = Array.from({ length: count }, (_, n) => `scan${String(n).padStart(2, '0')}`);
  ids.forEach((id, n) => {
    const bytes = scanBytes(n);
    writeFileSync(join(folder, `${id}.nii.gz`), n < bad ? bytes.subarray(0, bytes.length / 2) : bytes);
  });
  writeFileSync(join(folder, 'reports.csv'), ['VolumeName,Findings_EN', ...ids.map((id, n) => `${id}.nii.gz,"${n % 2 ? 'There is an effusion.' : 'No effusion.'} The heart is normal."`)].join('\n'));
  writeFileSync(join(folder, 'labels.csv'), [['VolumeName', ...LABELS].join(','), ...ids.map((id, n) => [`${id}.nii.gz`, ...LABELS.map((_, label) => (n + label) % 2)].join(','))].join('\n'));
}

/** Exit code 1 and one error of one line, no stack. */
export function expectError({ code, err }: Finished, ...parts: (string | RegExp)[]): void {
  expect(code, err).toBe(1);
  const errors = err.split('\n').filter((line) => line.startsWith('error: '));
  expect(errors, err).toHaveLength(1);
  expect(err).not.toMatch(/^\s+at .*\.js:\d+/m);
  for (const part of parts) expect(errors[0]).toMatch(part);
}
