import { expect } from 'vitest';
import {
  counter,
  exact,
  group,
  hex,
  keyed,
  member,
  meter,
  oneShot,
  rates,
  register,
  registerId,
  tableId,
  valueSet,
} from './build.ts';
import type { Case } from './case.ts';
import { AE, FP, IA, NF, OK, OR, RE, UK, UN } from './target.ts';

const named = (groupId: number) => keyed('by_group', '01', { action: { actionProfileGroupId: groupId } });

/** Action profiles: 81-91. */
export const profileCases: readonly Case[] = [
  {
    id: 81,
    title: 'members: id taken, no action, over size, missing',
    async primary(t) {
      const of = (id: number, fields = {}) => member(id, fields, 'members');
      expect(await t.insert(of(1), of(1), of(2, { action: undefined }))).toEqual([OK, AE, IA]);
      const rest = await t.insert(...[2, 3, 4, 5, 6, 7, 8, 9].map((id) => of(id)));
      // `members` holds 8; BMv2 grows it.
      expect(rest).toEqual([OK, OK, OK, OK, OK, OK, OK, t.known(RE, OK)]);
      expect(await t.modify(of(99), of(1, { action: undefined }))).toEqual([NF, IA]);
    },
    bmv2: 'the size of a profile is not enforced',
  },
  {
    id: 82,
    title: 'DELETE of what is missing, or still in use',
    bmv2: 'in use is UNKNOWN',
    async primary(t) {
      expect(await t.delete(member(1), group(1, []))).toEqual([NF, NF]);
      expect(await t.insert(member(1), group(1, [1]), named(1))).toEqual([OK, OK, OK]);
      const inUse = t.known(FP, UK);
      expect(await t.delete(member(1), group(1, []))).toEqual([inUse, inUse]);
    },
  },
  {
    id: 83,
    title: 'groups: id taken, unknown member, member twice; member 5 and group 5 coexist',
    bmv2: 'a member twice is not INVALID_ARGUMENT',
    async primary(t) {
      expect(await t.insert(member(5), group(5, [5]), group(5, [5]), group(6, [77]))).toEqual([
        OK,
        OK,
        AE,
        NF,
      ]);
      const [twice] = await t.insert(group(7, [5, 5]));
      if (!t.bmv2) expect(twice).toBe(IA);
      expect(await t.modify(group(99, [5]))).toEqual([NF]);
    },
  },
  {
    id: 84,
    title: 'a weight that is not positive',
    bmv2: 'the refused group is there all the same, without members',
    async primary(t) {
      await t.insert(member(1));
      const weighted = (id: number, weight: number) => group(id, [], { members: [{ memberId: 1, weight }] });
      expect(await t.insert(weighted(1, 0), weighted(2, -1))).toEqual([IA, IA]);
      const left = (await t.read([group(1, [])])).entities.length;
      expect(left).toBe(t.known(0, 1));
    },
  },
  {
    id: 85,
    title: 'max_size above the profile’s, or changed',
    async primary(t) {
      expect(await t.insert(group(1, [], { maxSize: 5 }), group(1, [], { maxSize: 4 }))).toEqual([IA, OK]);
      expect(await t.modify(group(1, [], { maxSize: 3 }))).toEqual([IA]);
    },
  },
  {
    id: 86,
    title: 'watch_port that is no port; empty is none; the former watch is a number',
    bmv2: 'the port is not looked at',
    async primary(t) {
      await t.insert(member(1));
      const watching = (id: number, port: string) =>
        group(id, [], { members: [{ memberId: 1, weight: 1, watchPort: hex(port) }] });
      // Our test device has the ports 0..511.
      expect(await t.insert(watching(1, '0fff'), watching(2, ''))).toEqual([t.known(IA, OK), OK]);
      const former = (id: number, watch: number) =>
        group(id, [], { members: [{ memberId: 1, weight: 1, watch }] });
      expect(await t.insert(former(3, 0xfff), former(4, 5))).toEqual([t.known(IA, OK), OK]);
    },
  },
  {
    id: 87,
    title: 'one-shots, and not both styles on one selector',
    async primary(t) {
      expect(
        await t.insert(keyed('by_group', '01', { action: oneShot({ weight: 1 }, { weight: 2 }) })),
      ).toEqual([OK]);
      expect(await t.insert(member(1))).toEqual([IA]);
    },
  },
  {
    id: 88,
    title: 'a one-shot above max_group_size',
    bmv2: 'RESOURCE_EXHAUSTED',
    async primary(t) {
      expect(
        await t.insert(keyed('by_group', '01', { action: oneShot({ weight: 3 }, { weight: 2 }) })),
      ).toEqual([t.known(IA, RE)]);
    },
  },
  {
    id: 89,
    title: 'a one-shot reads back as one, equal actions unmerged; DELETE frees its members',
    async primary(t) {
      const entity = keyed('by_group', '01', { action: oneShot({ weight: 1 }, { weight: 2 }) });
      for (let i = 0; i < 20; i++) {
        expect(await t.insert(entity)).toEqual([OK]);
        const [read] = await t.entries({ tableId: tableId('by_group') });
        const weights = read!.action!.actionProfileActionSet!.actionProfileActions.map((a) => a.weight);
        expect(weights.sort()).toEqual([1, 2]);
        expect(await t.delete(entity)).toEqual([OK]);
      }
    },
  },
  {
    id: 90,
    title: 'mixed actions in a group; an empty group is legal',
    bmv2: 'an empty one-shot is UNIMPLEMENTED',
    async primary(t) {
      const empty = keyed('by_group', '01', { action: oneShot() });
      expect(await t.insert(empty)).toEqual([t.known(OK, UN)]);
      await t.delete(empty);
      expect(await t.insert(member(1), group(1, [1]), group(2, []))).toEqual([OK, OK, OK]);
    },
  },
  {
    id: 91,
    title: 'action_selection_mode and size_semantics: defaults work',
    notOnBmv2: 'the fields are of 1.5; PI speaks 1.3 and skips them',
    async primary(t) {
      const set = {
        ...oneShot({ weight: 1 }).actionProfileActionSet,
        actionSelectionMode: 'RANDOM' as const,
      };
      expect(await t.insert(keyed('by_group', '01', { action: { actionProfileActionSet: set } }))).toEqual([
        UN,
      ]);
      expect(await t.insert(keyed('by_group', '01', { action: oneShot({ weight: 1 }) }))).toEqual([OK]);
    },
  },
];

