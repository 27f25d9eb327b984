import protobuf from 'protobufjs/minimal.js';
import { CompiledFunctions } from './compiled.ts';
import type { FieldPlan, FieldType, MessagePlan, ScalarName } from './field-plan.ts';

/**
 * From bytes to what programs see: 64-bit numbers as bigints, enums by name, defaults where nothing was sent, of each oneof the
 * member that was sent last. protobufjs' reader reads the values; its decoders are not used, because they make of each message
 * an object of their own, which would live just long enough to be copied: of an answer with 10,000 entries that is more
 * garbage than answer, and clearing it away took longer than reading.
 */

/** A 64-bit number of protobufjs. */
interface Halves {
  readonly low: number;
  readonly high: number;
}

type Read = (reader: protobuf.Reader, depth: number) => object;

const LENGTH_PREFIXED = 2;

/** What the functions of all types share. */
const shared = {
  empty: new Uint8Array(0),
  /** What a message is read from that was not sent. */
  nothing: protobuf.Reader.create(new Uint8Array(0)),
  uint64: ({ low, high }: Halves): bigint =>
    high === 0 ? BigInt(low >>> 0) : (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0),
  int64: ({ low, high }: Halves): bigint =>
    high === 0 ? BigInt(low >>> 0) : (BigInt(high | 0) << 32n) | BigInt(low >>> 0),
  enum: (byNumber: ReadonlyMap<number, string>, value: number): string | number =>
    byNumber.get(value) ?? value,
  bytes(reader: protobuf.Reader): Uint8Array {
    const bytes = reader.bytes();
    return bytes.length === 0 ? shared.empty : bytes;
  },
  /** protobufjs' own cuts a text that goes beyond the end. */
  string(reader: protobuf.Reader): string {
    const { buffer, byteOffset, byteLength } = reader.bytes();
    return Buffer.from(buffer, byteOffset, byteLength).toString();
  },
  /** Enters what has a length: the reader then ends where that does. @returns where it ended before */
  enter(reader: protobuf.Reader, depth: number): number {
    if (depth >= protobuf.Reader.recursionLimit) throw new RangeError('messages nest too deep');
    const length = reader.uint32();
    const [outer, end] = [reader.len, reader.pos + length];
    if (end > outer) throw new RangeError(`a field of ${length} bytes goes beyond the end`);
    reader.len = end;
    return outer;
  },
  leave(reader: protobuf.Reader, outer: number): void {
    if (reader.pos !== reader.len) throw new RangeError('a value goes beyond the end of its message');
    reader.len = outer;
  },
  /** Most lists have one member, and a list that grows has room for sixteen more. */
  add(list: unknown[] | undefined, item: unknown): unknown[] {
    if (list === undefined) return [item];
    list.push(item);
    return list;
  },
  /** A list that is no longer than it is. */
  list: (list: unknown[] | undefined): unknown[] =>
    list === undefined ? [] : list.length === 1 ? list : list.slice(),
  map: (entries: (readonly [string, unknown])[] | undefined): object => Object.fromEntries(entries ?? []),
};

const SCALARS: Readonly<Record<ScalarName, { readonly read: string; readonly absent: string }>> = {
  uint32: { read: 'r.uint32()', absent: '0' },
  int32: { read: 'r.int32()', absent: '0' },
  uint64: { read: 's.uint64(r.uint64())', absent: '0n' },
  int64: { read: 's.int64(r.int64())', absent: '0n' },
  bool: { read: 'r.bool()', absent: 'false' },
  string: { read: 's.string(r)', absent: '""' },
  bytes: { read: 's.bytes(r)', absent: 's.empty' },
};

/** Text that puts the next value into `v`. */
function valueText(type: FieldType, at: number): string {
  switch (type.kind) {
    case 'message':
      return `e = s.enter(r, d); v = c[${at}](r, d + 1); s.leave(r, e);`;
    case 'enum':
      return `v = s.enum(c[${at}].byNumber, r.int32());`;
    case 'scalar':
      return `v = ${SCALARS[type.scalar].read};`;
  }
}

