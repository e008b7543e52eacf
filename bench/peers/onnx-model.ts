/** Writes an ONNX model (onnx.proto3, IR 8, opset 17) of a few nodes: just the fields that the comparison needs. */
const f32 = 1; // TensorProto.FLOAT

export interface OnnxNode {
  op: string;
  inputs: string[];
  outputs: string[];
  attributes?: Record<string, number | number[]>;
  /** Integer attributes; others with one number are floats. */
  floats?: string[];
}

export interface OnnxGraph {
  inputs: Record<string, number[]>;
  outputs: Record<string, number[]>;
  /** f32 constants. */
  constants?: Record<string, { shape: number[]; values: number[] }>;
  nodes: OnnxNode[];
}

type Bytes = number[];

function varint(value: number): Bytes {
  const bytes: Bytes = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
}

const integer = (field: number, value: number): Bytes => [...varint(field * 8), ...varint(value)];
const block = (field: number, bytes: Bytes): Bytes => [...varint(field * 8 + 2), ...varint(bytes.length), ...bytes];
const text = (field: number, value: string): Bytes => block(field, [...new TextEncoder().encode(value)]);
const float = (value: number): Bytes => [...new Uint8Array(Float32Array.of(value).buffer)];

function valueInfo(name: string, shape: number[]): Bytes {
  const dimensions = shape.flatMap((extent) => block(1, integer(1, extent)));
  return [...text(1, name), ...block(2, block(1, [...integer(1, f32), ...block(2, dimensions)]))];
}

function attribute(name: string, value: number | number[], isFloat: boolean): Bytes {
  if (Array.isArray(value)) return [...text(1, name), ...value.flatMap((each) => integer(8, each)), ...integer(20, 7)];
  if (isFloat) return [...text(1, name), ...varint(2 * 8 + 5), ...float(value), ...integer(20, 1)];
  return [...text(1, name), ...integer(3, value), ...integer(20, 2)];
}

function node({ op, inputs, outputs, attributes = {}, floats = [] }: OnnxNode): Bytes {
  return [
    ...inputs.flatMap((name) => text(1, name)),
    ...outputs.flatMap((name) => text(2, name)),
    ...text(3, outputs[0]!),
    ...text(4, op),
    ...Object.entries(attributes).flatMap(([name, value]) => block(5, attribute(name, value, floats.includes(name)))),
  ];
}

export function onnxModel({ inputs, outputs, constants = {}, nodes }: OnnxGraph): Uint8Array {
  const tensors = Object.entries(constants).flatMap(([name, { shape, values }]) =>
    block(5, [...shape.flatMap((extent) => integer(1, extent)), ...integer(2, f32), ...text(8, name), ...block(9, values.flatMap(float))]),
  );
  const graph = [
    ...nodes.flatMap((each) => block(1, node(each))),
    ...text(2, 'bench'),
    ...tensors,
    ...Object.entries(inputs).flatMap(([name, shape]) => block(11, valueInfo(name, shape))),
    ...Object.entries(outputs).flatMap(([name, shape]) => block(12, valueInfo(name, shape))),
  ];
  return Uint8Array.from([...integer(1, 8), ...block(7, graph), ...block(8, integer(2, 17))]);
}
