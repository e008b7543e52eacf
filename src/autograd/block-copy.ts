import source from '../../kernels/block-copy.wgsl';
import { bytesPerElement, defineKernel, storageAlignment, type BufferView, type Device } from '../engine/index.ts';

const blockCopyKernel = defineKernel({
  label: 'block-copy',
  source,
  inputs: ['x'],
  outputs: ['y'],
  elements: { x: 'u32', y: 'u32' },
  params: { rows: 'u32', columns: 'u32', x_columns: 'u32', x_first: 'u32', y_columns: 'u32', y_first: 'u32' },
  constants: { WORKGROUP_SIZE: 64, RUN: 1 },
  workgroups: ({ rows, columns }, { WORKGROUP_SIZE, RUN }) => Math.ceil((rows! * columns!) / (WORKGROUP_SIZE! * RUN!)),
});

/** Rows at equal distances in a buffer: row r starts at `offset + r · stride`. In bytes, multiples of 4, or of 2 in f16. */
export interface RowsInBuffer {
  buffer: BufferView['buffer'];
  offset: number;
  stride: number;
}

/** Rows a dispatch below which buffer-to-buffer copies, a command a row, are as good. */
const fewRows = 32;
const wordBytes = 4;

/**
 * Copies `rows` rows of `rowBytes` between two buffers, in order with the dispatches. No size is too large for it: a kernel copies
 * short rows through windows of the buffers, and rows too long for a binding are copied without one, or stretch by stretch where they
 * are f16 at odd places, since WebGPU copies whole words.
 */
export function copyRows(device: Device, from: RowsInBuffer, to: RowsInBuffer, rows: number, rowBytes: number): void {
  const longest = Math.max(from.stride, to.stride);
  const rowsAtOnce = Math.floor((device.bindingLimit - storageAlignment - rowBytes) / longest) + 1;
  if (rowsAtOnce < rows && rowBytes === from.stride && rowBytes === to.stride) return copyStretch(device, from, to, rows * rowBytes);
  if (rowsAtOnce < Math.min(rows, fewRows)) {
    for (let row = 0; row < rows; row++) copyStretch(device, advanced(from, row), advanced(to, row), rowBytes);
    return;
  }
  for (let first = 0; first < rows; first += rowsAtOnce) copyByKernel(device, advanced(from, first), advanced(to, first), Math.min(rowsAtOnce, rows - first), rowBytes);
}

/** Copies `from` to `to`, of as many bytes, in order with the dispatches. They may start anywhere, and in f16 end anywhere. */
export function copyView(device: Device, from: BufferView, to: BufferView): void {
  copyStretch(device, { ...from, stride: from.bytes }, { ...to, stride: to.bytes }, from.bytes);
}

function copyStretch(device: Device, from: RowsInBuffer, to: RowsInBuffer, bytes: number): void {
  if (isWords(from.offset, to.offset, bytes)) {
    device.copy({ buffer: from.buffer, offset: from.offset, bytes }, { buffer: to.buffer, offset: to.offset, bytes });
    return;
  }
  const most = Math.floor((device.bindingLimit - storageAlignment) / wordBytes) * wordBytes;
  for (let first = 0; first < bytes; first += most) {
    copyByKernel(device, { ...from, offset: from.offset + first }, { ...to, offset: to.offset + first }, 1, Math.min(most, bytes - first));
  }
}

function copyByKernel(device: Device, from: RowsInBuffer, to: RowsInBuffer, rows: number, rowBytes: number): void {
  const dtype = isWords(from.offset, to.offset, from.stride, to.stride, rowBytes) ? 'u32' : 'f16';
  const element = bytesPerElement[dtype];
  const x = windowOf(from, rows, rowBytes);
  const y = windowOf(to, rows, rowBytes);
  const params = { rows, columns: rowBytes / element, x_columns: from.stride / element, x_first: x.before / element, y_columns: to.stride / element, y_first: y.before / element };
  device.run(blockCopyKernel, { x: { ...x.view, dtype }, y: { ...y.view, dtype } }, params);
}

function isWords(...bytes: number[]): boolean {
  return bytes.every((count) => count % wordBytes === 0);
}

function advanced({ buffer, offset, stride }: RowsInBuffer, rows: number): RowsInBuffer {
  return { buffer, offset: offset + rows * stride, stride };
}

/** The aligned view that holds `count` rows, and the bytes of it before the first of them. */
function windowOf({ buffer, offset, stride }: RowsInBuffer, count: number, rowBytes: number): { view: BufferView; before: number } {
  const before = offset % storageAlignment;
  return { view: { buffer, offset: offset - before, bytes: before + (count - 1) * stride + rowBytes }, before };
}
