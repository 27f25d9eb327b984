import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { planMessages } from '../../src/p4runtime/proto/field-plan.ts';
import { descriptor } from '../../src/p4runtime/proto/generated/descriptor.ts';
import { configCodec, v1Codec } from '../../src/p4runtime/proto/registry.ts';
import { p4InfoText } from '../../src/p4runtime/text.ts';
import { parseP4Info, parseP4InfoText } from '../../src/p4runtime/text-parse.ts';
import { TextFormatError } from '../../src/p4runtime/text-tokens.ts';
import { compileFixture, conformanceP4Info, findTool } from './support/tools.ts';

const update = v1Codec('Update');
const bytes = fc.uint8Array({ maxLength: 20 });

/** An independent witness: protobufjs with a descriptor in its own language. */
function witness(): protobuf.Root {
  const lines: string[] = ['syntax = "proto3";', 'package p4.v1;'];
  lines.push('message Uint128 { uint64 high = 1; uint64 low = 2; }');
  lines.push('message Index { int64 index = 1; }');
  lines.push('message CounterData { int64 byte_count = 1; int64 packet_count = 2; }');
  lines.push('message CounterEntry { uint32 counter_id = 1; Index index = 2; CounterData data = 3; }');
  return protobuf.parse(lines.join('\n'), { keepCase: false }).root;
}

describe('codec', () => {
  test('a table entry survives the way out and back', () => {
    const entry = fc.record({
      tableId: fc.nat(),
      priority: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      idleTimeoutNs: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      controllerMetadata: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      metadata: bytes,
      isConst: fc.boolean(),
    });
    fc.assert(
      fc.property(entry, (tableEntry) => {
        const back = update.decode(update.encode({ type: 'MODIFY', entity: { tableEntry } }));
        expect(back.type).toBe('MODIFY');
        const { metadata, ...rest } = back.entity!.tableEntry!;
        const { metadata: sent, ...wanted } = tableEntry;
        expect(rest).toMatchObject(wanted);
        expect(Buffer.compare(metadata, sent)).toBe(0);
      }),
    );
  });

  test('protobufjs reads what we write, and we what it writes', () => {
    const other = witness().lookupType('p4.v1.CounterEntry');
    const ours = v1Codec('CounterEntry');
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0 }), fc.integer({ min: 0 }), (counterId, index, packets) => {
        const entry = { counterId, index: { index }, data: { packetCount: packets } };
        const theirs = other.toObject(other.decode(ours.encode(entry)), { longs: Number, defaults: true });
        expect(theirs).toMatchObject(entry);
        const back = ours.decode(other.encode(other.fromObject(entry)).finish());
        expect([back.counterId, back.index?.index, back.data?.packetCount]).toEqual([
          counterId,
          BigInt(index),
          BigInt(packets),
        ]);
      }),
    );
  });

  test('the last member of a oneof counts, unknown fields and enum values pass', () => {
    const entity = v1Codec('Entity');
    const both = Buffer.concat([
      entity.encode({ tableEntry: { tableId: 1 } }),
      Buffer.from([((200 << 3) & 0x7f) | 0x80 | 2, (200 << 3) >> 7, 1, 0]),
      entity.encode({ counterEntry: { counterId: 2 } }),
    ]);
    expect(Object.keys(entity.decode(both))).toEqual(['counterEntry']);
    expect(update.decode(Buffer.from([8, 77])).type).toBe(77);
  });

  test('long and short messages are written as protobufjs writes them', () => {
    // Lengths around those where a length takes one byte more, and where a buffer grows.
    const lengths = [1, 31, 32, 120, 127, 128, 129, 16_370, 16_383, 16_384, 65_500, 65_536, 2 ** 20, 2 ** 21];
    const root = protobuf.Root.fromJSON(descriptor as protobuf.INamespace);
    const theirs = root.lookupType('p4.v1.StreamMessageRequest');
    const ours = v1Codec('StreamMessageRequest');
    for (const length of [...lengths, ...lengths.toReversed()]) {
      const message = {
        packet: {
          payload: new Uint8Array(length).fill(0xa5),
          metadata: [{ metadataId: 2 ** 32 - 1, value: new Uint8Array((length % 300) + 1).fill(1) }, {}],
        },
      };
      const written = theirs.encode(theirs.fromObject(message)).finish();
      expect(Buffer.compare(ours.encode(message), written), `${length} bytes`).toBe(0);
    }
    const info = configCodec('P4Info').encode({ pkgInfo: { name: 'ä€😀'.repeat(60), arch: 'x' } });
    expect(configCodec('P4Info').decode(info).pkgInfo?.name).toBe('ä€😀'.repeat(60));
    expect(Buffer.from(v1Codec('Index').encode({ index: -1n })).toString('hex')).toBe(
      '08ffffffffffffffffff01',
    );
    const replica = { port: Uint8Array.of(1), instance: 0 };
    expect(Buffer.from(v1Codec('Replica').encode(replica)).toString('hex')).toBe('1a0101');
  });

  test('a message that cannot be written leaves nothing of itself in the next', () => {
    const good = { electionId: { low: 7n }, updates: [{ type: 'DELETE' as const }] };
    const codec = v1Codec('WriteRequest');
    const before = Buffer.from(codec.encode(good));
    const bad = { updates: [{ type: 'INSERT' as const, entity: { tableEntry: { tableId: -1 } } }] };
    expect(() => codec.encode(bad)).toThrow('-1 does not fit uint32');
    expect(() => codec.encode({ updates: [{ type: 'toString' as 'INSERT' }] })).toThrow(
      'toString is none of UNSPECIFIED, INSERT, MODIFY, DELETE',
    );
    expect(Buffer.compare(codec.encode(good), before)).toBe(0);
  });

  test('what is no message is refused', () => {
    expect(() => update.decode(Buffer.from([0x12, 0x7f, 1]))).toThrow(RangeError);
    expect(() => v1Codec('Uint128').encode({ high: 2n ** 64n })).toThrow(RangeError);
    expect(() => v1Codec('Uint128').encode({ high: -1n })).toThrow(RangeError);
  });

  test('numbers of fields are given once in each message', () => {
    const plans = planMessages(descriptor);
    expect(plans.size).toBeGreaterThan(100);
    for (const plan of plans.values()) expect(plan.byId.size, plan.fullName).toBe(plan.fields.length);
  });
});

