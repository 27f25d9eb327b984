import protobuf from 'protobufjs/minimal.js';
import { BackwardWriter } from './backward-writer.ts';
import type { FieldPlan, FieldType, MessagePlan, ScalarName } from './field-plan.ts';

const { Reader, util } = protobuf;
type ReaderLike = protobuf.Reader;
type Plain = Record<string, unknown>;

const VARINT = 0;
const DELIMITED = 2;

function fromWide(value: Parameters<typeof util.LongBits.from>[0], signed: boolean): bigint {
  const { lo, hi } = util.LongBits.from(value);
  if (hi === 0) return BigInt(lo >>> 0);
  const unsigned = (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
  return signed ? BigInt.asIntN(64, unsigned) : unsigned;
}

function writeScalar(w: BackwardWriter, scalar: ScalarName, value: unknown): void {
  switch (scalar) {
    case 'uint32':
      w.varint(checked(value as number, 0, 0xffff_ffff, scalar));
      return;
    case 'int32':
      // A negative one is written as 64 bits.
      w.wide(checked(value as number, -0x8000_0000, 0x7fff_ffff, scalar), true);
      return;
    case 'uint64':
      w.wide(value as number | bigint, false);
      return;
    case 'int64':
      w.wide(value as number | bigint, true);
      return;
    case 'bool':
      w.varint(value === true ? 1 : 0);
      return;
    case 'string':
      w.bytes(Buffer.from(value as string, 'utf8'));
      return;
    case 'bytes':
      w.bytes(value as Uint8Array);
  }
}

function checked(value: number, least: number, most: number, scalar: ScalarName): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`${value} does not fit ${scalar}`);
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

const enumNumber = (byName: Readonly<Record<string, number>>, value: unknown): number => {
  const number = typeof value === 'number' ? value : byName[String(value)];
  if (number === undefined)
    throw new TypeError(`${String(value)} is none of ${Object.keys(byName).join(', ')}`);
  return number;
};

function writeValue(w: BackwardWriter, type: FieldType, value: unknown): void {
  if (type.kind === 'scalar') writeScalar(w, type.scalar, value);
  else if (type.kind === 'enum') w.wide(enumNumber(type.byName, value), true);
  else {
    const before = w.length;
    encodeInto(w, type.message, value as Plain);
    w.varint(w.length - before);
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

/** Everything in reverse: the last field first, and of each field the value, then its length, then its tag. */
function writeField(w: BackwardWriter, field: FieldPlan, value: unknown): void {
  if (field.rule === 'one') {
    if (field.oneof === undefined && isDefault(field.type, value)) return;
    writeValue(w, field.type, value);
    w.varint((field.id << 3) | field.wire);
  } else if (field.rule === 'map') writeMap(w, field, value as Plain);
  else writeList(w, field, value as readonly unknown[]);
}

function writeMap(w: BackwardWriter, field: FieldPlan, entries: Plain): void {
  for (const key of Object.keys(entries).reverse()) {
    const before = w.length;
    writeValue(w, field.type, entries[key]);
    w.varint((2 << 3) | field.wire);
    w.bytes(Buffer.from(key, 'utf8'));
    w.varint((1 << 3) | DELIMITED);
    w.varint(w.length - before);
    w.varint((field.id << 3) | DELIMITED);
  }
}

/** Numbers are packed into one field. */
function writeList(w: BackwardWriter, field: FieldPlan, items: readonly unknown[]): void {
  const packed = field.wire === VARINT;
  const before = w.length;
  for (let i = items.length - 1; i >= 0; i--) {
    writeValue(w, field.type, items[i]);
    if (!packed) w.varint((field.id << 3) | DELIMITED);
  }
  if (!packed || items.length === 0) return;
  w.varint(w.length - before);
  w.varint((field.id << 3) | DELIMITED);
}

/**
 * Messages are sparse, so their own keys are looked up in the plan instead of all fields in the message; sorted, so that
 * the same message gives the same bytes.
 */
function encodeInto(w: BackwardWriter, plan: MessagePlan, message: Plain): void {
  const fields: FieldPlan[] = [];
  for (const key of Object.keys(message)) {
    const field = plan.byName.get(key);
    if (field === undefined) continue;
    let at = fields.length;
    while (at > 0 && fields[at - 1]!.id > field.id) at--;
    if (at === fields.length) fields.push(field);
    else fields.splice(at, 0, field);
  }
  for (let i = fields.length - 1; i >= 0; i--) {
    const field = fields[i]!;
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
    if (wire === DELIMITED && field.wire === VARINT) {
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
    const fits = field !== undefined && (wire === field.wire || (field.rule !== 'one' && wire === DELIMITED));
    if (fits) readField(r, field, wire, message, plan);
    else r.skipType(wire);
  }
  return message;
}

/** A message in protobuf's binary format. */
export function encodeMessage(plan: MessagePlan, message: object): Buffer {
  const writer = new BackwardWriter();
  encodeInto(writer, plan, message as Plain);
  return writer.finish();
}

/** @throws RangeError on bytes that are no message. Unknown fields are skipped, as protobuf has it. */
export function decodeMessage(plan: MessagePlan, bytes: Uint8Array): object {
  return decodeFrom(Reader.create(bytes), plan, bytes.length);
}
