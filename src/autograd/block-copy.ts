import source from '../../kernels/block-copy.wgsl';
import { defineKernel, storageAlignment, type BufferView, type Device } from '../engine/index.ts';

const blockCopyKernel = defineKernel({
  label: 'block-copy',
  source,
  inputs: ['x'],
  outputs: ['y'],
  params: { rows: 'u32', columns: 'u32', x_columns: 'u32', x_first: 'u32', y_columns: 'u32', y_first: 'u32' },
  constants: { WORKGROUP_SIZE: 64, RUN: 1 },
  workgroups: ({ rows, columns }, { WORKGROUP_SIZE, RUN }) => Math.ceil((rows! * columns!) / (WORKGROUP_SIZE! * RUN!)),
});

/** Rows at equal distances in a buffer: row r starts at `offset + r · stride`. In bytes, multiples of 4. */
export interface RowsInBuffer {
  buffer: BufferView['buffer'];
  offset: number;
  stride: number;
}

/** Rows a dispatch below which buffer-to-buffer copies, a command a row, are as good. */
const fewRows = 32;

/**
 * Copies `rows` rows of `rowBytes` between two buffers, in order with the dispatches. No size is too large for it: a kernel copies
 * short rows through windows of the buffers, and rows too long for a binding are copied without one.
 */
export function copyRows(device: Device, from: RowsInBuffer, to: RowsInBuffer, rows: number, rowBytes: number): void {
  const longest = Math.max(from.stride, to.stride);
  const rowsAtOnce = Math.floor((device.bindingLimit - storageAlignment - rowBytes) / longest) + 1;
  if (rowsAtOnce < rows && rowBytes === from.stride && rowBytes === to.stride) return copyStretch(device, from, to, rows * rowBytes);
  if (rowsAtOnce < Math.min(rows, fewRows)) {
    for (let row = 0; row < rows; row++) copyStretch(device, advanced(from, row), advanced(to, row), rowBytes);
    return;
  }
  for (let first = 0; first < rows; first += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - first);
    const x = windowOf(advanced(from, first), count, rowBytes);
    const y = windowOf(advanced(to, first), count, rowBytes);
    const params = { rows: count, columns: rowBytes / 4, x_columns: from.stride / 4, x_first: x.first, y_columns: to.stride / 4, y_first: y.first };
    device.run(blockCopyKernel, { x: x.view, y: y.view }, params);
  }
}

function copyStretch(device: Device, from: RowsInBuffer, to: RowsInBuffer, bytes: number): void {
  device.copy({ buffer: from.buffer, offset: from.offset, bytes }, { buffer: to.buffer, offset: to.offset, bytes });
}

function advanced({ buffer, offset, stride }: RowsInBuffer, rows: number): RowsInBuffer {
  return { buffer, offset: offset + rows * stride, stride };
}

/** The aligned view that holds `count` rows, and the element of it at which the first of them starts. */
function windowOf({ buffer, offset, stride }: RowsInBuffer, count: number, rowBytes: number): { view: BufferView; first: number } {
  const before = offset % storageAlignment;
  return { view: { buffer, offset: offset - before, bytes: before + (count - 1) * stride + rowBytes }, first: before / 4 };
}
