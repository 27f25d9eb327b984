import { describe, expect, test } from 'vitest';
import { type DataValue, decodeData } from '../../src/p4runtime/data.ts';
import { encodeData } from '../../src/p4runtime/data-encode.ts';
import { decodePacketIn } from '../../src/p4runtime/decode-stream.ts';
import { P4InfoIndex } from '../../src/p4runtime/p4info-index.ts';
import { P4Program } from '../../src/p4runtime/program.ts';
import type { ConfigInit } from '../../src/p4runtime/proto/messages.ts';
import { v1Codec } from '../../src/p4runtime/proto/registry.ts';

/** As p4c has it for a program in the manner of PINS: ports are strings to controllers. */
const p4info: ConfigInit<'P4Info'> = {
  tables: [
    {
      preamble: { id: 0x2000001, name: 'I.acl', alias: 'acl' },
      matchFields: [
        { id: 1, name: 'in_port', matchType: 'OPTIONAL' },
        { id: 2, name: 'dst', bitwidth: 32, matchType: 'TERNARY' },
        { id: 3, name: 'l4', bitwidth: 16, matchType: 'RANGE' },
      ],
      actionRefs: [{ id: 0x1000001 }],
    },
    {
      preamble: { id: 0x2000002, name: 'I.route', alias: 'route' },
      matchFields: [
        { id: 1, name: 'vrf', matchType: 'EXACT' },
        { id: 2, name: 'dst', bitwidth: 32, matchType: 'LPM' },
      ],
      actionRefs: [{ id: 0x1000001 }],
    },
    {
      preamble: { id: 0x2000003, name: 'I.odd', alias: 'odd' },
      matchFields: [{ id: 1, name: 'text', matchType: 'TERNARY' }],
      actionRefs: [{ id: 0x1000001 }],
    },
  ],
  actions: [
    { preamble: { id: 0x1000001, name: 'I.send', alias: 'send' }, params: [{ id: 1, name: 'port' }] },
  ],
  actionProfiles: [
    { preamble: { id: 0x11000001, name: 'I.wcmp', alias: 'wcmp' }, withSelector: true, tableIds: [] },
  ],
  controllerPacketMetadata: [
    {
      preamble: { id: 0x4000001, name: 'packet_out' },
      metadata: [
        { id: 1, name: 'egress_port' },
        { id: 2, name: 'submit_to_ingress', bitwidth: 1 },
        { id: 3, name: 'unused', bitwidth: 7, annotations: ['@padding'] },
        { id: 4, name: 'rest', bitwidth: 8, structuredAnnotations: [{ name: 'padding' }] },
      ],
    },
    {
      preamble: { id: 0x4000002, name: 'packet_in' },
      metadata: [
        { id: 1, name: 'ingress_port' },
        { id: 2, name: 'reason', bitwidth: 8 },
      ],
    },
  ],
  externs: [
    {
      externTypeId: 0x81,
      externTypeName: 'Fancy',
      instances: [{ preamble: { id: 0x81000001, name: 'I.f' } }],
    },
  ],
  typeInfo: {
    headers: {
      h_t: {
        members: [
          { name: 'a', typeSpec: { bit: { bitwidth: 9 } } },
          { name: 'b', typeSpec: { int: { bitwidth: 8 } } },
        ],
      },
    },
    headerUnions: { u_t: { members: [{ name: 'h', header: { name: 'h_t' } }] } },
    enums: { e_t: { members: [{ name: 'RED' }, { name: 'BLUE' }] } },
    serializableEnums: {
      s_t: {
        underlyingType: { bitwidth: 8 },
        members: [{ name: 'TCP', value: Uint8Array.of(6) }],
      },
    },
    newTypes: {
      port_t: { translatedType: { uri: 'x', sdnString: {} } },
      id_t: { translatedType: { uri: 'y', sdnBitwidth: 32 } },
      own_t: { originalType: { bitstring: { bit: { bitwidth: 4 } } } },
    },
    structs: {
      d_t: {
        members: [
          { name: 'h', typeSpec: { header: { name: 'h_t' } } },
          { name: 'e', typeSpec: { enum: { name: 'e_t' } } },
          { name: 'err', typeSpec: { error: {} } },
          { name: 's', typeSpec: { serializableEnum: { name: 's_t' } } },
          { name: 'i', typeSpec: { bitstring: { int: { bitwidth: 16 } } } },
          { name: 'port', typeSpec: { newType: { name: 'port_t' } } },
          { name: 'id', typeSpec: { newType: { name: 'id_t' } } },
          { name: 'own', typeSpec: { newType: { name: 'own_t' } } },
          { name: 'ok', typeSpec: { bool: {} } },
          {
            name: 'pair',
            typeSpec: {
              tuple: { members: [{ bool: {} }, { bitstring: { bit: { bitwidth: 8 } } }] },
            },
          },
        ],
      },
    },
  },
};
const program = new P4Program(p4info);
const { index } = program;
const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const entryCodec = v1Codec('Entity');
/** As it comes back from a device. */
const back = (entity: Parameters<typeof entryCodec.encode>[0]) =>
  entryCodec.decode(entryCodec.encode(entity));

