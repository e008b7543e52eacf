import { describe, expect, it } from 'vitest';
import { onnxModel } from '../../../bench/peers/onnx-model.ts';

describe('onnxModel', () => {
  it('writes the bytes that protobuf prescribes', () => {
    const bytes = onnxModel({ inputs: { a: [300] }, outputs: { y: [300] }, nodes: [{ op: 'Neg', inputs: ['a'], outputs: ['y'] }] });
    // Field 1 ir_version = 8; field 7 graph, length-delimited; field 8 opset_import { version: 17 } ends it.
    expect([...bytes.slice(0, 3)]).toEqual([8, 8, 0x3a]);
    expect([...bytes.slice(-4)]).toEqual([0x42, 2, 16, 17]);
    // 300 as a varint is AC 02: dim_value (field 1) of a dim (length 3) of the shape.
    expect(Buffer.from(bytes).includes(Buffer.from([0x0a, 3, 8, 0xac, 2]))).toBe(true);
    expect(bytes[3]! + 4 + 4).toBe(bytes.length);
  });
});
