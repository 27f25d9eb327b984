import { describe, expect, test } from 'vitest';
import type { FullName } from '../../src/p4runtime/proto/messages.ts';
import { configCodec, messageCodec } from '../../src/p4runtime/proto/registry.ts';
import { parseMessageText, parseP4Info } from '../../src/p4runtime/text-parse.ts';
import { TextFormatError } from '../../src/p4runtime/text-tokens.ts';

const entry = 'p4.v1.TableEntry';
const preamble = 'p4.config.v1.Preamble';
const update = 'p4.v1.Update';
const role = 'p4.v1.Role';

/** Text and the bytes that protobuf 7 for Python (upb) makes of it; of a bool in octal, `- 5` and a BOM, those of C++. */
const taken: readonly (readonly [FullName, string, string])[] = [
  [entry, 'is_const: true', '6801'],
  [entry, 'is_const: True', '6801'],
  [entry, 'is_const: t', '6801'],
  [entry, 'is_const: 1', '6801'],
  [entry, 'is_const: 0x1', '6801'],
  [entry, 'is_const: f', ''],
  [entry, 'is_const: 0', ''],
  [entry, 'table_id: 010', '0808'],
  [entry, 'table_id: 0x10', '0810'],
  [entry, 'table_id: 0X1f', '081f'],
  [entry, 'table_id: 4294967295', '08ffffffff0f'],
  [entry, 'priority: -5', '20fbffffffffffffffff01'],
  [entry, 'priority: - 5', '20fbffffffffffffffff01'],
  [entry, 'priority: -010', '20f8ffffffffffffffff01'],
  [entry, 'controller_metadata: 18446744073709551615', '28ffffffffffffffffff01'],
  [entry, 'controller_metadata: 01777777777777777777777', '28ffffffffffffffffff01'],
  [entry, 'idle_timeout_ns: -9223372036854775808', '4880808080808080808001'],
  [entry, 'table_id: 1; priority: 3,', '08012003'],
  [entry, 'table_id:1,priority:2;is_const:true', '080120026801'],
  [entry, 'time_since_last_hit: { elapsed_ns: 1 }', '52020801'],
  [entry, 'time_since_last_hit < elapsed_ns: 1 >', '52020801'],
  [entry, 'metadata: "a" "b"', '5a026162'],
  [entry, 'metadata: "a\\x41\\101\\n"', '5a046141410a'],
  [entry, 'metadata: "\\u00e9\\U0001F600"', '5a06c3a9f09f9880'],
  [entry, 'metadata: "\\377"', '5a01ff'],
  [entry, '# first\ntable_id: 1 # last', '0801'],
  [preamble, '\ufeffid: 3', '0803'],
  [preamble, 'annotations: ["a" "b", "c"]', '22026162220163'],
  [preamble, 'annotations: []', ''],
  [update, 'type: INSERT', '0801'],
  [update, 'type: 0x2', '0802'],
  [update, 'type: 77', '084d'],
  [update, 'type: -1', '08ffffffffffffffffff01'],
  [
    role,
    'config { [type.googleapis.com/p4.v1.Uint128] { high: 1 low: 2 } }',
    '12290a21747970652e676f6f676c65617069732e636f6d2f70342e76312e55696e74313238120408011002',
  ],
  [role, 'config { type_url: "x" value: "y" }', '12060a0178120179'],
  ['p4.v1.P4Data', 'struct { members: [{ bool: true }, { bool: false }] }', '2a080a0218010a021800'],
];

const refused: readonly (readonly [FullName, string])[] = [
  [entry, 'is_const: maybe'],
  [entry, 'is_const: TRUE'],
  [entry, 'is_const: 2'],
  [entry, 'is_const: "true"'],
  [entry, 'is_const: 1.0'],
  [entry, 'table_id: 08'],
  [entry, 'table_id: 1.5'],
  [entry, 'table_id: 1e3'],
  [entry, 'table_id: 1a'],
  [entry, 'table_id: -1'],
  [entry, 'table_id: 4294967296'],
  [entry, 'controller_metadata: 18446744073709551616'],
  [entry, 'table_id: 1 table_id: 1'],
  [entry, 'time_since_last_hit {} time_since_last_hit {}'],
  [entry, 'table_id: 1;; priority: 3'],
  [entry, 'table_id 1'],
  [entry, 'time_since_last_hit < elapsed_ns: 1 }'],
  [entry, 'time_since_last_hit {'],
  [entry, 'table_id: 1 }'],
  [entry, 'tableId: 1'],
  [entry, 'metadata: abc'],
  [entry, 'metadata: "abc'],
  [entry, 'metadata: "a\nb"'],
  [entry, 'metadata: "\\400"'],
  [preamble, 'name: "\\377"'],
  [preamble, 'annotations: ["a", ]'],
  [preamble, 'annotations: ["a"; "b"]'],
  [update, 'type: FOO'],
  [update, 'type: "INSERT"'],
  [role, 'config { [type.googleapis.com/p4.v1.Nope] {} }'],
  [role, 'config { [type.googleapis.com/p4.v1.Uint128] {} value: "x" }'],
  [role, '[foo.bar]: 3'],
  ['p4.v1.P4Data', 'bool: true bitstring: "a"'],
  ['p4.config.v1.P4Info', 'type_info { new_types { key: "n" key: "m" } }'],
];

describe('protobuf’s text format, as protobuf has it', () => {
  test.each(taken)('%s: %j is taken', (name, text, bytes) => {
    const message = parseMessageText(name, text);
    expect(Buffer.from(messageCodec(name).encode(message)).toString('hex')).toBe(bytes);
  });

  test.each(refused)('%s: %j is refused', (name, text) => {
    expect(() => parseMessageText(name, text)).toThrow(TextFormatError);
  });
});

describe('P4Info of either format', () => {
  const codec = configCodec('P4Info');
  const named = { preamble: { id: 0x1000001, name: 'a' } };

  test('text may begin with a comment, spaces or a byte order mark', () => {
    for (const before of ['# made by hand\n', '\n\n  ', '\ufeff', '# a\n# b\n\t'])
      expect(
        parseP4Info(Buffer.from(`${before}actions { preamble { id: 7 } }`)).actions[0]?.preamble?.id,
      ).toBe(7);
    expect(parseP4Info(new Uint8Array(0)).tables).toEqual([]);
  });

  test('binary may begin with any field', () => {
    const beginnings = [
      { pkgInfo: { arch: 'v1model' } },
      { tables: [named] },
      { actions: [named] },
      { counters: [named] },
      { registers: [named] },
      { digests: [named] },
      { externs: [{ externTypeId: 1, instances: [named] }] },
      { typeInfo: { enums: { e: { members: [{ name: 'm' }] } } } },
    ];
    for (const info of beginnings) {
      const bytes = codec.encode(info);
      expect(parseP4Info(bytes)).toEqual(codec.decode(bytes));
    }
  });
});
