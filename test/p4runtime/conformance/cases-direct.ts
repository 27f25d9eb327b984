import { expect } from 'vitest';

import { act, defaultOf, forward, hex, keyed, rates, tableId } from './build.ts';
import type { Case } from './case.ts';
import { IA, OK } from './target.ts';

/** Direct resources and idle timeout: 73-80. */
export const directCases: readonly Case[] = [
  {
    id: 73,
    title: 'counter_data or meter_config on a table without one',
    async primary(t) {
      const codes = await t.insert(
        keyed('small', '01', { counterData: { packetCount: 1n } }),
        keyed('small', '02', { meterConfig: rates() }),
      );
      expect(codes).toEqual([IA, IA]);
    },
  },
  {
    id: 74,
    title: 'unset: the meter’s default; INSERT zeroes the counter, MODIFY keeps it',
    bmv2: 'MODIFY keeps the meter',
    async primary(t) {
      await t.insert(keyed('metered', '01', { action: act('meter_it'), meterConfig: rates() }));
      await t.modify(keyed('metered', '01', { action: act('meter_it') }));
      const [metered] = await t.entries({ tableId: tableId('metered'), meterConfig: {} });
      if (!t.bmv2) expect(metered!.meterConfig).toBeUndefined();
      await t.insert(keyed('exact16', '01', { counterData: { packetCount: 9n, byteCount: 90n } }));
      await t.modify(keyed('exact16', '01', { action: forward('02') }));
      const [counted] = await t.entries({ tableId: tableId('exact16'), counterData: {} });
      expect(counted!.counterData!.packetCount).toBe(9n);
    },
  },
  {
    id: 75,
    title: 'direct resources are read only if asked for',
    async primary(t) {
      await t.insert(keyed('exact16', '01'));
      expect((await t.entries({ tableId: tableId('exact16') }))[0]!.counterData).toBeUndefined();
      expect((await t.entries({ tableId: tableId('exact16'), counterData: {} }))[0]!.counterData).toEqual({
        byteCount: 0n,
        packetCount: 0n,
      });
    },
  },
  {
    id: 76,
    title: 'meter_counter_data: non-zero is refused, zeros clear',
    notOnBmv2: 'the field is of 1.4; PI speaks 1.3 and skips it',
    async primary(t) {
      const set = (packetCount: bigint) =>
        keyed('metered', '01', { action: act('meter_it'), meterCounterData: { green: { packetCount } } });
      expect(await t.insert(set(1n), set(0n))).toEqual([IA, OK]);
      const zero = { byteCount: 0n, packetCount: 0n };
      const read = await t.entries({ tableId: tableId('metered'), meterCounterData: {} });
      expect(read[0]!.meterCounterData).toEqual({ green: zero, yellow: zero, red: zero });
    },
  },
  {
    id: 77,
    title: 'an idle timeout on a table or entry without one',
    bmv2: 'of a default entry it is ignored',
    async primary(t) {
      expect(
        await t.insert(
          keyed('small', '01', { idleTimeoutNs: 1_000n }),
          keyed('aging', '01', { idleTimeoutNs: 1_000n }),
        ),
      ).toEqual([IA, OK]);
      expect(await t.modify(defaultOf('aging', { action: act('drop'), idleTimeoutNs: 1_000n }))).toEqual([
        t.known(IA, OK),
      ]);
    },
  },
  {
    id: 78,
    title: 'time_since_last_hit: not written, and read only if asked for',
    async primary(t) {
      expect(await t.insert(keyed('aging', '01', { timeSinceLastHit: { elapsedNs: 1n } }))).toEqual([IA]);
      await t.insert(keyed('aging', '02', { idleTimeoutNs: 1_000_000_000n }));
      expect((await t.entries({ tableId: tableId('aging') }))[0]!.timeSinceLastHit).toBeUndefined();
      const [aged] = await t.entries({ tableId: tableId('aging'), timeSinceLastHit: {} });
      expect(aged!.timeSinceLastHit).toBeDefined();
    },
  },
  {
    id: 79,
    title: 'a timeout that is too small is no error, and reads back as written',
    async primary(t) {
      expect(await t.insert(keyed('aging', '01', { idleTimeoutNs: 1n }))).toEqual([OK]);
      expect((await t.entries({ tableId: tableId('aging') }))[0]!.idleTimeoutNs).toBe(1n);
    },
  },
  {
    id: 80,
    title: 'an idle entry is told to the primary only, with key, metadata and timeout',
    bmv2: 'another clock, no `metadata`',
    async primary(t, stream) {
      const backup = await t.backup();
      const idle = { idleTimeoutNs: 200_000_000n, controllerMetadata: 7n, metadata: hex('05') };
      await t.insert(keyed('aging', '01', idle));
      t.device?.injectIdleTimeout([]);
      t.device?.injectIdleTimeout([{ ...keyed('aging', '01', idle).tableEntry }]);
      const { idleTimeoutNotification: note } = await stream.next();
      const [told] = note!.tableEntry;
      expect([
        note!.tableEntry.length,
        told!.match.length,
        told!.controllerMetadata,
        told!.idleTimeoutNs,
      ]).toEqual([1, 1, 7n, 200_000_000n]);
      if (!t.bmv2) expect(Buffer.from(told!.metadata).toString('hex')).toBe('05');
      expect(await backup.silent()).toBe(true);
    },
  },
];
