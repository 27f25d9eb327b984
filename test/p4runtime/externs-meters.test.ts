import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import {
  type ConfigInit,
  type DataValue,
  entityKey,
  Fault,
  type Init,
  type Message,
  P4Client,
  type P4Device,
  P4Program,
  P4RuntimeError,
} from '../../src/p4runtime/index.ts';
import { startServer } from './support/server.ts';

const bit = (bitwidth: number): ConfigInit<'P4DataTypeSpec'> => ({ bitstring: { bit: { bitwidth } } });

/** A program with two externs of its own architecture, meters of both sorts, and a register of each type. */
const types: Readonly<Record<string, ConfigInit<'P4DataTypeSpec'>>> = {
  bits: bit(12),
  signed: { bitstring: { int: { bitwidth: 8 } } },
  varbit: { bitstring: { varbit: { maxBitwidth: 9 } } },
  flag: { bool: {} },
  header: { header: { name: 'h_t' } },
  union: { headerUnion: { name: 'u_t' } },
  stack: { headerStack: { header: { name: 'h_t' }, size: 2 } },
  unions: { headerUnionStack: { headerUnion: { name: 'u_t' }, size: 1 } },
  colour: { enum: { name: 'e_t' } },
  fault: { error: {} },
  port: { newType: { name: 'port_t' } },
  id: { newType: { name: 'id_t' } },
};
const names = Object.keys(types);
const p4info: ConfigInit<'P4Info'> = {
  tables: [
    {
      preamble: { id: 0x2000001, name: 'I.t' },
      matchFields: [{ id: 1, name: 'k', bitwidth: 8, matchType: 'EXACT' }],
      actionRefs: [{ id: 0x1000001 }],
      directResourceIds: [0x15000001],
      size: 16,
    },
    {
      preamble: { id: 0x2000002, name: 'I.plain' },
      matchFields: [{ id: 1, name: 'k', bitwidth: 8, matchType: 'EXACT' }],
      actionRefs: [{ id: 0x1000001 }],
      size: 16,
    },
  ],
  actions: [{ preamble: { id: 0x1000001, name: 'I.a' } }],
  meters: [{ preamble: { id: 0x14000001, name: 'I.m' }, spec: { unit: 'PACKETS' }, size: 4 }],
  directMeters: [{ preamble: { id: 0x15000001, name: 'I.dm' }, directTableId: 0x2000001 }],
  registers: names.map((name, i) => ({
    preamble: { id: 0x16000001 + i, name },
    typeSpec: types[name],
    size: 2,
  })),
  externs: [
    {
      externTypeId: 0x81,
      externTypeName: 'Fancy',
      instances: [
        { preamble: { id: 0x81000001, name: 'I.f' } },
        { preamble: { id: 0x81000002, name: 'I.g' } },
      ],
    },
    {
      externTypeId: 0x82,
      externTypeName: 'Plain',
      instances: [
        { preamble: { id: 0x82000001, name: 'I.p' } },
        // Another type's id and name.
        { preamble: { id: 0x81000002, name: 'I.g', alias: 'g' } },
      ],
    },
  ],
  typeInfo: {
    headers: { h_t: { members: [{ name: 'a', typeSpec: { bit: { bitwidth: 9 } } }] } },
    headerUnions: { u_t: { members: [{ name: 'h', header: { name: 'h_t' } }] } },
    enums: { e_t: { members: [{ name: 'RED' }, { name: 'BLUE' }] } },
    error: { members: ['NoError', 'NoMatch'] },
    newTypes: {
      port_t: { translatedType: { uri: 'x', sdnString: {} } },
      id_t: { translatedType: { uri: 'y', sdnBitwidth: 16 } },
    },
  },
};
const program = new P4Program(p4info);

async function withDevice(device: P4Device | undefined, work: (t: Setting) => Promise<void>) {
  const server = await startServer(device === undefined ? {} : { device });
  const client = new P4Client({ address: server.address, deviceId: 1 });
  try {
    await client.connect();
    await client.pipeline.commit({ p4info, deviceConfig: new Uint8Array(1) });
    await work({ client, memory: server.device });
  } finally {
    await client.close();
    await server.close();
  }
}
interface Setting {
  readonly client: P4Client;
  readonly memory: Awaited<ReturnType<typeof startServer>>['device'];
}

/** The code of each update, or request, that failed. */
async function codes(work: Promise<unknown>): Promise<readonly number[]> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (error === undefined) return [];
  if (!(error instanceof P4RuntimeError)) throw error;
  return error.updates.length > 0 ? error.updates.map((u) => u.code) : [error.code];
}

