import { describe, expect, test } from 'vitest';
import { P4Client } from '../../src/p4runtime/p4-client.ts';
import { P4Program } from '../../src/p4runtime/program.ts';
import { keepSynchronised, type Synchronised, synchronise } from '../../src/p4runtime/synchronise.ts';
import { startServer } from './support/server.ts';
import { conformanceP4Info, freePort } from './support/tools.ts';

const program = new P4Program(conformanceP4Info);
const pipeline = { p4info: conformanceP4Info, deviceConfig: new Uint8Array(1) };
const forward = (port: number) => ({ name: 'forward', params: { port } });
const small = (key: number, port = 1) =>
  program.tableEntry({ table: 'small', match: { 'h.probe.b8': key }, action: forward(port) });
const desired = {
  pipeline,
  entities: [
    program.member('groups', 1, forward(1)),
    program.member('groups', 2, forward(2)),
    program.group(
      'groups',
      1,
      [
        { memberId: 1, weight: 1 },
        { memberId: 2, weight: 2 },
      ],
      4,
    ),
    program.multicastGroup(5, [{ port: 1 }, { port: 2 }]),
    program.tableEntry({ table: 'by_group', match: { 'h.probe.b8': 7 }, action: { group: 1 } }),
    ...[1, 2, 3].map((key) => small(key)),
    program.defaultAction({ table: 'small', action: forward(9) }),
  ],
};

/** Generous: two cores are shared with others. */
const PATIENCE_MS = 10_000;

describe('session', () => {
  test('goes through its states, and comes back after a loss', async () => {
    const port = await freePort();
    let server = await startServer({ listen: { address: `127.0.0.1:${port}` } });
    const client = new P4Client({ address: server.address, deviceId: 1, backoffMs: [20, 200] });
    const states: string[] = [];
    client.on('state', ({ kind }) => states.push(kind));
    try {
      expect(client.state().kind).toBe('disconnected');
      await client.connect();
      expect(states).toEqual(['connecting', 'arbitrating', 'primary']);
      await server.close();
      await client.until((s) => s.kind !== 'primary', PATIENCE_MS);
      server = await startServer({ listen: { address: `127.0.0.1:${port}` } });
      await client.primary(PATIENCE_MS);
      expect(states).toContain('disconnected');
    } finally {
      client.close();
      await server.close();
    }
    expect(states.at(-1)).toBe('closed');
  });

  test('the backup takes over within a second of the primary’s death', async () => {
    const server = await startServer();
    const [first, second] = [9n, 5n].map(
      (electionId) => new P4Client({ address: server.address, deviceId: 1, electionId }),
    );
    try {
      expect(await first!.connect()).toBe('primary');
      expect(await second!.connect()).toBe('backup');
      await first!.pipeline.commit(pipeline);
      const begun = performance.now();
      first!.close();
      await second!.primary(PATIENCE_MS);
      await second!.insert([small(1)]);
      expect(performance.now() - begun).toBeLessThan(1_000);
    } finally {
      first!.close();
      second!.close();
      await server.close();
    }
  });

  test('packets, digests and idle entries arrive; an acknowledgement goes back', async () => {
    const server = await startServer();
    const client = new P4Client({ address: server.address, deviceId: 1 });
    const heard: string[] = [];
    try {
      await client.connect();
      await client.pipeline.commit(pipeline);
      await client.insert([program.digest('seen_t', { maxListSize: 1 })]);
      client.on('packetIn', (p) => heard.push(`packet ${p.payload.length}`));
      client.on('digest', (d) => {
        heard.push(`digest ${d.data.length}`);
        client.acknowledge(d);
      });
      client.on('idleTimeout', (n) => heard.push(`idle ${n.tableEntry.length}`));
      client.on('streamError', (e) => heard.push(`error ${e.canonicalCode}`));
      const id = program.index.digests.get('seen_t').id;
      server.device.injectPacketIn({ payload: new Uint8Array(3) });
      server.device.injectDigest(id, { struct: { members: [{ bitstring: new Uint8Array(1) }] } });
      server.device.injectIdleTimeout([{ tableId: 1 }]);
      client.packetOut(program.packetOut(new Uint8Array(60), { egress_port: 5, tag: 1 }));
      client.packetOut({ payload: new Uint8Array(60) });
      await expect.poll(() => heard.length, { timeout: PATIENCE_MS }).toBe(4);
      expect(heard.sort()).toEqual(['digest 1', 'error 3', 'idle 1', 'packet 3']);
      expect(server.device.packets.length).toBe(1);
    } finally {
      client.close();
      await server.close();
    }
  });
});

describe('synchronise', () => {
  test('pushes, writes the difference, and finds nothing to do the second time', async () => {
    const server = await startServer();
    const client = new P4Client({ address: server.address, deviceId: 1 });
    try {
      await client.connect();
      expect(await synchronise(client, desired)).toEqual({
        pushed: true,
        inserted: 8,
        modified: 1,
        deleted: 0,
      });
      expect(await synchronise(client, desired)).toEqual({
        pushed: false,
        inserted: 0,
        modified: 0,
        deleted: 0,
      });
      const other = { pipeline, entities: [small(1), small(2, 7), small(4)] };
      // The group and its members are of kinds that the second list does not name; the default action was set by the first.
      const request = desired.entities.find((e) => e.tableEntry?.isDefaultAction)!.tableEntry!.tableId!;
      const defaultAction = async () => {
        const [found] = await client.readAll([{ tableEntry: { tableId: request, isDefaultAction: true } }]);
        return found?.tableEntry?.action;
      };
      const set = await defaultAction();
      expect(await synchronise(client, other)).toEqual({
        pushed: false,
        inserted: 1,
        modified: 2,
        deleted: 2,
      });
      expect(await defaultAction()).not.toEqual(set);
      expect(await synchronise(client, other)).toMatchObject({ modified: 0 });
    } finally {
      client.close();
      await server.close();
    }
  });

  test('after a restart of the device all is there again', async () => {
    const port = await freePort();
    let server = await startServer({ listen: { address: `127.0.0.1:${port}` } });
    const client = new P4Client({ address: server.address, deviceId: 1, backoffMs: [20, 200] });
    const outcomes: (Synchronised | Error)[] = [];
    const stop = keepSynchronised(
      client,
      () => desired,
      (outcome) => outcomes.push(outcome),
    );
    try {
      await client.connect();
      await expect.poll(() => outcomes.length, { timeout: PATIENCE_MS }).toBe(1);
      await server.close();
      server = await startServer({ listen: { address: `127.0.0.1:${port}` } });
      await expect.poll(() => outcomes.length, { timeout: PATIENCE_MS }).toBe(2);
      expect(outcomes[1]).toEqual({ pushed: true, inserted: 8, modified: 1, deleted: 0 });
    } finally {
      stop();
      client.close();
      await server.close();
    }
  });
});
