import { expect } from 'vitest';

import { P4Program } from '../../../src/p4runtime/program.ts';
import { conformanceP4Info } from '../support/tools.ts';
import {
  acl,
  act,
  actionId,
  defaultOf,
  entry,
  exact,
  forward,
  hex,
  keyed,
  lpm,
  optional,
  range,
  tableId,
  ternary,
} from './build.ts';
import type { Case } from './case.ts';
import { AE, IA, NF, OK, PD, UK } from './target.ts';

const program = new P4Program(conformanceP4Info);
const forwardCall = { name: 'forward', params: { port: 1 } } as const;

/** TableEntry, match formats, actions, defaults, constant tables: 51-72. */
export const tableCases: readonly Case[] = [
  {
    id: 51,
    title: 'a match that is missing, unknown, twice, or of another kind',
    async primary(t) {
      const codes = await t.insert(
        entry('exact16', []),
        entry('exact16', [exact(1, '01'), exact(9, '01')]),
        entry('exact16', [exact(1, '01'), exact(1, '02')]),
        entry('exact16', [{ fieldId: 1 }]),
        entry('exact16', [lpm('01', 16)]),
      );
      expect(codes).toEqual([IA, IA, IA, IA, IA]);
    },
    client() {
      expect(() => program.tableEntry({ table: 'exact16', action: forwardCall })).toThrow(/lacks/);
    },
  },
  {
    id: 52,
    title: 'LPM: a prefix out of range, or bits below it',
    async primary(t) {
      const codes = await t.insert(
        ...[lpm('0a000000', 0), lpm('0a000000', 33), lpm('0a010000', 8), lpm('0a000000', 8)].map((m) =>
          entry('lpm32', [m]),
        ),
      );
      expect(codes).toEqual([IA, IA, IA, OK]);
    },
    client() {
      const bad = () =>
        program.tableEntry({
          table: 'lpm32',
          match: { 'h.probe.b32': { value: 0x0a010000, prefix: 8 } },
          action: forwardCall,
        });
      expect(bad).toThrow(/below the prefix/);
    },
  },
  {
    id: 53,
    title: 'TERNARY: a mask of 0, or bits outside the mask; a value may be shorter than its mask',
    async primary(t) {
      const codes = await t.insert(
        acl([ternary(1, '00', '00')]),
        acl([ternary(1, '0f', 'f0')]),
        acl([ternary(1, '10', 'ffffffff')]),
      );
      expect(codes).toEqual([IA, IA, OK]);
    },
  },
  {
    id: 54,
    title: 'RANGE: low above high, or the full range; low = high is fine',
    async primary(t) {
      const codes = await t.insert(
        acl([range(2, '05', '04')]),
        acl([range(2, '0000', 'ffff')]),
        acl([range(2, '05', '05')]),
      );
      expect(codes).toEqual([IA, IA, OK]);
    },
  },
  {
    id: 55,
    title: 'don’t care is left out, in answers too',
    async primary(t) {
      expect(await t.insert(acl([optional(3, '05')]), acl([], 11), entry('lpm32', []))).toEqual([OK, OK, OK]);
      const read = await t.entries({ tableId: tableId('acl') });
      expect(read.map((e) => e.match.length).sort()).toEqual([0, 1]);
      expect((await t.entries({ tableId: tableId('lpm32') }))[0]!.match).toEqual([]);
    },
    client() {
      const { tableEntry } = program.tableEntry({
        table: 'acl',
        match: { 'h.probe.b16': { low: 0, high: 0xffff } },
        priority: 1,
        action: forwardCall,
      });
      expect(tableEntry!.match).toEqual([]);
    },
  },
  {
    id: 56,
    title: 'the full range is refused at the width of the field only',
    bmv2: 'the range 00..ff is refused at any width',
    async primary(t) {
      expect(await t.insert(acl([range(2, '00', 'ff')]))).toEqual([t.known(OK, IA)]);
    },
  },
  {
    id: 57,
    title: 'priority: needed where entries may overlap, refused elsewhere',
    bmv2: 'a negative one is UNKNOWN',
    async primary(t) {
      const codes = await t.insert(acl([], 0), acl([], -1), keyed('exact16', '01', { priority: 1 }));
      expect(codes).toEqual([IA, t.known(IA, UK), IA]);
    },
    client() {
      expect(() => program.tableEntry({ table: 'acl', action: forwardCall })).toThrow(/priority/);
      expect(() =>
        program.tableEntry({ table: 'small', match: { 'h.probe.b8': 1 }, priority: 2, action: forwardCall }),
      ).toThrow(/priority/);
    },
  },
  {
    id: 58,
    title: 'the key is match and priority',
    async primary(t) {
      const match = [ternary(1, '10', 'ff')];
      expect(await t.insert(acl(match, 1), acl(match, 2), acl(match, 2))).toEqual([OK, OK, AE]);
      expect((await t.entries({ tableId: tableId('acl') })).length).toBe(2);
    },
  },
  {
    id: 59,
    title: 'a keyless table has no entries; is_const is not a controller’s to say',
    bmv2: 'INSERT into a keyless table is UNKNOWN, is_const is not looked at',
    async primary(t) {
      expect(await t.insert(entry('keyless', []))).toEqual([t.known(IA, UK)]);
      expect(await t.insert(keyed('exact16', '01', { isConst: true }))).toEqual([t.known(IA, OK)]);
    },
  },
  {
    id: 60,
    title: 'both metadata fields come back, and MODIFY replaces them',
    async primary(t) {
      await t.insert(keyed('exact16', '01', { metadata: hex('0102'), controllerMetadata: 5n }));
      const [first] = await t.entries({ tableId: tableId('exact16') });
      expect([Buffer.from(first!.metadata).toString('hex'), first!.controllerMetadata]).toEqual(['0102', 5n]);
      await t.modify(keyed('exact16', '01', { metadata: hex('03') }));
      const [second] = await t.entries({ tableId: tableId('exact16') });
      expect([Buffer.from(second!.metadata).toString('hex'), second!.controllerMetadata]).toEqual(['03', 0n]);
    },
  },
  {
    id: 61,
    title: 'INSERT needs an action; MODIFY without one keeps it',
    bmv2: 'MODIFY without one is INVALID_ARGUMENT',
    async primary(t) {
      expect(await t.insert(keyed('exact16', '01', { action: undefined }))).toEqual([IA]);
      await t.insert(keyed('exact16', '01', { action: forward('03') }));
      expect(await t.modify(keyed('exact16', '01', { action: undefined }))).toEqual([t.known(OK, IA)]);
      const [read] = await t.entries({ tableId: tableId('exact16') });
      expect(read!.action!.action!.params[0]!.value[0]).toBe(3);
    },
  },
  {
    id: 62,
    title: 'an action of another table, or out of its scope',
    async primary(t) {
      expect(
        await t.insert(
          keyed('small', '01', { action: act('meter_it') }),
          keyed('scoped', '01', { action: act('drop') }),
        ),
      ).toEqual([IA, PD]);
      expect(await t.modify(defaultOf('scoped', { action: act('set_two', '01', '02') }))).toEqual([PD]);
    },
    client() {
      expect(() =>
        program.tableEntry({ table: 'small', match: { 'h.probe.b8': 1 }, action: { name: 'meter_it' } }),
      ).toThrow(/no action of/);
      expect(() =>
        program.tableEntry({ table: 'scoped', match: { 'h.probe.b8': 1 }, action: { name: 'drop' } }),
      ).toThrow(/default/);
    },
  },
  {
    id: 63,
    title: 'a parameter that is missing, extra, repeated or too wide',
    bmv2: 'one repeated in place of another passes',
    async primary(t) {
      const params = (ids: readonly number[], value = '01') => ({
        action: {
          action: {
            actionId: actionId('set_two'),
            params: ids.map((paramId) => ({ paramId, value: hex(value) })),
          },
        },
      });
      const codes = await t.insert(
        ...[params([1]), params([1, 2, 3]), params([1, 9]), params([1, 2], 'ffff')].map((p) =>
          keyed('exact16', '01', p),
        ),
      );
      expect(codes).toEqual([IA, IA, IA, IA]);
      expect(await t.insert(keyed('exact16', '02', params([1, 1])))).toEqual([t.known(IA, OK)]);
    },
  },
  {
    id: 64,
    title: 'an action of the wrong kind for the table',
    async primary(t) {
      const codes = await t.insert(
        keyed('small', '01', { action: { actionProfileMemberId: 1 } }),
        keyed('by_member', '01', { action: forward() }),
        keyed('small', '01', { action: {} }),
      );
      expect(codes).toEqual([IA, IA, IA]);
    },
  },
  {
    id: 65,
    title: 'an entry that names a missing member or group',
    bmv2: 'INVALID_ARGUMENT',
    async primary(t) {
      const codes = await t.insert(
        keyed('by_member', '01', { action: { actionProfileMemberId: 5 } }),
        keyed('by_group', '01', { action: { actionProfileGroupId: 5 } }),
      );
      expect(codes).toEqual(t.known([NF, NF], [IA, IA]));
    },
  },
  {
    id: 66,
    title: 'a default action with INSERT, DELETE, match or priority',
    async primary(t) {
      const drop = { action: act('drop') };
      expect(await t.insert(defaultOf('small', drop))).toEqual([IA]);
      expect(await t.delete(defaultOf('small', drop))).toEqual([IA]);
      expect(
        await t.modify(
          defaultOf('small', { ...drop, match: [exact(1, '01')] }),
          defaultOf('small', { ...drop, priority: 3 }),
        ),
      ).toEqual([IA, IA]);
    },
  },
  {
    id: 67,
    title: 'MODIFY of the default sets it; without action the program’s own is back',
    async primary(t) {
      expect(await t.modify(defaultOf('small', { action: forward('05') }))).toEqual([OK]);
      const [set] = await t.entries({ tableId: tableId('small'), isDefaultAction: true });
      expect(set!.action!.action!.actionId).toBe(actionId('forward'));
      expect(await t.modify(defaultOf('small'))).toEqual([OK]);
      const [own] = await t.entries({ tableId: tableId('small'), isDefaultAction: true });
      expect(own!.action!.action!.actionId).toBe(actionId('drop'));
    },
  },
  {
    id: 68,
    title: 'a constant default is not modified',
    bmv2: 'of an indirect table INVALID_ARGUMENT',
    async primary(t) {
      expect(await t.modify(defaultOf('fixed', { action: forward() }))).toEqual([PD]);
      expect(await t.modify(defaultOf('by_member', { action: act('NoAction') }))).toEqual([t.known(PD, IA)]);
    },
  },
  {
    id: 69,
    title: 'an unwritten default reads as the program’s own',
    async primary(t) {
      const [own] = await t.entries({ tableId: tableId('small'), isDefaultAction: true });
      expect(own!.action!.action!.actionId).toBe(actionId('drop'));
    },
  },
  {
    id: 70,
    title: 'a constant table takes no INSERT, MODIFY or DELETE',
    bmv2: 'UNKNOWN, or NOT_FOUND',
    async primary(t) {
      const e = entry('fixed', [ternary(1, '40', 'f0')], { priority: 5 });
      const codes = [...(await t.insert(e)), ...(await t.modify(e)), ...(await t.delete(e))];
      if (t.bmv2) for (const code of codes) expect([UK, NF]).toContain(code);
      else expect(codes).toEqual([PD, PD, PD]);
    },
  },
  {
    id: 71,
    title: 'constant entries are read, the first with the highest priority',
    bmv2: 'priorities count down from 2^31 - 2',
    async primary(t) {
      const read = await t.entries({ tableId: tableId('fixed') });
      const byKey = [...read]
        .sort((a, b) => b.priority - a.priority)
        .map((e) => e.match[0]!.ternary!.value[0]);
      expect(byKey).toEqual([0x10, 0x20, 0x30]);
      if (!t.bmv2) expect(read.map((e) => e.priority).sort()).toEqual([1, 2, 3]);
    },
  },
  {
    id: 72,
    title: 'entries that the program brings along: all writes work, save on constant ones',
    notOnBmv2:
      'a program with such entries ends every later Read there with INTERNAL, so the test program has none',
    async primary(t) {
      const loose = keyed('translated', '01', { action: act('drop') });
      const fixed = keyed('translated', '02', { action: act('drop') });
      expect(await t.modify(loose, fixed)).toEqual([OK, PD]);
      expect(await t.delete(loose, fixed)).toEqual([OK, PD]);
      const [kept] = await t.entries({ tableId: tableId('translated') });
      expect(kept!.isConst).toBe(true);
      expect(await t.insert(loose)).toEqual([OK]);
    },
  },
];