describe('text format', () => {
  test('a P4Info is the same as text, as binary and read back', () => {
    expect(parseP4InfoText(p4InfoText(conformanceP4Info))).toEqual(conformanceP4Info);
    expect(parseP4Info(configCodec('P4Info').encode(conformanceP4Info))).toEqual(conformanceP4Info);
    expect(parseP4Info(Buffer.from(p4InfoText(conformanceP4Info)))).toEqual(conformanceP4Info);
  });

  test('escapes, comments, lists, maps, angle brackets', () => {
    const text = `# first line
pkg_info { name: "a\\"\\x41\\101" 'b' arch: "v1model"; }
tables < preamble { id: 0x10 name: "t" } size: 1024, direct_resource_ids: [1, 2] >
type_info { new_types { key: "n" value { translated_type { sdn_string {} } } } }`;
    const info = parseP4InfoText(text);
    expect([info.pkgInfo?.name, info.tables[0]?.preamble?.id, info.tables[0]?.directResourceIds]).toEqual([
      'a"AAb',
      16,
      [1, 2],
    ]);
    expect(info.typeInfo?.newTypes.n?.translatedType?.sdnString).toEqual({});
  });

  test('faults name their line', () => {
    expect(() => parseP4InfoText('pkg_info {\n  nonsense: 1\n}')).toThrow(/line 2: .*nonsense/);
    expect(() => parseP4InfoText('tables {\n preamble { id: "x" } }')).toThrow(TextFormatError);
    expect(() => parseP4InfoText('tables {')).toThrow(TextFormatError);
    expect(() => parseP4InfoText('tables @')).toThrow(TextFormatError);
  });

  const p4c = findTool('p4c-bm2-ss');
  test.skipIf(!p4c)(
    `the committed P4Info is p4c’s${p4c ? '' : ' (skipped: p4c-bm2-ss not on the PATH)'}`,
    () => {
      expect(parseP4InfoText(compileFixture('conformance.p4').p4infoText)).toEqual(conformanceP4Info);
    },
  );
});