describe('translated to strings', () => {
  test('packets, with padding by annotation', () => {
    const packet = program.packetOut(new Uint8Array(1), { egress_port: 'Ethernet0', submit_to_ingress: 0 });
    expect(packet.metadata?.map((m) => [m.metadataId, Buffer.from(m.value!).toString('latin1')])).toEqual([
      [1, 'Ethernet0'],
      [2, '\0'],
      [3, '\0'],
      [4, '\0'],
    ]);
    const metadata = [
      { metadataId: 1, value: utf8('Ethernet4') },
      { metadataId: 2, value: Uint8Array.of(3) },
    ];
    expect(decodePacketIn(index, { payload: new Uint8Array(0), metadata }).metadata).toEqual({
      ingress_port: 'Ethernet4',
      reason: 3n,
    });
  });

  test('replicas, their backups, and watched ports', () => {
    const group = back(
      program.multicastGroup(1, [{ port: 'Ethernet0', instance: 1, backups: [{ port: 'Ethernet8' }] }]),
    ).packetReplicationEngineEntry?.multicastGroupEntry?.replicas[0];
    expect(Buffer.from(group!.port!).toString()).toBe('Ethernet0');
    expect(Buffer.from(group!.backupReplicas[0]!.port).toString()).toBe('Ethernet8');
    const clone = back(program.cloneSession(1, [{ port: 'Ethernet0' }]));
    const port = clone.packetReplicationEngineEntry?.cloneSessionEntry?.replicas[0]?.port;
    expect(Buffer.from(port!).toString()).toBe('Ethernet0');
    const watched = back(program.group('wcmp', 1, [{ memberId: 1, weight: 1, watchPort: 'Ethernet0' }]));
    expect(Buffer.from(watched.actionProfileGroup!.members[0]!.watchPort!).toString()).toBe('Ethernet0');
  });

  test('a match that a string cannot have is refused, not left out', () => {
    expect(() => program.tableEntry({ table: 'odd', match: { text: 'x' }, priority: 1 })).toThrow(
      /matched TERNARY/,
    );
  });
});

