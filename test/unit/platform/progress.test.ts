import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createProgress, formatSeconds } from '../../../src/platform/progress.ts';

/** Collects what is written; as a terminal it has a width. */
function sink(columns?: number) {
  let text = '';
  const stream = new Writable({ write: (chunk, _, done) => ((text += String(chunk)), done()) });
  return { stream: Object.assign(stream, columns ? { isTTY: true, columns } : {}), text: () => text };
}

/** What a terminal shows after the text: rows, with the cursor and erase sequences that the bar uses obeyed. */
function screen(text: string): string[] {
  const rows: string[] = [''];
  let [row, column] = [0, 0];
  for (const [piece, count, command] of text.matchAll(/\u001b\[([0-9?]*)([A-Za-z])|[^\u001b]/gsu)) {
    const n = Number(count || 1);
    if (command === 'G') column = n - 1;
    else if (command === 'A') row -= n;
    else if (command === 'K') rows[row] = count === '2' ? '' : rows[row]!.slice(0, column);
    else if (command !== undefined) throw new Error(`screen: unknown sequence ${JSON.stringify(piece)}`);
    else if (piece === '\n') [row, column] = [row + 1, 0];
    else if (piece === '\r') column = 0;
    else {
      const line = rows[row]!.padEnd(column);
      rows[row] = line.slice(0, column) + piece + line.slice(column + 1);
      column += 1;
    }
    while (rows.length <= row) rows.push('');
  }
  return rows;
}

describe('createProgress on a terminal', () => {
  it('keeps notes and one bar apart, and ends with a whole line', () => {
    const out = sink(100);
    const progress = createProgress({ title: 'train', total: 4, stream: out.stream });
    progress.update(1, { loss: 2, volumesPerSecond: 3.25, gpuBytes: 64 * 2 ** 20 });
    progress.note('first note, much longer than the bar itself is not, but long enough to leave rests behind');
    progress.update(2, { loss: 1 });
    progress.note('second');
    progress.note('third');
    progress.update(4, { loss: 0.5 });
    progress.stop();
    progress.stop();
    progress.note('after');
    expect(screen(out.text())).toEqual([
      'first note, much longer than the bar itself is not, but long enough to leave rests behind',
      'second',
      'third',
      `train ${'█'.repeat(20)} 4/4 · done · loss 0.5000 · 3.25 volumes/s · GPU 64 MiB`,
      'after',
      '',
    ]);
  });

  it('never writes past the last column but one', () => {
    const out = sink(40);
    const progress = createProgress({ title: 'a title that is long', total: 2, stream: out.stream });
    progress.update(1, { stage: 'distil', loss: 2, volumesPerSecond: 3, gpuBytes: 2 ** 30 });
    progress.stop();
    expect(Math.max(...screen(out.text()).map((line) => line.length))).toBe(39);
  });
});

describe('createProgress in a log', () => {
  it('writes a line an interval, the notes between, and the last state', () => {
    const out = sink();
    let time = 0;
    const progress = createProgress({ title: 'train', total: 100, stream: out.stream, intervalMs: 1000, now: () => time });
    for (let step = 1; step <= 100; step += 1) {
      time += 30;
      progress.update(step, { loss: 100 - step });
      if (step === 50) progress.note('half');
    }
    progress.stop();
    expect(out.text().trimEnd().split('\n')).toEqual([
      'train 1/100 (1 %) · ETA 0:03 · loss 99.00',
      'train 35/100 (35 %) · ETA 0:02 · loss 65.00',
      'half',
      'train 69/100 (69 %) · ETA 0:01 · loss 31.00',
      'train 100/100 (100 %) · 0:03 in all · loss 0.000',
    ]);
  });

  it('reckons the ETA of a resumed job from where it resumed', () => {
    const out = sink();
    let time = 0;
    const progress = createProgress({ title: 'train', total: 1000, start: 900, stream: out.stream, now: () => time });
    time = 10_000;
    progress.update(910);
    expect(out.text()).toBe('train 910/1000 (91 %) · ETA 1:30\n');
  });
});

describe('formatSeconds', () => {
  it.each([
    [0, '0:00'],
    [59.6, '1:00'],
    [3661, '1:01:01'],
    [-3, '0:00'],
    [NaN, '–'],
    [Infinity, '–'],
  ])('%f s is %s', (seconds, text) => expect(formatSeconds(seconds)).toBe(text));
});
