import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bytesAccess, ELEMENT_BYTES, isFloat, openPytorch, openWeights, type ElementType, type RandomAccess, type TensorFile } from '../../../../src/data/index.ts';
import { zipFile } from './zip-file.ts';

const folder = new URL('../../../fixtures/data/weights/', import.meta.url);
const read = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, folder)));
const open = (name: string): Promise<TensorFile> => openWeights(bytesAccess(read(name)), name);

interface Described {
  shape: number[];
  dtype: string;
  values: number[];
}
const expected = JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8')) as Record<'tensors' | 'training' | 'nested', Record<string, Described>>;

const names: Record<string, ElementType> = { float32: 'F32', float64: 'F64', float16: 'F16', bfloat16: 'BF16', int64: 'I64', int32: 'I32', int16: 'I16', int8: 'I8', uint8: 'U8', bool: 'BOOL' };

async function valuesOf(file: TensorFile, tensor: string, range?: { start: number; end: number }): Promise<number[]> {
  const { dtype } = file.tensors.get(tensor)!;
  if (isFloat(dtype)) return [...(await file.readFloat32(tensor, range))];
  const bytes = await file.readBytes(tensor, range);
  const view = new DataView(bytes.buffer);
  const one: Partial<Record<ElementType, (at: number) => number>> = {
    I64: (at) => Number(view.getBigInt64(at, true)), I32: (at) => view.getInt32(at, true), I16: (at) => view.getInt16(at, true),
    I8: (at) => view.getInt8(at), U8: (at) => view.getUint8(at), BOOL: (at) => view.getUint8(at),
  };
  return Array.from({ length: bytes.length / ELEMENT_BYTES[dtype] }, (_, i) => one[dtype]!(i * ELEMENT_BYTES[dtype]));
}

async function expectTensors(file: TensorFile, wanted: Record<string, Described>): Promise<void> {
  expect([...file.tensors.keys()]).toEqual(Object.keys(wanted));
  for (const [name, { shape, dtype, values }] of Object.entries(wanted)) {
    expect(file.tensors.get(name), name).toMatchObject({ shape, dtype: names[dtype] });
    const asFloat32 = isFloat(names[dtype]!) ? values.map(Math.fround) : values;
    expect(await valuesOf(file, name), name).toEqual(asFloat32);
    if (values.length > 2) expect(await valuesOf(file, name, { start: 1, end: values.length - 1 }), `${name}, a part`).toEqual(asFloat32.slice(1, -1));
  }
}