describe('table entries by names', () => {
  test('what is decoded is what was written', () => {
    const entries = [
      {
        table: 'I.acl',
        match: {
          in_port: 'Ethernet0',
          dst: { value: 0x0a000000n, mask: 0xff000000n },
          l4: { low: 5n, high: 9n },
        },
        priority: 7,
        action: { name: 'I.send', params: { port: 'Ethernet4' } },
        metadata: Buffer.of(1, 2),
      },
      {
        table: 'I.route',
        match: { vrf: 'vrf-1', dst: { value: 0x0a000000n, prefix: 8 } },
        action: { name: 'I.send', params: { port: 'Ethernet4' } },
      },
    ] as const;
    for (const entry of entries) {
      const decoded = program.decodeTableEntry(back(program.tableEntry(entry)).tableEntry!);
      expect(decoded).toEqual(entry);
      expect(program.tableEntry(decoded)).toEqual(program.tableEntry(entry));
    }
  });

  test('direct resources are decoded, and asked for by name', () => {
    expect(program.allEntries('route', { counters: true, meterCounters: true })).toEqual({
      tableEntry: { tableId: 0x2000002, counterData: {}, meterCounterData: {} },
    });
    expect(program.allDirectCounters('route')).toEqual({
      directCounterEntry: { tableEntry: { tableId: 0x2000002 } },
    });
    expect(program.allDirectMeters()).toEqual({ directMeterEntry: { tableEntry: { tableId: 0 } } });
    const entry = back({
      tableEntry: {
        tableId: 0x2000002,
        counterData: { byteCount: 9n, packetCount: 1n },
        meterCounterData: { green: { byteCount: 4n } },
        timeSinceLastHit: { elapsedNs: 5n },
      },
    });
    expect(program.decodeTableEntry(entry.tableEntry!)).toMatchObject({
      counter: { packets: 1n, bytes: 9n },
      meterCounters: { green: { packets: 0n, bytes: 4n }, red: { packets: 0n, bytes: 0n } },
      timeSinceLastHitNs: 5n,
    });
  });

  test('a value that is not there is named', () => {
    const entry = (match: object, params: object = { port: 'x' }) =>
      program.tableEntry({
        table: 'route',
        match: match as never,
        action: { name: 'send', params: params as never },
      });
    expect(() => entry({ vrf: undefined })).toThrow(/vrf: its match is undefined/);
    expect(() => entry({ vrf: 'a', dst: undefined })).toThrow(/dst: its match is undefined/);
    expect(() => entry({ vrf: null })).toThrow(/vrf: its match is null/);
    expect(() => entry({ vrf: 'a' }, { port: undefined })).toThrow(/port is undefined/);
    expect(() => entry({ vrf: 'a', dst: { value: undefined, prefix: 8 } })).toThrow(/dst is undefined/);
  });

  test('what later versions added: modes of one-shots, metadata of groups, classes of clones', () => {
    const [action] = [{ name: 'send', params: { port: 'Ethernet0' } }];
    const wcmp = new P4Program({
      ...p4info,
      tables: p4info.tables!.map((t, i) => (i === 1 ? { ...t, implementationId: 0x11000001 } : t)),
    });
    const modes = { selection: 'HASH', size: 'SUM_OF_MEMBERS' } as const;
    const entry = wcmp.tableEntry({
      table: 'route',
      match: { vrf: 'a' },
      action: { ...modes, oneShot: [{ action, weight: 2 }] },
    });
    const set = back(entry).tableEntry!.action!.actionProfileActionSet!;
    expect([set.actionSelectionMode, set.sizeSemantics]).toEqual(['HASH', 'SUM_OF_MEMBERS']);
    const decoded = wcmp.decodeTableEntry(back(entry).tableEntry!).action;
    expect(decoded).toMatchObject({ ...modes, oneShot: [{ weight: 2 }] });
    const group = program.multicastGroup(1, [], { metadata: utf8('mine') });
    expect(back(group).packetReplicationEngineEntry?.multicastGroupEntry?.metadata).toEqual(
      Buffer.from('mine'),
    );
    const clone = program.cloneSession(1, [], 0, { classOfService: 3 });
    expect(back(clone).packetReplicationEngineEntry?.cloneSessionEntry?.classOfService).toBe(3);
  });

  test('an extern by its name', () => {
    expect(program.extern('I.f', { typeUrl: 'x/y', value: Uint8Array.of(1) })).toEqual({
      externEntry: {
        externTypeId: 0x81,
        externId: 0x81000001,
        entry: { typeUrl: 'x/y', value: Uint8Array.of(1) },
      },
    });
  });
});

