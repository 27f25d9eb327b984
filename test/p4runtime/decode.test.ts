/** What is read of bytes, beside what protobufjs' own decoders and converters make of them. */
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { type FieldPlan, type MessagePlan, planMessages } from '../../src/p4runtime/proto/field-plan.ts';
import { descriptor } from '../../src/p4runtime/proto/generated/descriptor.ts';
import { messageCodec, v1Codec } from '../../src/p4runtime/proto/registry.ts';

const plans = planMessages(descriptor);
const root = protobuf.Root.fromJSON(descriptor as protobuf.INamespace);

/** Numbers that are the same in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const WIDE = [0n, 1n, 127n, 128n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n - 1n];

function sampleOf({ type }: FieldPlan, next: (below: number) => number, depth: number): unknown {
  if (type.kind === 'message') return messageOf(type.message, next, depth + 1);
  // A number that has no name yet is kept as a number.
  if (type.kind === 'enum') return [...type.byNumber.keys(), 77][next(type.byNumber.size + 1)];
  switch (type.scalar) {
    case 'bool':
      return next(2) === 1;
    case 'uint32':
      return [0, 1, 300, 2 ** 32 - 1][next(4)];
    case 'int32':
      return [0, 1, -1, -(2 ** 31)][next(4)];
    case 'uint64':
      return [...WIDE, 2n ** 64n - 1n][next(8)];
    case 'int64':
      return [...WIDE, -1n, -(2n ** 63n)][next(9)];
    case 'string':
      return 'ä€😀x'.repeat(next(60));
    case 'bytes':
      return new Uint8Array(next(200)).map((_, i) => i);
  }
}

function messageOf(plan: MessagePlan, next: (below: number) => number, depth: number): object {
  const message: Record<string, unknown> = {};
  const chosen = new Set<string>();
  for (const field of plan.fields) {
    if (next(3) === 0 || (depth > 3 && field.type.kind === 'message')) continue;
    if (field.oneof !== undefined && chosen.has(field.oneof)) continue;
    if (field.oneof !== undefined) chosen.add(field.oneof);
    const one = () => sampleOf(field, next, depth);
    if (field.rule === 'one') message[field.name] = one();
    else if (field.rule === 'repeated') message[field.name] = Array.from({ length: next(4) }, one);
    else message[field.name] = Object.fromEntries(['', 'k', '__proto__x'].map((key) => [key, one()]));
  }
  return message;
}

/** One text of a message, whoever read it: fields by name, numbers of 64 bits and bytes as text, without what was not sent. */
function textOf(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}`;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(textOf);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, v]) => v !== null);
  return Object.fromEntries(entries.map(([k, v]) => [k, textOf(v)]));
}

const OPTIONS = { longs: String, enums: String, bytes: String, defaults: true, arrays: true, objects: true };

function theirs(fullName: string, bytes: Uint8Array): unknown {
  const type = root.lookupType(fullName);
  return textOf(type.toObject(type.decode(bytes), OPTIONS));
}

const codecOf = (fullName: string) => messageCodec(fullName as 'p4.v1.Entity');

/** A field of a length: for bytes that no encoder writes. */
const field = (number: number, bytes: Uint8Array): Uint8Array =>
  protobuf.Writer.create()
    .uint32((number << 3) | 2)
    .bytes(bytes)
    .finish();

describe('what is read', () => {
  test('of every message is what protobufjs reads', () => {
    const next = numbers(1);
    for (const plan of plans.values())
      for (let i = 0; i < 12; i++) {
        const codec = codecOf(plan.fullName);
        const bytes = codec.encode(messageOf(plan, next, 0));
        expect(textOf(codec.decode(bytes)), plan.fullName).toEqual(theirs(plan.fullName, bytes));
      }
  });

  test('has no list that is longer than it says', () => {
    const { updates } = v1Codec('WriteRequest').decode(
      v1Codec('WriteRequest').encode({ updates: Array.from({ length: 300 }, () => ({})) }),
    );
    expect(updates).toHaveLength(300);
    expect(v1Codec('WriteRequest').decode(new Uint8Array(0)).updates).toEqual([]);
  });

  test('of bytes that are cut anywhere is refused, or is what is whole before the cut', () => {
    const next = numbers(2);
    const codec = codecOf('p4.v1.WriteRequest');
    for (let i = 0; i < 6; i++) {
      const bytes = codec.encode(messageOf(plans.get('p4.v1.WriteRequest')!, next, 0));
      for (let end = 0; end < Math.min(bytes.length, 700); end++) {
        const cut = bytes.subarray(0, end);
        let read: unknown;
        try {
          read = codec.decode(cut);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          continue;
        }
        expect(codec.encode(read as object).length).toBeLessThanOrEqual(end);
      }
    }
  });

  test('stays inside a message whose last value says that it is longer', () => {
    const role = Uint8Array.of(0x1a, 5, 0x78);
    const inner = field(1, role);
    const outer = Buffer.concat([inner, Buffer.from('more than five bytes')]);
    expect(() => v1Codec('StreamMessageRequest').decode(outer)).toThrow(RangeError);
    expect(() => v1Codec('Entity').decode(Uint8Array.of(0x12, 2, 0x08, 0x80, 0x01))).toThrow(RangeError);
  });

  test('of a oneof is what was sent last, inside of other messages too', () => {
    const table = v1Codec('Entity').encode({ tableEntry: { tableId: 1 } });
    const counter = v1Codec('Entity').encode({ counterEntry: { counterId: 2 } });
    const read = v1Codec('ReadResponse').decode(
      Buffer.concat([field(1, Buffer.concat([table, counter])), field(1, Buffer.concat([counter, table]))]),
    );
    expect(read.entities.map((e) => Object.keys(e))).toEqual([['counterEntry'], ['tableEntry']]);
  });

  test('of numbers is the same packed and one by one', () => {
    const codec = messageCodec('p4.config.v1.Table');
    const ids = Uint8Array.of(0x38, 5, 0x3a, 2, 6, 7, 0x38, 8);
    const number = plans.get('p4.config.v1.Table')!.byName.get('directResourceIds')!.id;
    expect(number).toBe(7);
    expect(codec.decode(ids).directResourceIds).toEqual([5, 6, 7, 8]);
  });

  test('skips what is unknown: fields, groups, and known fields of another wire type', () => {
    const group = Uint8Array.of(
      ((200 << 3) % 128) | 0x80 | 3,
      (200 << 3) >> 7,
      8,
      1,
      ((200 << 3) % 128) | 0x80 | 4,
      (200 << 3) >> 7,
    );
    const fixed = Uint8Array.of((9 << 3) | 1, 1, 2, 3, 4, 5, 6, 7, 8);
    const bytes = Buffer.concat([group, fixed, field(1, Uint8Array.of(1, 2)), Uint8Array.of(8, 9)]);
    expect(v1Codec('TableEntry').decode(bytes)).toEqual({
      ...v1Codec('TableEntry').decode(new Uint8Array(0)),
      tableId: 9,
    });
  });

  test('does not nest deeper than the stack', () => {
    let data: Uint8Array = Uint8Array.of(0x10, 1);
    const struct = plans.get('p4.v1.P4Data')!.byName.get('struct')!.id;
    for (let depth = 0; depth < 2_000; depth++) data = field(struct, field(1, data));
    expect(() => v1Codec('P4Data').decode(data)).toThrow('nest too deep');
  });
});
