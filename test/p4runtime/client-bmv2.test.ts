import { beforeAll, describe, expect, test } from 'vitest';
import { difference } from '../../src/p4runtime/difference.ts';
import { P4RuntimeError } from '../../src/p4runtime/errors.ts';
import { P4Client } from '../../src/p4runtime/p4-client.ts';
import type { PipelineConfig } from '../../src/p4runtime/pipeline.ts';
import { P4Program } from '../../src/p4runtime/program.ts';
import { keepSynchronised, type Synchronised, synchronise } from '../../src/p4runtime/synchronise.ts';
import { failureOf } from '../support/failure.ts';
import { type Switch, startSwitch } from './support/bmv2.ts';
import { secondInsertFails } from './support/refused.ts';
import { bmv2Reason, compileFixture, conformanceP4Info, freePort, haveBmv2 } from './support/tools.ts';

const program = new P4Program(conformanceP4Info);
const forward = (port: number) => ({ name: 'forward', params: { port } });
const exact = (key: number, port = 1) =>
  program.tableEntry({ table: 'exact16', match: { 'h.ethernet.ethertype': key }, action: forward(port) });

/** Generous: two cores are shared with others. */
const PATIENCE_MS = 30_000;

const failure = (work: Promise<unknown>) => failureOf(work, P4RuntimeError);

