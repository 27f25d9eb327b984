import { expect } from 'vitest';
import { P4RuntimeError } from '../../../src/p4runtime/errors.ts';
import { NameIndex } from '../../../src/p4runtime/name-index.ts';
import { P4InfoIndex } from '../../../src/p4runtime/p4info-index.ts';
import { encodeValue } from '../../../src/p4runtime/values.ts';
import { startServer } from '../support/server.ts';
import { conformanceP4Info } from '../support/tools.ts';
import {
  acl,
  act,
  actionId,
  clone,
  counter,
  defaultOf,
  digest,
  exact,
  forward,
  group,
  hex,
  keyed,
  member,
  meter,
  multicast,
  replica,
  tableId,
  ternary,
} from './build.ts';
import type { Case } from './case.ts';
import { codeOf, FP, IA, NF, OK, UK } from './target.ts';

/** Read: 113-120. */
export const readCases: readonly Case[] = [
  {
    id: 113,
    title: 'no stream is needed; unknown device, no pipeline, entity unset',
    bmv2: 'an unknown device is FAILED_PRECONDITION, an unset entity UNKNOWN',
    async server(t) {
      expect((await t.read([keyed('exact16', '01')])).code).toBe(FP);
      const stream = await t.ready();
      stream.close();
      expect((await t.read([{ tableEntry: { tableId: 0 } }])).code).toBe(OK);
      expect((await t.read([{ tableEntry: { tableId: 0 } }], { deviceId: 99 })).code).toBe(t.known(NF, FP));
      const unset = await t.read([{}]);
      expect(t.bmv2 ? unset.code : unset.errors).toEqual(t.known<unknown>([IA], UK));
    },
  },
  {
    id: 114,
    title: 'one bad request: the others’ entities come, then an error a request',
    bmv2: 'it stops there, with a bare code',
    async primary(t) {
      await t.insert(keyed('small', '01'));
      const { entities, code, errors } = await t.read([
        { tableEntry: { tableId: 0x02ffffff } },
        { tableEntry: { tableId: tableId('small') } },
      ]);
      if (t.bmv2) expect(code).not.toBe(OK);
      else expect([entities.length, code, errors]).toEqual([1, UK, [IA, OK]]);
    },
  },
  {
    id: 115,
    title: 'any number of messages, empty ones too; the status is at the end',
    reason: 'a rule for clients',
    async client() {
      const { P4Client } = await import('../../../src/p4runtime/p4-client.ts');
      const server = await startServer();
      const client = new P4Client({ address: server.address, deviceId: 1 });
      try {
        await client.connect();
        await client.pipeline.commit({ p4info: conformanceP4Info, deviceConfig: new Uint8Array(1) });
        const entries = Array.from({ length: 2_500 }, (_, i) =>
          keyed('exact16', (i + 1).toString(16).padStart(4, '0')),
        );
        await client.insert(entries);
        expect((await client.readAll([{ tableEntry: { tableId: tableId('exact16') } }])).length).toBe(2_500);
        const seen: unknown[] = [];
        const broken = async () => {
          for await (const e of client.read([{ tableEntry: { tableId: tableId('exact16') } }, {}]))
            seen.push(e);
        };
        await expect(broken()).rejects.toThrow(P4RuntimeError);
        expect(seen.length).toBe(2_500);
      } finally {
        client.close();
        await server.close();
      }
    },
  },
  {
    id: 116,
    title: 'table 0 is all tables, without defaults; a key finds one entry or none',
    bmv2: 'a key must be complete, else INVALID_ARGUMENT',
    async primary(t) {
      await t.insert(keyed('small', '01'), keyed('exact16', '01'));
      const all = await t.entries({ tableId: 0 });
      const written = [tableId('small'), tableId('exact16')];
      expect(all.filter((e) => written.includes(e.tableId)).length).toBe(2);
      expect(all.some((e) => e.isDefaultAction)).toBe(false);
      expect((await t.entries({ tableId: tableId('fixed') })).length).toBe(3);
      expect((await t.entries({ tableId: tableId('small'), match: [exact(1, '01')] })).length).toBe(1);
      expect(
        (await t.read([{ tableEntry: { tableId: tableId('small'), match: [exact(1, '09')] } }])).entities,
      ).toEqual([]);
      expect((await t.read([defaultOf('small')])).entities.length).toBe(1);
    },
  },
  {
    id: 117,
    title: 'filters: action, priority, both metadata fields',
    bmv2: 'ignored',
    async primary(t) {
      await t.insert(
        acl([ternary(1, '10', 'ff')], 5, { metadata: hex('07') }),
        acl([ternary(1, '11', 'ff')], 6, { action: act('drop'), controllerMetadata: 9n }),
      );
      const count = async (filter: object) =>
        (await t.entries({ tableId: tableId('acl'), ...filter })).length;
      const one = t.known(1, 2);
      expect(await count({ priority: 5 })).toBe(one);
      expect(await count({ action: { action: { actionId: actionId('drop') } } })).toBe(one);
      expect(await count({ metadata: hex('07') })).toBe(one);
      expect(await count({ controllerMetadata: 9n })).toBe(one);
    },
  },
  {
    id: 118,
    title: 'wildcards of every kind of entity',
    bmv2: 'not of direct resources over all tables, nor of digests',
    async primary(t) {
      await t.insert(keyed('exact16', '01'), member(1), group(1, [1]), multicast(3), clone(3), digest());
      const kinds = [
        { actionProfileMember: {} },
        { actionProfileGroup: {} },
        counter(undefined),
        meter(undefined),
        multicast(0, []),
        { packetReplicationEngineEntry: { cloneSessionEntry: {} } },
        ...(t.bmv2
          ? []
          : [
              { digestEntry: {} },
              { counterEntry: {} },
              { meterEntry: {} },
              { valueSetEntry: {} },
              { directCounterEntry: { tableEntry: {} } },
            ]),
        { directCounterEntry: { tableEntry: { tableId: tableId('exact16') } } },
      ];
      for (const kind of kinds) {
        const { code, entities } = await t.read([kind]);
        expect([code, entities.length > 0], JSON.stringify(Object.keys(kind))).toEqual([OK, true]);
      }
      await t.delete(multicast(3), clone(3));
    },
  },
  {
    id: 119,
    title: 'named but missing: OK and nothing',
    bmv2: 'NOT_FOUND for groups of multicast, clone sessions and digests',
    async primary(t) {
      const profile = [member(55), group(55, [])];
      for (const request of profile)
        expect(await t.read([request])).toMatchObject({ code: OK, entities: [] });
      for (const request of [multicast(55, [replica('01')]), clone(55), digest()])
        expect(await t.read([request])).toMatchObject({ code: t.known(OK, NF), entities: [] });
    },
  },
  {
    id: 120,
    title: 'what is read is what was written',
    async primary(t) {
      const written = acl([ternary(1, '10', 'ff')], 5, { action: forward('07'), controllerMetadata: 9n });
      await t.insert(written);
      const [read] = await t.entries({ tableId: tableId('acl') });
      expect(read!.match[0]!.ternary).toMatchObject({ value: hex('10'), mask: hex('ff') });
      expect([read!.priority, read!.controllerMetadata, read!.action!.action!.params[0]!.value[0]]).toEqual([
        5,
        9n,
        7,
      ]);
    },
  },
];

