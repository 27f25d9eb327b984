import { expect } from 'vitest';
import { electionIdOf, toUint128 } from '../../../src/p4runtime/election.ts';
import { Session } from '../../../src/p4runtime/session.ts';
import { startServer } from '../support/server.ts';
import { keyed } from './build.ts';
import type { Case } from './case.ts';
import { AE, FP, IA, NF, OK, PD, RE } from './target.ts';

/** Arbitration: 7-24. */
export const arbitrationCases: readonly Case[] = [
  {
    id: 7,
    title: 'a bid for an unknown device ends the stream with NOT_FOUND',
    bmv2: 'any device id is accepted',
    async server(t) {
      const stream = t.stream();
      stream.bid({ id: t.base, deviceId: 4242 });
      if (t.bmv2) expect((await stream.standing()).code).toBe(OK);
      else expect(await stream.ended()).toBe(NF);
      const none = t.stream();
      none.bid({ id: t.base + 1n, deviceId: 0 });
      if (!t.bmv2) expect(await none.ended()).toBe(NF);
    },
  },
  {
    id: 8,
    title: 'the election id of another live stream ends this one with INVALID_ARGUMENT',
    bmv2: 'in a later message it also evicts the other: only the first message is tested',
    async server(t) {
      const [first, second] = [t.stream(), t.stream()];
      await first.become({ id: t.base });
      second.bid({ id: t.base });
      expect(await second.ended()).toBe(IA);
      expect(await first.silent()).toBe(true);
      if (t.bmv2) return;
      const third = t.stream();
      await third.become({ id: t.base - 1n });
      third.bid({ id: t.base });
      expect(await third.ended()).toBe(IA);
      expect(await first.silent()).toBe(true);
    },
  },
  {
    id: 9,
    title: 'one election id under two roles',
    bmv2: 'roles are ignored, so INVALID_ARGUMENT',
    async server(t) {
      const [first, second] = [t.stream(), t.stream()];
      await first.become({ id: t.base });
      second.bid({ id: t.base, role: { name: 'other' } });
      if (t.bmv2) expect(await second.ended()).toBe(IA);
      else expect((await second.standing()).code).toBe(OK);
    },
  },
  {
    id: 10,
    title: 'election ids compare as unsigned 128 bits',
    async server(t) {
      const [low, high] = [t.stream(), t.stream()];
      const top = t.base << 64n;
      await low.become({ id: top - 1n });
      expect(await high.become({ id: top })).toEqual({ code: OK, id: top });
      expect((await low.standing()).code).toBe(AE);
    },
    client: () => expect(electionIdOf({ high: 1n, low: 0n })).toBe(2n ** 64n),
  },
  {
    id: 11,
    title: 'an unset election id can never be primary, {0,0} can',
    bmv2: 'unset is {0,0}',
    async server(t) {
      const [unset, another, zero] = [t.stream(), t.stream(), t.stream()];
      const first = await unset.become({});
      if (t.bmv2) {
        expect(first.code).toBe(OK);
        return;
      }
      expect(first.code).toBe(NF);
      expect((await another.become({})).code).toBe(NF);
      expect((await zero.become({ id: 0n })).code).toBe(OK);
    },
  },
  {
    id: 12,
    title: 'where there never was a primary: NOT_FOUND, and no election id',
    notOnBmv2: 'an unset id is {0,0} there, so the first stream is primary',
    async server(t) {
      expect(await t.stream().become({})).toEqual({ code: NF, id: undefined });
    },
  },
  {
    id: 13,
    title: 'the highest id ever seen outlives its stream',
    bmv2: 'with no stream left any id becomes primary',
    async server(t) {
      const first = t.stream();
      await first.become({ id: t.base + 5n });
      first.close();
      const second = t.stream();
      await new Promise((resolve) => setTimeout(resolve, 100));
      const standing = await second.become({ id: t.base });
      expect(standing).toEqual(t.known({ code: NF, id: t.base + 5n }, { code: OK, id: t.base }));
      if (!t.bmv2) expect((await second.become({ id: t.base + 5n })).code).toBe(OK);
    },
  },
  {
    id: 14,
    title: 'the primary’s stream breaks: nobody is promoted',
    bmv2: 'the next id is promoted: OK with the lower id',
    async server(t) {
      const [primary, backup] = [t.stream(), t.stream()];
      await primary.become({ id: t.base + 1n });
      await backup.become({ id: t.base });
      primary.close();
      expect(await backup.standing()).toEqual(
        t.known({ code: NF, id: t.base + 1n }, { code: OK, id: t.base }),
      );
    },
  },
  {
    id: 15,
    title: 'behind the primary’s death its id is enough, a lower one is not',
    notOnBmv2: 'the backup is primary already',
    async server(t) {
      const [primary, backup] = [t.stream(), t.stream()];
      await primary.become({ id: t.base + 9n });
      await backup.become({ id: t.base });
      primary.close();
      await backup.standing();
      expect((await backup.become({ id: t.base + 8n })).code).toBe(NF);
      expect((await backup.become({ id: t.base + 9n })).code).toBe(OK);
    },
  },
  {
    id: 16,
    title: 'a higher id takes over',
    async server(t) {
      const old = await t.ready();
      const young = t.stream();
      expect(await young.become({ id: t.base + 1n })).toEqual({ code: OK, id: t.base + 1n });
      expect(await old.standing()).toEqual({ code: AE, id: t.base + 1n });
      expect(await t.insert(keyed('exact16', '01'))).toEqual([-PD]);
    },
  },
  {
    id: 17,
    title: 'of a new backup only itself is told',
    async server(t) {
      const [primary, backup] = [t.stream(), t.stream()];
      await primary.become({ id: t.base + 9n });
      expect((await backup.become({ id: t.base })).code).toBe(AE);
      expect((await backup.become({ id: t.base + 1n })).code).toBe(AE);
      expect(await primary.silent()).toBe(true);
    },
  },
  {
    id: 18,
    title: 'the primary raises its id: all are told; lowers it: nobody is primary',
    bmv2: 'backups are not told of a raised id; lowering promotes the next',
    async server(t) {
      const [primary, backup] = [t.stream(), t.stream()];
      await primary.become({ id: t.base + 5n });
      await backup.become({ id: t.base });
      expect(await primary.become({ id: t.base + 6n })).toEqual({ code: OK, id: t.base + 6n });
      if (!t.bmv2) expect(await backup.standing()).toEqual({ code: AE, id: t.base + 6n });
      primary.bid({ id: t.base - 1n });
      expect((await backup.standing()).code).toBe(t.known(NF, OK));
      expect((await primary.standing()).code).toBe(t.known(NF, AE));
    },
  },
  {
    id: 19,
    title: 'the same id again: from the primary all are told, from a backup it alone',
    bmv2: 'nobody is told',
    async server(t) {
      const [primary, backup] = [t.stream(), t.stream()];
      await primary.become({ id: t.base + 1n });
      await backup.become({ id: t.base });
      backup.bid({ id: t.base });
      if (t.bmv2) {
        expect(await backup.silent()).toBe(true);
        return;
      }
      expect((await backup.standing()).code).toBe(AE);
      expect(await primary.silent()).toBe(true);
      expect((await primary.become({ id: t.base + 1n })).code).toBe(OK);
      expect((await backup.standing()).code).toBe(AE);
    },
  },
  {
    id: 20,
    title: 'a stream keeps its device and role',
    bmv2: 'the role is ignored: only the device is tested',
    async server(t) {
      const device = t.stream();
      await device.become({ id: t.base });
      device.bid({ id: t.base, deviceId: 4243 });
      expect(await device.ended()).toBe(FP);
      if (t.bmv2) return;
      const role = t.stream();
      await role.become({ id: t.base + 1n });
      role.bid({ id: t.base + 1n, role: { name: 'other' } });
      expect(await role.ended()).toBe(FP);
    },
  },
  {
    id: 21,
    title: 'a role.config that was not agreed is refused',
    notOnBmv2: 'roles are ignored',
    async server(t) {
      const stream = t.stream();
      stream.bid({ id: t.base, role: { name: 'r', config: { typeUrl: 'x', value: new Uint8Array(1) } } });
      expect(await stream.ended()).toBe(IA);
    },
  },
  {
    id: 22,
    title: 'too many streams: the surplus one ends with RESOURCE_EXHAUSTED',
    async server(t) {
      const streams = Array.from({ length: 16 }, () => t.stream());
      for (const [i, stream] of streams.entries()) await stream.become({ id: t.base - BigInt(i) });
      const surplus = t.stream();
      surplus.bid({ id: t.base + 1n });
      expect(await surplus.ended()).toBe(RE);
    },
  },
  {
    id: 23,
    title: 'roles by name, and by number as in 1.3; unset is the default role',
    notOnBmv2: 'roles are ignored',
    async server(t) {
      const [none, named, numbered] = [t.stream(), t.stream(), t.stream()];
      expect((await none.become({ id: t.base })).code).toBe(OK);
      expect((await named.become({ id: t.base, role: { name: 'a' } })).code).toBe(OK);
      expect((await numbered.become({ id: t.base, role: { id: 7n } })).code).toBe(OK);
      expect(await t.setPipeline('VERIFY_AND_COMMIT')).toBe(OK);
      const update = { type: 'INSERT' as const, entity: keyed('exact16', '01') };
      expect(await t.write([update], { electionId: toUint128(t.base), role: 'a' })).toEqual([OK]);
      expect(await t.write([update], { electionId: toUint128(t.base), role: 'b' })).toEqual([-PD]);
    },
  },
  {
    id: 24,
    title: 'a lost stream, or a higher id, ends the primary state at once; OK with a lower id is a promotion',
    reason: 'a rule for clients',
    async client() {
      const server = await startServer();
      const session = new Session({ address: server.address, deviceId: 1, electionId: 5n, takeover: false });
      const other = new Session({ address: server.address, deviceId: 1, electionId: 9n });
      const is = async (s: Session, kind: string) =>
        expect.poll(() => s.state().kind, { timeout: 60_000 }).toBe(kind);
      try {
        session.open();
        await is(session, 'primary');
        other.open();
        await is(session, 'backup');
        other.close();
        await expect
          .poll(() => session.state(), { timeout: 60_000 })
          .toMatchObject({ kind: 'backup', hasPrimary: false });
        session.bid(10n);
        await is(session, 'primary');
        await server.close();
        const lost = () => ['disconnected', 'connecting'].includes(session.state().kind);
        await expect.poll(lost, { timeout: 60_000 }).toBe(true);
      } finally {
        session.close();
        other.close();
        await server.close();
      }
    },
  },
];