const entry = (text: string) => ({ typeUrl: 'type.example/Fancy', value: Buffer.from(text) });
const textOf = (e: Message<'Entity'>) => Buffer.from(e.externEntry!.entry!.value).toString();
const counts = (green: bigint) => ({ green: { packetCount: green, byteCount: green * 60n } });
const ZERO = { packetCount: 0n, byteCount: 0n };
const { INVALID_ARGUMENT: IA, NOT_FOUND: NF, ALREADY_EXISTS: AE, UNIMPLEMENTED: UN } = status;

describe('externs', () => {
  /** Its entries are told apart by their first letter. */
  class Fancy implements P4Device {
    readonly applied: string[] = [];
    externKey({ entry: any }: Message<'ExternEntry'>): string {
      if (any?.typeUrl !== 'type.example/Fancy') throw new Fault(IA, 'that is nothing of this architecture');
      return Buffer.from(any.value).toString().slice(0, 1);
    }
    apply({ type, entity }: { readonly type: string; readonly entity: Init<'Entity'> }): void {
      this.applied.push(`${type} ${Buffer.from(entity.externEntry!.entry!.value!).toString()}`);
    }
  }

  test('are written, told apart by the device, and read by wildcards', () => {
    const device = new Fancy();
    return withDevice(device, async ({ client }) => {
      await client.insert([
        program.extern('I.f', entry('a1')),
        program.extern('I.f', entry('b1')),
        program.extern('Fancy.I.g', entry('a2')),
        program.extern('Plain.I.g', entry('a4')),
        program.extern('I.p', entry('c3')),
      ]);
      await client.modify([program.extern('I.f', entry('a9'))]);
      const read = async (request: Init<'ExternEntry'>) =>
        (await client.readAll([{ externEntry: request }])).map(textOf).sort();
      expect(await read({})).toEqual(['a2', 'a4', 'a9', 'b1', 'c3']);
      expect(await read({ externTypeId: 0x81 })).toEqual(['a2', 'a9', 'b1']);
      expect(await read({ externTypeId: 0x81, externId: 0x81000001 })).toEqual(['a9', 'b1']);
      await client.delete([program.extern('I.f', entry('a'))]);
      expect(await read(program.extern('I.f').externEntry!)).toEqual(['b1']);
      expect(device.applied).toEqual([
        'INSERT a1',
        'INSERT b1',
        'INSERT a2',
        'INSERT a4',
        'INSERT c3',
        'MODIFY a9',
        'DELETE a9',
      ]);
    });
  });

  test('what is wrong with them is told', () =>
    withDevice(new Fancy(), async ({ client }) => {
      await client.insert([program.extern('I.f', entry('a'))]);
      expect(
        await codes(
          client.insert([
            program.extern('I.f', entry('a')),
            program.extern('I.f'),
            program.extern('I.f', { typeUrl: 'other', value: Buffer.from('a') }),
            { externEntry: { externTypeId: 0x82, externId: 0x81000001, entry: entry('a') } },
            { externEntry: { externTypeId: 0x81, entry: entry('a') } },
          ]),
        ),
      ).toEqual([AE, IA, IA, IA, IA]);
      expect(await codes(client.delete([program.extern('Fancy.I.g', entry('a'))]))).toEqual([NF]);
      expect(await codes(client.readAll([{ externEntry: { externId: 7 } }]))).toEqual([IA]);
    }));

  test('a device that knows none says so', () =>
    withDevice({}, async ({ client }) => {
      expect(await codes(client.insert([program.extern('I.f', entry('a'))]))).toEqual([UN]);
      expect(await codes(client.readAll([program.extern('I.f')]))).toEqual([UN]);
    }));
});

