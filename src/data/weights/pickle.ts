/**
 * A reader of the part of Python's pickle format (protocols 2 to 5, pickletools.py of CPython) in which PyTorch writes state
 * dictionaries. It builds lists, dictionaries, numbers, strings and descriptions of tensors, and nothing else: names other than
 * PyTorch's storages and rebuild functions are refused, and nothing of the file is ever run.
 *
 * Work and memory are bounded by the length of the pickle: every operation takes at least a byte of it and makes at most one value.
 */
import { callGlobal, namedGlobal, PickleTuple, quoted, storageOf, type PickleValue } from './pickle-values.ts';

type Fail = (rule: string) => Error;

const PROTOCOL = 0x80;
const decoder = new TextDecoder();
/** Integers of more bytes than a 64-bit one are no part of a tensor. */
const MAX_LONG_BYTES = 9;

class Machine {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly makeError: Fail;
  private readonly stack: PickleValue[] = [];
  /** Heights of the stack at the open marks. */
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, PickleValue>();
  private at = 0;
  private operationAt = 0;

  constructor(bytes: Uint8Array, makeError: Fail) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.makeError = makeError;
  }

  run(): PickleValue {
    if (this.bytes[0] !== PROTOCOL) throw this.fail('it must start with the protocol of a pickle');
    for (;;) {
      this.operationAt = this.at;
      const operation = this.bytes[this.take(1)]!;
      if (operation === 0x2e) return this.pop(); // STOP
      this.step(operation);
    }
  }

  readonly fail: Fail = (rule) => this.makeError(`pickle byte ${this.operationAt}: ${rule}`);

  /** Moves past `length` bytes and says where they start. */
  private take(length: number): number {
    const start = this.at;
    if (length > this.bytes.length - start) throw this.fail('it was cut off');
    this.at = start + length;
    return start;
  }

  private byte(): number {
    return this.bytes[this.take(1)]!;
  }

  private uint32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  private text(length: number): string {
    const start = this.take(length);
    return decoder.decode(this.bytes.subarray(start, start + length));
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) throw this.fail('it was cut off');
    const text = this.text(end - this.at);
    this.take(1);
    return text;
  }

  private push(value: PickleValue): void {
    this.stack.push(value);
  }

  /** The topmost value above the innermost mark. */
  private pop(): PickleValue {
    if (this.stack.length <= (this.marks.at(-1) ?? 0)) throw this.fail('the stack is empty');
    return this.stack.pop()!;
  }

  private top(): PickleValue {
    const value = this.pop();
    this.push(value);
    return value;
  }

  /** What was pushed since the innermost mark. */
  private popToMark(): PickleValue[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw this.fail('there is no mark on the stack');
    return this.stack.splice(mark);
  }

  private tuple(length: number): void {
    const items = Array.from({ length }, () => this.pop());
    this.push(new PickleTuple(items.reverse()));
  }

  private setItems(pairs: readonly PickleValue[]): void {
    const dict = this.top();
    if (!(dict instanceof Map) || pairs.length % 2) throw this.fail('keys and values are set on something that is no dictionary');
    for (let i = 0; i < pairs.length; i += 2) dict.set(pairs[i]!, pairs[i + 1]!);
  }

  private append(values: readonly PickleValue[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw this.fail('values are appended to something that is no list');
    for (const value of values) list.push(value);
  }

  private recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) throw this.fail(`memo ${index} was never stored`);
    this.push(value);
  }

  /** A little-endian two's complement integer. */
  private long(length: number): void {
    if (length > MAX_LONG_BYTES) throw this.fail(`an integer of ${length} bytes is no part of a tensor`);
    const start = this.take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.bytes[start + i]!);
    if (length && this.bytes[start + length - 1]! & 0x80) value -= 1n << BigInt(8 * length);
    const small = Number(value);
    this.push(Number.isSafeInteger(small) ? small : value);
  }

  /** State of an object. OrderedDict carries the versions of its modules there, which no tensor needs. */
  private build(): void {
    this.pop();
    if (!(this.top() instanceof Map)) throw this.fail('a state is set on something that is no OrderedDict');
  }

  private global(): void {
    const module = this.line();
    this.push(namedGlobal(module, this.line(), this.fail));
  }

  private stackGlobal(): void {
    const [name, module] = [this.pop(), this.pop()];
    if (typeof name !== 'string' || typeof module !== 'string') throw this.fail('a name must be a string');
    this.push(namedGlobal(module, name, this.fail));
  }

  private reduce(): void {
    const args = this.pop();
    this.push(callGlobal(this.pop(), args, this.fail));
  }

  private step(operation: number): void {
    switch (operation) {
      case PROTOCOL: {
        const protocol = this.byte();
        if (protocol < 2 || protocol > 5) throw this.fail(`protocol must be 2 to 5, got ${protocol}`);
        return;
      }
      case 0x95: return void this.take(8); // FRAME: only a hint for reading ahead
      case 0x28: return void this.marks.push(this.stack.length); // MARK
      case 0x30: return void this.pop(); // POP
      case 0x4e: return this.push(null); // NONE
      case 0x88: return this.push(true); // NEWTRUE
      case 0x89: return this.push(false); // NEWFALSE
      case 0x4b: return this.push(this.byte()); // BININT1
      case 0x4d: return this.push(this.view.getUint16(this.take(2), true)); // BININT2
      case 0x4a: return this.push(this.view.getInt32(this.take(4), true)); // BININT
      case 0x8a: return this.long(this.byte()); // LONG1
      case 0x47: return this.push(this.view.getFloat64(this.take(8), false)); // BINFLOAT
      case 0x58: return this.push(this.text(this.uint32())); // BINUNICODE
      case 0x8c: return this.push(this.text(this.byte())); // SHORT_BINUNICODE
      case 0x55: return this.push(this.text(this.byte())); // SHORT_BINSTRING, Python 2's str
      case 0x54: return this.push(this.text(this.uint32())); // BINSTRING
      case 0x7d: return this.push(new Map()); // EMPTY_DICT
      case 0x5d: return this.push([]); // EMPTY_LIST
      case 0x29: return this.tuple(0); // EMPTY_TUPLE
      case 0x85: return this.tuple(1); // TUPLE1
      case 0x86: return this.tuple(2); // TUPLE2
      case 0x87: return this.tuple(3); // TUPLE3
      case 0x74: return this.push(new PickleTuple(this.popToMark())); // TUPLE
      case 0x61: return this.append([this.pop()]); // APPEND
      case 0x65: return this.append(this.popToMark()); // APPENDS
      case 0x73: { // SETITEM
        const value = this.pop();
        return this.setItems([this.pop(), value]);
      }
      case 0x75: return this.setItems(this.popToMark()); // SETITEMS
      case 0x71: return void this.memo.set(this.byte(), this.top()); // BINPUT
      case 0x72: return void this.memo.set(this.uint32(), this.top()); // LONG_BINPUT
      case 0x94: return void this.memo.set(this.memo.size, this.top()); // MEMOIZE
      case 0x68: return this.recall(this.byte()); // BINGET
      case 0x6a: return this.recall(this.uint32()); // LONG_BINGET
      case 0x63: return this.global(); // GLOBAL
      case 0x93: return this.stackGlobal(); // STACK_GLOBAL
      case 0x52: return this.reduce(); // REDUCE
      case 0x62: return this.build(); // BUILD
      case 0x51: return this.push(storageOf(this.pop(), this.fail)); // BINPERSID
      default: throw this.fail(`operation ${quoted(String.fromCharCode(operation))} (0x${operation.toString(16)}) is no part of a tensor's pickle`);
    }
  }
}

/**
 * The value of a pickle of tensors.
 * @param fail makes the error; its rule says at which byte of the pickle what was found
 */
export function readTensorPickle(bytes: Uint8Array, fail: Fail): PickleValue {
  return new Machine(bytes, fail).run();
}