/** Text of a field's default where it is always there: lists, maps, and scalars outside of oneofs. */
function absentText({ rule, type }: FieldPlan, at: number): string {
  if (rule !== 'one') return 'undefined';
  if (type.kind === 'scalar') return SCALARS[type.scalar].absent;
  return type.kind === 'enum' ? `s.enum(c[${at}].byNumber, 0)` : 'undefined';
}

const isWhole = ({ rule, type, oneof }: FieldPlan): boolean =>
  rule !== 'one' || (type.kind !== 'message' && oneof === undefined);

/** Text of one entry of a map: its key is field 1, its value field 2. */
function entryText(field: FieldPlan, at: number): string {
  const absent =
    field.type.kind === 'message' ? `c[${at}](s.nothing, d)` : absentText({ ...field, rule: 'one' }, at);
  return `o = s.enter(r, d); k = ""; w = undefined;
while (r.pos < r.len) {
  t = r.uint32();
  if (t === 10) k = s.string(r);
  else if (t === ${16 | field.wire}) { ${valueText(field.type, at)} w = v; }
  else r.skipType(t & 7, d);
}
s.leave(r, o);
f${at} = s.add(f${at}, [k, w === undefined ? ${absent} : w]);`;
}

/** Text of the cases of one field. */
function casesOf(field: FieldPlan, at: number): string {
  const { id, rule, type, wire, oneof } = field;
  const tag = (id << 3) | wire;
  if (rule === 'map') return `case ${tag}: ${entryText(field, at)} break;`;
  const value = valueText(type, at);
  if (rule === 'repeated') {
    const packed = `case ${(id << 3) | LENGTH_PREFIXED}:
o = s.enter(r, d);
while (r.pos < r.len) { ${value} f${at} = s.add(f${at}, v); }
s.leave(r, o);
break;`;
    return `case ${tag}: ${value} f${at} = s.add(f${at}, v); break;\n${wire === 0 ? packed : ''}`;
  }
  const chosen = oneof === undefined ? '' : ` n_${oneof} = ${id};`;
  return `case ${tag}: ${value} f${at} = v;${chosen} break;`;
}

/** Text of what reads one message, up to where the reader ends. */
function bodyOf({ fields }: MessagePlan): string {
  const oneofs = [...new Set(fields.flatMap((f) => f.oneof ?? []))];
  const whole = fields.flatMap((f, at) => {
    if (!isWhole(f)) return [];
    const value = f.rule === 'one' ? `f${at}` : `s.${f.rule === 'map' ? 'map' : 'list'}(f${at})`;
    return `${f.name}: ${value}`;
  });
  const rest = fields.flatMap((f, at) => {
    if (isWhole(f)) return [];
    const sent = f.oneof === undefined ? `f${at} !== undefined` : `n_${f.oneof} === ${f.id}`;
    return `if (${sent}) m.${f.name} = f${at};`;
  });
  return [
    'let t, v, w, e, o, k;',
    ...fields.map((f, at) => `let f${at} = ${absentText(f, at)};`),
    ...oneofs.map((oneof) => `let n_${oneof} = 0;`),
    'while (r.pos < r.len) {',
    'switch (t = r.uint32()) {',
    ...fields.map(casesOf),
    'default: r.skipType(t & 7, d);',
    '}',
    '}',
    `const m = { ${whole.join(', ')} };`,
    ...rest,
    'return m;',
  ].join('\n');
}

const functions = new CompiledFunctions<typeof shared, Read>('r, d', shared, bodyOf);

/**
 * A message as programs see it. Unknown fields, and known ones of another wire type, are skipped.
 * @throws RangeError, Error on bytes that are cut, or messages that nest too deep
 */
export const readShown = (plan: MessagePlan, bytes: Uint8Array): object =>
  functions.of(plan)(protobuf.Reader.create(bytes), 0);