describe.skipIf(!haveBmv2)(`client and BMv2${bmv2Reason}`, () => {
  let pipeline: PipelineConfig;
  beforeAll(() => {
    pipeline = { p4info: conformanceP4Info, deviceConfig: compileFixture('conformance.p4').deviceConfig };
  });

  async function withSwitch(work: (bmv2: Switch, client: P4Client) => Promise<void>): Promise<void> {
    const bmv2 = await startSwitch();
    const client = new P4Client({
      address: bmv2.address,
      deviceId: 1,
      timeoutMs: PATIENCE_MS,
      backoffMs: [20, 200],
    });
    try {
      await work(bmv2, client);
    } finally {
      client.close();
      await bmv2.kill();
    }
  }

  test('a pipeline is pushed once, and not again where the cookie matches', () =>
    withSwitch(async (_, client) => {
      await client.connect();
      expect(await client.pipeline.get()).toBeUndefined();
      await client.pipeline.verify(pipeline);
      expect(await client.pipeline.ensure(pipeline)).toBe(true);
      expect(await client.pipeline.ensure(pipeline)).toBe(false);
      await client.pipeline.save(pipeline);
      await client.pipeline.commitSaved();
    }));

  test('2,000 updates that all fail give 2,000 errors, and the connection lives', () =>
    withSwitch(async (_, client) => {
      await client.connect();
      await client.pipeline.commit(pipeline);
      await secondInsertFails(client, (i) => exact(i));
      expect((await client.readAll([program.allEntries('exact16')])).length).toBe(2_000);
    }));

  test('a full table and a failed batch: what was done is taken back', () =>
    withSwitch(async (_, client) => {
      await client.connect();
      await client.pipeline.commit(pipeline);
      const small = (key: number) =>
        program.tableEntry({ table: 'small', match: { 'h.probe.b8': key }, action: forward(1) });
      const error = await failure(client.insert([1, 2, 3, 4, 5, 6].map(small), { onError: 'rollback' }));
      expect(error.updates.map((u) => u.index)).toEqual([4, 5]);
      expect(await client.readAll([program.allEntries('small')])).toEqual([]);
    }));

  test('every kind of entity that it has: written, and found as it was written', () =>
    withSwitch(async (_, client) => {
      await client.connect();
      const entities = [
        program.member('groups', 1, forward(1)),
        program.group('groups', 1, [{ memberId: 1, weight: 2 }], 4),
        program.multicastGroup(5, [{ port: 1 }, { port: 2, instance: 3 }]),
        program.cloneSession(6, [{ port: 3 }]),
        program.tableEntry({ table: 'by_group', match: { 'h.probe.b8': 7 }, action: { group: 1 } }),
        program.tableEntry({
          table: 'lpm32',
          match: { 'h.probe.b32': { value: 0x0a000000, prefix: 8 } },
          action: forward(2),
        }),
        program.tableEntry({
          table: 'acl',
          match: {
            'h.probe.b32': { value: 0x10, mask: 0xff },
            'h.probe.b16': { low: 5, high: 500 },
            'h.probe.b8': 3,
          },
          priority: 7,
          action: forward(3),
          metadata: Uint8Array.of(1, 2),
        }),
        program.defaultAction({ table: 'small', action: forward(9) }),
        exact(0x1234),
      ];
      expect(await synchronise(client, { pipeline, entities })).toMatchObject({
        pushed: true,
        modified: 1,
        deleted: 0,
      });
      expect(await synchronise(client, { pipeline, entities })).toEqual({
        pushed: false,
        inserted: 0,
        modified: 0,
        deleted: 0,
      });
      // Without the default action it becomes the program's again.
      const fewer = { pipeline, entities: entities.filter((e) => !e.tableEntry?.isDefaultAction) };
      expect(await synchronise(client, fewer)).toMatchObject({ inserted: 0, modified: 1, deleted: 0 });
      await client.modify([program.counter('cells', 3, { packets: 7, bytes: 8 })]);
      const [cell] = await client.readAll([program.counter('cells', 3)]);
      expect(cell?.counterEntry?.data).toEqual({ packetCount: 7n, byteCount: 8n });
      await client.modify([program.meter('rates', 2, { cir: 10, cburst: 5, pir: 20, pburst: 10 })]);
      const [meter] = await client.readAll([program.meter('rates', 2)]);
      expect(meter?.meterEntry?.config).toMatchObject({ cir: 10n, pburst: 10n });
    }));

  test('killed and restarted in the middle of writes: soon after its return all is as desired', async () => {
    const port = await freePort();
    let bmv2 = await startSwitch({ port });
    const client = new P4Client({
      address: bmv2.address,
      deviceId: 1,
      timeoutMs: PATIENCE_MS,
      backoffMs: [20, 200],
    });
    const entities = Array.from({ length: 4_000 }, (_, i) => exact(i, i % 500));
    const outcomes: (Synchronised | Error)[] = [];
    const stop = keepSynchronised(
      client,
      () => ({ pipeline, entities }),
      (outcome) => outcomes.push(outcome),
    );
    try {
      await client.connect();
      // In the middle: some entries are there, not all.
      const some = async () => (await client.readAll([program.allEntries('exact16')]).catch(() => [])).length;
      await expect.poll(some, { timeout: PATIENCE_MS, interval: 50 }).toBeGreaterThan(0);
      await bmv2.kill();
      await client.until((s) => s.kind !== 'primary', PATIENCE_MS);
      bmv2 = await startSwitch({ port });
      await bmv2.ready();
      const returned = performance.now();
      await expect
        .poll(() => outcomes.at(-1), { timeout: PATIENCE_MS, interval: 20 })
        .toMatchObject({ pushed: true });
      expect(performance.now() - returned).toBeLessThan(10_000);
      expect(outcomes.at(-1)).toEqual({ pushed: true, inserted: 4_000, modified: 0, deleted: 0 });
      const found = await client.readAll([program.allEntries('exact16')]);
      expect(difference(found, entities, new Set())).toEqual([]);
    } finally {
      stop();
      client.close();
      await bmv2.kill();
    }
  });

  test('the backup takes over within a second of the primary’s death', () =>
    withSwitch(async (bmv2, backup) => {
      const primary = new P4Client({
        address: bmv2.address,
        deviceId: 1,
        electionId: 9n,
        timeoutMs: PATIENCE_MS,
      });
      try {
        expect(await primary.connect()).toBe('primary');
        expect(await backup.connect()).toBe('backup');
        await primary.pipeline.commit(pipeline);
        expect((await failure(backup.insert([exact(1)]))).kind).toBe('not-primary');
        const begun = performance.now();
        primary.close();
        await backup.primary();
        await backup.insert([exact(1)]);
        expect(performance.now() - begun).toBeLessThan(1_000);
      } finally {
        primary.close();
      }
    }));

  test('a P4Info of another program is refused before it is sent, so the old pipeline stays', () =>
    withSwitch(async (_, client) => {
      await client.connect();
      await client.pipeline.commit(pipeline);
      const tables = conformanceP4Info.tables.map((table) => {
        const preamble = { ...table.preamble!, name: `Other.${table.preamble!.name}` };
        return { ...table, preamble };
      });
      const other = { ...pipeline, p4info: { ...conformanceP4Info, tables } };
      const error = await failure(client.pipeline.commit(other));
      expect([error.kind, error.message]).toEqual(['bad-p4info', expect.stringContaining('Other.')]);
      await client.insert([exact(1)]);
      // BMv2 itself loses the old program over one that it cannot read.
      const nonsense = await failure(
        client.pipeline.commit({ ...pipeline, deviceConfig: Buffer.from('nonsense') }),
      );
      expect(nonsense.call).toBe('SetForwardingPipelineConfig');
    }));
});