describe('openPytorch', () => {
  for (const name of ['tensors.pt', 'protocol4.pt']) {
    it(`reads every element type, strided and shared views, a Parameter and an OrderedDict: ${name}`, async () => expectTensors(await open(name), expected.tensors));
  }
  for (const name of ['training.pt', 'byteorder-little.pt']) {
    it(`finds the model in a training checkpoint: ${name}`, async () => expectTensors(await open(name), expected.training));
  }
  it('finds a nested state dictionary', async () => expectTensors(await open('nested.pt'), expected.nested));

  it('reads ZIP64 fields, and a comment at the end', async () => {
    const plain = read('training.pt');
    const entries = await storedEntries(plain);
    await expectTensors(await openPytorch(bytesAccess(zipFile(entries, { zip64: true })), 'zip64'), expected.training);
    await expectTensors(await openPytorch(bytesAccess(zipFile(entries, { comment: 'a comment' })), 'comment'), expected.training);
  });

  it('reads only what is asked for', async () => {
    const bytes = read('tensors.pt');
    let largest = 0;
    const access: RandomAccess = {
      byteLength: bytes.length,
      read: (offset, length) => {
        largest = Math.max(largest, length);
        return bytesAccess(bytes).read(offset, length);
      },
    };
    const file = await openPytorch(access, 'x');
    largest = 0;
    expect(await file.readFloat32('plain', { start: 3, end: 5 })).toHaveLength(2);
    expect(largest).toBe(8);
  });

  const refused: [name: string, message: string | RegExp][] = [
    ['evil.pt', /^openPytorch: evil\.pt: pickle byte \d+: it names "posix\.system", which no tensor needs, so it is refused; nothing in the file was run\. Save the weights alone/],
    ['namespace.pt', /it names "argparse\.Namespace", which no tensor needs/],
    ['sparse.pt', /it names "torch\._utils\._rebuild_sparse_tensor", which no tensor needs/],
    ['legacy.pt', /^openWeights: legacy\.pt: this is a pickle, the format of PyTorch before 1\.6, which is not read; convert it .*torch\.save\(torch\.load\("legacy\.pt", map_location="cpu"\), "converted\.pt"\)/],
    ['byteorder-big.pt', /its byte order must be "little", got "big"; load and save it again on a little-endian machine/],
    ['deflated.pt', /the ZIP entry "training\/data\.pkl" is compressed \(method 8\)/],
    ['two-models.pt', /it holds 2 dictionaries of tensors \("one", "two"\) and none under a usual name/],
    ['no-tensors.pt', /it holds no dictionary of tensors but a list; save it with torch\.save\(model\.state_dict\(\)/],
  ];
  it.each(refused)('refuses %s', async (name, message) => {
    await expect(open(name)).rejects.toThrow(message);
    expect(existsSync('evil-was-here')).toBe(false);
  });
});

/** Names and bytes of a ZIP's stored entries, read the plain way. */
async function storedEntries(bytes: Uint8Array): Promise<Record<string, Uint8Array>> {
  const { unzipSync } = await import('fflate');
  return unzipSync(bytes);
}

/** A checkpoint around a pickle written by hand, with one storage of 24 bytes. */
const around = (pickle: Buffer, storage: Uint8Array = new Uint8Array(24)): Uint8Array => zipFile({ 'a/data.pkl': pickle, 'a/data/0': storage });
const text = (value: string): Buffer => Buffer.concat([Buffer.from([0x58, value.length, 0, 0, 0]), Buffer.from(value)]);
const global = (name: string): Buffer => Buffer.from(`c${name.replace(/\.(?=[^.]*$)/, '\n')}\n`);
const int = (value: number): Buffer => Buffer.concat([Buffer.from('J'), Buffer.from(Int32Array.of(value).buffer)]);
const tuple = (...items: Buffer[]): Buffer => Buffer.concat([Buffer.from('('), ...items, Buffer.from('t')]);
const storage = (elements: number, type = 'torch.FloatStorage'): Buffer => Buffer.concat([tuple(text('storage'), global(type), text('0'), text('cpu'), int(elements)), Buffer.from('Q')]);
const call = (name: string, ...args: Buffer[]): Buffer => Buffer.concat([global(name), tuple(...args), Buffer.from('R')]);
const tensor = (shape: number[], strides: number[], offset = 0, elements = 6): Buffer =>
  call('torch._utils._rebuild_tensor_v2', storage(elements), int(offset), tuple(...shape.map(int)), tuple(...strides.map(int)), Buffer.from([0x89]), Buffer.from('}'));
const program = (...parts: Buffer[]): Buffer => Buffer.concat([Buffer.from([0x80, 2]), ...parts, Buffer.from('.')]);
const dict = (name: string, value: Buffer): Buffer => Buffer.concat([Buffer.from('}'), text(name), value, Buffer.from('s')]);
const openHand = (pickle: Buffer, bytes?: Uint8Array<ArrayBuffer>): Promise<TensorFile> => openPytorch(bytesAccess(around(pickle, bytes)), 'x.pt');

describe('a pickle written by hand', () => {
  it('gives the tensor it describes', async () => {
    const stored = new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);
    const file = await openHand(program(dict('w', tensor([3, 2], [1, 3]))), stored);
    expect([...(await file.readFloat32('w'))]).toEqual([0, 3, 1, 4, 2, 5]);
  });

  const refused: [what: string, pickle: Buffer, message: string | RegExp][] = [
    ['a call of os.system', program(call('os.system', text('echo gone > evil-was-here'))), /it names "os\.system"/],
    ['a call of builtins.eval by STACK_GLOBAL', program(text('builtins'), text('eval'), Buffer.from([0x93]), tuple(text('1')), Buffer.from('R')), /it names "builtins\.eval"/],
    ['a name with a line break or quotes', program(global('o"s.\u0007x')), /it names "o\\"s\.\\u0007x"/],
    ['INST, OBJ and the like', program(Buffer.from('(ios\nsystem\n')), /operation "i" \(0x69\) is no part of a tensor's pickle/],
    ['EXT1', program(Buffer.from([0x82, 1])), /operation "\u0082" \(0x82\)/],
    ['a call of a storage', program(call('torch.FloatStorage', int(9))), /it calls "torch\.FloatStorage", which is a type/],
    ['a state on a list', program(Buffer.from(']}b')), /a state is set on something that is no OrderedDict/],
    ['a tensor past its storage', program(dict('w', tensor([7], [1]))), /a tensor \[7\] reaches to element 6 of storage "0", which has 6/],
    ['a stride past its storage', program(dict('w', tensor([2, 2], [1, 5]))), /reaches to element 6/],
    ['an offset past its storage', program(dict('w', tensor([1], [1], 6))), /reaches to element 6/],
    ['a negative stride', program(dict('w', tensor([2], [-1], 3))), /whole numbers ≥ 0/],
    ['fewer strides than sizes', program(dict('w', tensor([2, 1], [1]))), /as many strides as sizes/],
    ['a storage larger than its entry', program(dict('w', tensor([7], [1], 0, 7))), /storage "0" of 7 F32 needs 28 bytes, it has 24; the file is damaged/],
    ['a tensor that repeats its storage without end', program(dict('w', tensor([2 ** 30, 2 ** 30], [0, 0]))), /repeats the 6 elements of its storage; save it with \.contiguous\(\)/],
    ['a huge string', program(Buffer.from([0x58, 0xff, 0xff, 0xff, 0xff])), /pickle byte 2: it was cut off/],
    ['a huge integer', program(Buffer.from([0x8a, 200]), Buffer.alloc(200)), /an integer of 200 bytes is no part of a tensor/],
    ['a memo that was never stored', program(Buffer.from([0x68, 9])), /memo 9 was never stored/],
    ['a POP below a mark', program(Buffer.from('}(0')), /the stack is empty/],
    ['a TUPLE without a mark', program(Buffer.from('t')), /there is no mark/],
    ['no STOP', Buffer.from([0x80, 2, 0x7d]), /it was cut off/],
    ['protocol 1', Buffer.from([0x80, 1, 0x2e]), /protocol must be 2 to 5, got 1/],
    ['text', Buffer.from('hello'), /it must start with the protocol of a pickle/],
    ['a dictionary in itself', program(Buffer.from('}q\u0000'), text('a'), Buffer.from('h\u0000s')), /it holds no dictionary of tensors but a dictionary with the keys "a"/],
  ];
  it.each(refused)('refuses %s', async (_, pickle, message) => {
    await expect(openHand(pickle)).rejects.toThrow(message);
    expect(existsSync('evil-was-here')).toBe(false);
  });

  it('takes work in proportion to its length where dictionaries share dictionaries a million times over', async () => {
    // d0 = {}; d(n+1) = {"a": dn, "b": dn}: 2^60 paths.
    const levels = Array.from({ length: 60 }, (_, n) => Buffer.concat([Buffer.from('}'), text('a'), Buffer.from([0x68, n]), Buffer.from('s'), text('b'), Buffer.from([0x68, n]), Buffer.from('s'), Buffer.from([0x71, n + 1])]));
    await expect(openHand(program(Buffer.from('}q\u0000'), ...levels))).rejects.toThrow('it holds no dictionary of tensors');
  });
});