const translated = (bitwidth: number) => ({ name: 'port', bitwidth });
const index = new P4InfoIndex(conformanceP4Info);

/** Capabilities, P4Info, translation: 121-126. */
export const infoCases: readonly Case[] = [
  {
    id: 121,
    title: 'Capabilities: a full semantic version; an unknown device',
    async server(t) {
      expect((await t.rpc.capabilities({}, 5_000)).p4runtimeApiVersion).toMatch(/^\d+\.\d+\.\d+/);
      if (!t.bmv2) expect(await codeOf(t.rpc.capabilities({ deviceId: 99n }, 5_000))).toBe(NF);
    },
  },
  {
    id: 122,
    title: 'ids say what they are of in their first byte; inner ids have a scope of their own',
    reason: 'a property of the P4Info, which p4c writes',
    client() {
      const first = (items: Iterable<{ readonly id: number }>) => new Set([...items].map((i) => i.id >>> 24));
      expect([first(index.actions), first(index.tables), first(index.valueSets)]).toEqual([
        new Set([1]),
        new Set([2]),
        new Set([3]),
      ]);
      expect([first(index.profiles), first(index.counters), first(index.directCounters)]).toEqual([
        new Set([0x11]),
        new Set([0x12]),
        new Set([0x13]),
      ]);
      expect([first(index.meters), first(index.directMeters), first(index.registers)]).toEqual([
        new Set([0x14]),
        new Set([0x15]),
        new Set([0x16]),
      ]);
      expect(first(index.digests)).toEqual(new Set([0x17]));
      expect(index.tables.get('small').fields.get(1).name).toBe('h.probe.b8');
    },
  },
  {
    id: 123,
    title: 'names and aliases; unknown or ambiguous is an error, never id 0',
    reason: 'a rule for clients',
    client() {
      expect(index.tables.get('small').id).toBe(index.tables.get('ConformanceIngress.small').id);
      expect(() => index.tables.get('smal')).toThrow(/did you mean .*small/);
      expect(() => index.tables.get(0)).toThrow(P4RuntimeError);
      const twins = new NameIndex('table', [
        { id: 1, name: 'a.t', alias: 't' },
        { id: 2, name: 'b.t', alias: 't' },
      ]);
      expect(() => twins.get('t')).toThrow(/a\.t, b\.t/);
    },
  },
  {
    id: 124,
    title: 'translated types: the controller’s width, or a string',
    notOnBmv2: 'nothing is translated there, and a string type is refused',
    async primary(t) {
      expect(await t.insert(keyed('translated', '00010000', { action: act('drop') }))).toEqual([OK]);
    },
    client() {
      expect(Buffer.from(encodeValue(translated(0), 'Ethernet0')).toString()).toBe('Ethernet0');
      expect(() => encodeValue(translated(0), 5)).toThrow(P4RuntimeError);
      expect(index.tables.get('translated').fields.get(1).bitwidth).toBe(32);
    },
  },
  {
    id: 125,
    title: 'a translated value without a mapping',
    reason:
      'our server passes values to the device as the controller writes them; which have a mapping is the device’s to say (`apply` refuses)',
  },
  {
    id: 126,
    title: 'SDN port 0 is no port; CPU and recirculation have fixed numbers',
    reason: 'ports are the device’s (`hasPort`); the numbers are the standard’s',
    async client() {
      const { enumValues } = await import('../../../src/p4runtime/proto/field-plan.ts');
      const { descriptor } = await import('../../../src/p4runtime/proto/generated/descriptor.ts');
      const { sdnPort } = await import('../../../src/p4runtime/sdn-port.ts');
      const ports = enumValues(descriptor, 'p4.v1.SdnPort');
      const unsigned = Object.entries(ports).map(([name, port]) => [name, port >>> 0]);
      expect(unsigned).toEqual(Object.entries(sdnPort).map(([name, port]) => [`SDN_PORT_${name}`, port]));
      expect(sdnPort).toMatchObject({ UNKNOWN: 0, CPU: 0xfffffffd, RECIRCULATE: 0xfffffffa });
    },
  },
];
