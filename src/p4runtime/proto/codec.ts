import protobuf from 'protobufjs/minimal.js';
import type { FieldPlan, FieldType, MessagePlan, ScalarName } from './field-plan.ts';

const { Reader, Writer, util } = protobuf;
type ReaderLike = protobuf.Reader;
type WriterLike = protobuf.Writer;
type Plain = Record<string, unknown>;

const VARINT = 0;
const DELIMITED = 2;
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * protobufjs writes 64-bit numbers; a bigint beyond 2^53 goes as its decimal text, which it parses.
 * @throws RangeError on what 64 bits do not hold.
 */
function wide(value: unknown, signed: boolean): number | string {
  if (typeof value === 'number') return value;
  const big = value as bigint;
  if (big >= (signed ? -MAX_SAFE : 0n) && big <= MAX_SAFE) return Number(big);
  const cut = signed ? BigInt.asIntN(64, big) : BigInt.asUintN(64, big);
  if (cut !== big) throw new RangeError(`${big} does not fit a 64-bit ${signed ? 'int64' : 'uint64'}`);
  return big.toString();
}

function fromWide(value: Parameters<typeof util.LongBits.from>[0], signed: boolean): bigint {
  const { lo, hi } = util.LongBits.from(value);
  if (hi === 0) return BigInt(lo >>> 0);
  const unsigned = (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
  return signed ? BigInt.asIntN(64, unsigned) : unsigned;
}

function writeScalar(w: WriterLike, scalar: ScalarName, value: unknown): void {
  switch (scalar) {
    case 'uint32':
      w.uint32(value as number);
      return;
    case 'int32':
      w.int32(value as number);
      return;
    case 'uint64':
      w.uint64(wide(value, false));
      return;
    case 'int64':
      w.int64(wide(value, true));
      return;
    case 'bool':
      w.bool(value as boolean);
      return;
    case 'string':
      w.string(value as string);
      return;
    case 'bytes':
      w.bytes(value as Uint8Array);
  }
}

function readScalar(r: ReaderLike, scalar: ScalarName): unknown {
  switch (scalar) {
    case 'uint32':
      return r.uint32();
    case 'int32':
      return r.int32();
    case 'uint64':
      return fromWide(r.uint64(), false);
    case 'int64':
      return fromWide(r.int64(), true);
    case 'bool':
      return r.bool();
    case 'string':
      return r.string();
    case 'bytes':
      return r.bytes();
  }
}

const wireType = (type: FieldType): number =>
  type.kind === 'message' || (type.kind === 'scalar' && (type.scalar === 'string' || type.scalar === 'bytes'))
    ? DELIMITED
    : VARINT;

const enumNumber = (byName: Readonly<Record<string, number>>, value: unknown): number => {
  const number = typeof value === 'number' ? value : byName[String(value)];
  if (number === undefined)
    throw new TypeError(`${String(value)} is none of ${Object.keys(byName).join(', ')}`);
  return number;
};

function writeValue(w: WriterLike, type: FieldType, value: unknown): void {
  if (type.kind === 'scalar') writeScalar(w, type.scalar, value);
  else if (type.kind === 'enum') w.int32(enumNumber(type.byName, value));
  else {
    w.fork();
    encodeInto(w, type.message, value as Plain);
    w.ldelim();
  }
}

/** Whether proto3 leaves the value out where no oneof tells that it was set. */
function isDefault(type: FieldType, value: unknown): boolean {
  if (type.kind === 'message') return false;
  if (type.kind === 'enum') return value === 0 || type.byName[String(value)] === 0;
  return (
    value === 0 ||
    value === 0n ||
    value === false ||
    value === '' ||
    (value instanceof Uint8Array && value.length === 0)
  );
}

function writeField(w: WriterLike, field: FieldPlan, value: unknown): void {
  const wire = wireType(field.type);
  if (field.rule === 'one') {
    if (field.oneof === undefined && isDefault(field.type, value)) return;
    w.uint32((field.id << 3) | wire);
    writeValue(w, field.type, value);
    return;
  }
  if (field.rule === 'map') {
    for (const [key, item] of Object.entries(value as Plain)) {
      w.uint32((field.id << 3) | DELIMITED).fork();
      w.uint32((1 << 3) | DELIMITED).string(key);
      w.uint32((2 << 3) | wire);
      writeValue(w, field.type, item);
      w.ldelim();
    }
    return;
  }
  const items = value as readonly unknown[];
  if (wire === VARINT && items.length > 0) {
    w.uint32((field.id << 3) | DELIMITED).fork();
    for (const item of items) writeValue(w, field.type, item);
    w.ldelim();
    return;
  }
  for (const item of items) {
    w.uint32((field.id << 3) | wire);
    writeValue(w, field.type, item);
  }
}

function encodeInto(w: WriterLike, plan: MessagePlan, message: Plain): void {
  for (const field of plan.fields) {
    const value = message[field.name];
    if (value !== undefined && value !== null) writeField(w, field, value);
  }
}

function readValue(r: ReaderLike, type: FieldType): unknown {
  if (type.kind === 'scalar') return readScalar(r, type.scalar);
  if (type.kind === 'enum') {
    const number = r.int32();
    return type.byNumber.get(number) ?? number;
  }
  return decodeFrom(r, type.message, r.uint32());
}

const EMPTY = new Uint8Array(0);

function defaultOf(type: FieldType): unknown {
  if (type.kind === 'enum') return type.byNumber.get(0) ?? 0;
  if (type.kind === 'message') return undefined;
  switch (type.scalar) {
    case 'bool':
      return false;
    case 'string':
      return '';
    case 'bytes':
      return EMPTY;
    case 'uint64':
    case 'int64':
      return 0n;
    default:
      return 0;
  }
}

function emptyMessage(plan: MessagePlan): Plain {
  const message: Plain = {};
  for (const field of plan.fields) {
    if (field.rule === 'repeated') message[field.name] = [];
    else if (field.rule === 'map') message[field.name] = {};
    else if (field.oneof === undefined && field.type.kind !== 'message')
      message[field.name] = defaultOf(field.type);
  }
  return message;
}

function readMapEntry(r: ReaderLike, type: FieldType, into: Plain): void {
  const end = r.uint32() + r.pos;
  let key = '';
  let value = type.kind === 'message' ? emptyMessage(type.message) : defaultOf(type);
  while (r.pos < end) {
    const tag = r.uint32();
    if (tag >>> 3 === 1) key = r.string();
    else if (tag >>> 3 === 2) value = readValue(r, type);
    else r.skipType(tag & 7);
  }
  into[key] = value;
}

function readField(r: ReaderLike, field: FieldPlan, wire: number, message: Plain, plan: MessagePlan): void {
  if (field.rule === 'map') {
    readMapEntry(r, field.type, message[field.name] as Plain);
    return;
  }
  if (field.rule === 'repeated') {
    const items = message[field.name] as unknown[];
    if (wire === DELIMITED && wireType(field.type) === VARINT) {
      const end = r.uint32() + r.pos;
      while (r.pos < end) items.push(readValue(r, field.type));
    } else items.push(readValue(r, field.type));
    return;
  }
  // The last member of a oneof on the wire is the one that counts.
  if (field.oneof !== undefined)
    for (const other of plan.fields) if (other.oneof === field.oneof) delete message[other.name];
  message[field.name] = readValue(r, field.type);
}

function decodeFrom(r: ReaderLike, plan: MessagePlan, length: number): Plain {
  const end = r.pos + length;
  if (end > r.len) throw new RangeError(`${plan.fullName}: truncated`);
  const message = emptyMessage(plan);
  while (r.pos < end) {
    const tag = r.uint32();
    const field = plan.byId.get(tag >>> 3);
    const wire = tag & 7;
    const fits =
      field !== undefined && (wire === wireType(field.type) || (field.rule !== 'one' && wire === DELIMITED));
    if (fits) readField(r, field, wire, message, plan);
    else r.skipType(wire);
  }
  return message;
}

/** A message in protobuf's binary format. */
export function encodeMessage(plan: MessagePlan, message: object): Uint8Array {
  const writer = Writer.create();
  encodeInto(writer, plan, message as Plain);
  return writer.finish();
}

/** @throws RangeError on bytes that are no message. Unknown fields are skipped, as protobuf has it. */
export function decodeMessage(plan: MessagePlan, bytes: Uint8Array): object {
  return decodeFrom(Reader.create(bytes), plan, bytes.length);
}