/** Counters, meters, registers, value sets: 92-99. */
export const cellCases: readonly Case[] = [
  {
    id: 92,
    title: 'INSERT or DELETE of a counter, meter or value set',
    bmv2: 'DELETE of a counter zeroes it; value sets are unsupported',
    async primary(t) {
      expect(await t.insert(counter(0), meter(0))).toEqual([IA, IA]);
      if (t.bmv2) return;
      expect(await t.delete(counter(0), meter(0))).toEqual([IA, IA]);
      expect(await t.insert(valueSet('0001'))).toEqual([IA]);
    },
  },
  {
    id: 93,
    title: 'an index that is negative or too large; none is the whole array',
    bmv2: 'too large is UNKNOWN; a Write needs an index',
    async primary(t) {
      const one = { packetCount: 5n, byteCount: 6n };
      expect(await t.modify(counter(-1, one), counter(16, one), counter(3, one))).toEqual([
        IA,
        t.known(OR, UK),
        OK,
      ]);
      const { entities } = await t.read([counter(undefined)]);
      expect(entities.length).toBe(16);
      expect(entities.find((e) => e.counterEntry?.index?.index === 3n)?.counterEntry?.data?.packetCount).toBe(
        5n,
      );
      expect(await t.modify(counter(undefined, one))).toEqual([t.known(OK, UN)]);
    },
  },
  {
    id: 94,
    title: 'counter data unset: kept; meter config unset: the default',
    bmv2: 'the counter is zeroed',
    async primary(t) {
      await t.modify(counter(1, { packetCount: 5n, byteCount: 6n }), counter(1), meter(1, rates()), meter(1));
      const { entities } = await t.read([counter(1), meter(1)]);
      expect(entities[0]?.counterEntry?.data?.packetCount).toBe(t.known(5n, 0n));
      if (!t.bmv2) expect(entities[1]?.meterEntry?.config).toBeUndefined();
    },
  },
  {
    id: 95,
    title: 'a direct resource of a missing entry',
    bmv2: 'INVALID_ARGUMENT',
    async primary(t) {
      const missing = {
        directCounterEntry: {
          tableEntry: { tableId: tableId('exact16'), match: [exact(1, '01')] },
          data: { packetCount: 1n },
        },
      };
      expect(await t.modify(missing)).toEqual([t.known(NF, IA)]);
      const { code, errors } = await t.read([missing]);
      expect(t.bmv2 ? [code] : [code, ...(errors ?? [])]).toEqual(t.known([UK, NF], [IA]));
    },
  },
  {
    id: 96,
    title: 'rates that the kind of meter does not have',
    bmv2: 'not looked at',
    async primary(t) {
      expect(await t.modify(meter(0, rates({ eburst: 5n })))).toEqual([t.known(IA, OK)]);
    },
  },
  {
    id: 97,
    title: 'register data unlike the P4Info',
    bmv2: 'registers and value sets are unsupported',
    async primary(t) {
      expect(
        await t.modify(
          register({ bool: true }),
          register({ bitstring: hex('0102030405') }),
          register({ bitstring: hex('05') }),
        ),
      ).toEqual(t.known([IA, IA, OK], [UN, UN, UN]));
      if (!t.bmv2)
        expect(
          (await t.read([{ registerEntry: { registerId, index: { index: 0 } } }])).entities[0]?.registerEntry
            ?.data?.bitstring,
        ).toEqual(hex('05'));
    },
  },
  {
    id: 98,
    title: 'a value set: replaced, emptied, over size, twice the same',
    bmv2: 'unsupported',
    async primary(t) {
      const codes = await t.modify(
        valueSet('0001', '0002'),
        valueSet('0001', '0001'),
        valueSet('01', '02', '03', '04', '05'),
        valueSet(),
      );
      expect(codes).toEqual(t.known([OK, AE, RE, OK], [UN, UN, UN, UN]));
    },
  },
  {
    id: 99,
    title: 'P4Data: members in order, invalid headers without fields, enums by name',
    notOnBmv2: 'only digests carry P4Data there: case 106',
    async server() {
      const { checkData } = await import('../../../src/p4runtime/server/check-data.ts');
      const none = { annotations: [], annotationLocations: [], structuredAnnotations: [] };
      const bit8 = { bitstring: { bit: { bitwidth: 8 }, ...none } };
      const members = [
        { name: 'a', typeSpec: bit8 },
        { name: 'b', typeSpec: { bool: {} } },
      ];
      const types = {
        structs: { s: { members, ...none } },
        headers: { h: { members: [{ name: 'a', typeSpec: bit8.bitstring }], ...none } },
        headerUnions: {},
        enums: { e: { members: [{ name: 'A', ...none }], ...none } },
        serializableEnums: { n: { underlyingType: { bitwidth: 4 }, members: [], ...none } },
        newTypes: {},
      };
      const struct = { struct: { name: 's' } };
      expect(
        checkData(types, struct, { struct: { members: [{ bitstring: hex('07') }, { bool: true }] } }),
      ).toBeDefined();
      expect(() =>
        checkData(types, struct, { struct: { members: [{ bool: true }, { bitstring: hex('07') }] } }),
      ).toThrow();
      expect(() =>
        checkData(types, { header: { name: 'h' } }, { header: { isValid: false, bitstrings: [hex('01')] } }),
      ).toThrow();
      expect(
        checkData(types, { header: { name: 'h' } }, { header: { isValid: false, bitstrings: [] } }),
      ).toBeDefined();
      expect(checkData(types, { enum: { name: 'e' } }, { enum: 'A' })).toEqual({ enum: 'A' });
      expect(() => checkData(types, { enum: { name: 'e' } }, { enum: 'B' })).toThrow();
      expect(checkData(types, { serializableEnum: { name: 'n' } }, { enumValue: hex('0f') })).toBeDefined();
      expect(() => checkData(types, { serializableEnum: { name: 'n' } }, { enumValue: hex('1f') })).toThrow();
    },
  },
];