describe('counts of meters by colour', () => {
  const rates = { cir: 1n, cburst: 2n, pir: 3n, pburst: 4n };
  const key = { table: 'I.t', match: { k: 1 } };

  test('are read where they are asked for, and cleared, by cell and by entry', () =>
    withDevice(undefined, async ({ client, memory }) => {
      await client.insert([program.tableEntry({ ...key, action: { name: 'I.a' }, meter: rates })]);
      memory.meterCounts.set(entityKey(program.meter('I.m', 2)), counts(5n));
      memory.meterCounts.set(entityKey(program.directMeter(key)), counts(7n));
      const meters = await client.readAll([program.meter('I.m', undefined, undefined, { counts: true })]);
      expect(meters.map((m) => m.meterEntry!.counterData!.green?.packetCount)).toEqual([0n, 0n, 5n, 0n]);
      const [plain] = await client.readAll([program.meter('I.m', 2)]);
      expect(plain!.meterEntry!.counterData).toBeUndefined();
      const direct = program.directMeter(key, undefined, { counts: true });
      const [one] = await client.readAll([direct]);
      expect(one!.directMeterEntry).toMatchObject({ config: rates, counterData: counts(7n) });
      const [whole] = await client.readAll([program.allEntries('I.t', { meterCounters: true })]);
      expect(program.decodeTableEntry(whole!.tableEntry!).meterCounters?.green).toEqual({
        packets: 7n,
        bytes: 420n,
      });
      await client.modify([
        program.meter('I.m', undefined, rates, { counts: true }),
        program.directMeter(key, rates, { counts: true }),
      ]);
      const again = await client.readAll([program.meter('I.m', 2, undefined, { counts: true }), direct]);
      expect(again.map((e) => (e.meterEntry ?? e.directMeterEntry)!.counterData!.green)).toEqual([
        ZERO,
        ZERO,
      ]);
    }));

  test('other values than 0, tables without meters, devices without counts', async () => {
    const some = { meterEntry: { meterId: 0x14000001, index: { index: 1 }, counterData: counts(1n) } };
    await withDevice(undefined, async ({ client }) => {
      expect(await codes(client.modify([some]))).toEqual([IA]);
      const plain = program.tableEntry({ table: 'I.plain', match: { k: 1 }, action: { name: 'I.a' } });
      const asked = { tableEntry: { ...plain.tableEntry, meterCounterData: {} } };
      expect(await codes(client.insert([asked]))).toEqual([IA]);
      await client.insert([plain]);
      const [read] = await client.readAll([program.allEntries('I.plain', { meterCounters: true })]);
      expect(read!.tableEntry!.meterCounterData).toBeUndefined();
    });
    await withDevice({}, async ({ client }) => {
      expect(await codes(client.modify([program.meter('I.m', 1, rates, { counts: true })]))).toEqual([UN]);
      expect(await codes(client.readAll([program.meter('I.m', 1, undefined, { counts: true })]))).toEqual([
        UN,
      ]);
    });
  });
});

test('a register of each type holds zeros, takes a value, and refuses what is none', () =>
  withDevice(undefined, async ({ client }) => {
    const read = async (name: string) => {
      const cells = await client.readAll([program.register(name)]);
      return cells.map((c) => program.decodeRegister(c.registerEntry!));
    };
    const zeros: Readonly<Record<string, DataValue>> = {
      bits: 0n,
      signed: 0n,
      varbit: 0n,
      flag: false,
      header: null,
      union: null,
      stack: [null, null],
      unions: [null],
      colour: 'RED',
      fault: 'NoError',
      port: '',
      id: 0n,
    };
    const values: Readonly<Record<string, DataValue>> = {
      bits: 4095n,
      signed: -128n,
      varbit: 511n,
      flag: true,
      header: { a: 511n },
      union: { h: { a: 1n } },
      stack: [{ a: 1n }, null],
      unions: [{ h: { a: 2n } }],
      colour: 'BLUE',
      fault: 'NoMatch',
      port: 'Ethernet0',
      id: 65_535n,
    };
    for (const name of names) expect(await read(name), name).toEqual([zeros[name], zeros[name]]);
    await client.modify(
      names.map((name) => program.register(name, 1, program.registerData(name, values[name]!))),
    );
    for (const name of names) expect(await read(name), name).toEqual([zeros[name], values[name]]);
    const bytes = { bitstring: Uint8Array.of(1, 0, 0) };
    const wrong: Readonly<Record<string, Init<'P4Data'>>> = {
      bits: bytes,
      varbit: { varbit: { bitstring: Uint8Array.of(1), bitwidth: 10 } },
      union: { headerUnion: { validHeaderName: 'x', validHeader: { isValid: true } } },
      stack: { headerStack: { entries: [] } },
      unions: { headerUnionStack: { entries: [{}, {}] } },
      colour: { enum: 'GREEN' },
      id: bytes,
      port: { bool: true },
    };
    const failed = await codes(
      client.modify(Object.entries(wrong).map(([name, data]) => program.register(name, 0, data))),
    );
    expect(failed).toEqual(Object.keys(wrong).map(() => IA));
  }));