describe('data of any type', () => {
  const type = { struct: { name: 'd_t' } };
  const value = {
    h: { a: 511n, b: -128n },
    e: 'BLUE',
    err: 'NoError',
    s: 'TCP',
    i: -300n,
    port: 'Ethernet0',
    id: 77n,
    own: 15n,
    ok: true,
    pair: [false, 200n],
  };
  const codec = v1Codec('P4Data');

  test('comes back as it was', () => {
    const data = codec.decode(codec.encode(encodeData(index, type, value)));
    expect(decodeData(index, type, data)).toEqual(value);
    // Two's complement, as short as it goes: -300 is fed4, -128 is 80.
    const [header, , , , int] = data.struct!.members;
    expect(Buffer.from(int!.bitstring!).toString('hex')).toBe('fed4');
    expect(header!.header!.bitstrings.map((b) => Buffer.from(b).toString('hex'))).toEqual(['01ff', '80']);
  });

  test('signed numbers as the standard has them', () => {
    const int8 = { bitstring: { int: { bitwidth: 8 } } };
    const hex = (v: bigint) => Buffer.from(encodeData(index, int8, v).bitstring!).toString('hex');
    expect([0n, 1n, 127n, -1n, -99n, -128n].map(hex)).toEqual(['00', '01', '7f', 'ff', '9d', '80']);
    const wide = { bitstring: { int: { bitwidth: 16 } } };
    expect(Buffer.from(encodeData(index, wide, 128n).bitstring!).toString('hex')).toBe('0080');
    for (const v of [128n, -129n]) expect(() => encodeData(index, int8, v)).toThrow(/no int<8>/);
    expect(decodeData(index, wide as never, { bitstring: Uint8Array.of(0xff, 0x9d) })).toBe(-99n);
  });

  test('an invalid header is null, a union the header that is valid', () => {
    const header = { header: { name: 'h_t' } };
    expect(decodeData(index, header as never, { header: { isValid: false, bitstrings: [] } })).toBe(null);
    const union = { headerUnion: { name: 'u_t' } };
    const validHeader = { isValid: true, bitstrings: [Uint8Array.of(1), Uint8Array.of(0xff)] };
    expect(decodeData(index, union as never, { headerUnion: { validHeaderName: 'h', validHeader } })).toEqual(
      {
        h: { a: 1n, b: -1n },
      },
    );
    expect(decodeData(index, union as never, { headerUnion: { validHeaderName: '' } })).toBe(null);
  });

  test('unions, stacks and varbits come back too', () => {
    const header = { name: 'h_t' };
    const union = { name: 'u_t' };
    const all: readonly (readonly [ConfigInit<'P4DataTypeSpec'>, DataValue])[] = [
      [{ headerUnion: union }, { h: { a: 1n, b: -1n } }],
      [{ headerUnion: union }, null],
      [{ headerStack: { header, size: 2 } }, [{ a: 3n, b: 0n }, null]],
      [{ headerUnionStack: { headerUnion: union, size: 2 } }, [null, { h: { a: 2n, b: 127n } }]],
      [{ bitstring: { varbit: { maxBitwidth: 20 } } }, 0xfffffn],
    ];
    for (const [spec, given] of all) {
      const data = codec.decode(codec.encode(encodeData(index, spec, given)));
      expect(decodeData(index, spec as never, data)).toEqual(given);
    }
    const encode = (spec: ConfigInit<'P4DataTypeSpec'>, given: DataValue) => () =>
      encodeData(index, spec, given);
    expect(encode({ headerUnion: union }, { nothing: {} })).toThrow('a union has one header, of h');
    expect(encode({ headerStack: { header, size: 2 } }, [null])).toThrow('no stack of 2');
    expect(encode({ serializableEnum: { name: 's_t' } }, 256n)).toThrow('256 is no bit<8>');
  });

  test('what does not fit is refused', () => {
    expect(() => decodeData(index, type as never, { struct: { members: [] } })).toThrow(/no struct d_t/);
    expect(() => decodeData(index, { bool: {} } as never, {})).toThrow(/of no kind/);
    expect(() => encodeData(index, type, { ...value, h: undefined as never })).toThrow(/member h is missing/);
    expect(() => encodeData(index, { bool: {} }, 'x')).toThrow(/no value of the type/);
  });

  test('without a P4Info of its type it is refused', () => {
    const bare = new P4InfoIndex({});
    expect(() => decodeData(bare, type as never, { struct: { members: [{ bool: true }] } })).toThrow(
      /no struct/,
    );
  });
});
