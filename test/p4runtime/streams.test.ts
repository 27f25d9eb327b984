import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { P4Client, type P4ClientOptions } from '../../src/p4runtime/p4-client.ts';
import { P4Program } from '../../src/p4runtime/program.ts';
import { startServer } from './support/server.ts';
import { conformanceP4Info } from './support/tools.ts';

const PATIENCE_MS = 30_000;
/** Id of `tag` in the controller header. */
const TAG = 3;
const program = new P4Program(conformanceP4Info);
const pipeline = { p4info: conformanceP4Info, deviceConfig: new Uint8Array(0) };
const small = (key: number) =>
  program.tableEntry({
    table: 'exact16',
    match: { 'h.ethernet.ethertype': key },
    action: { name: 'forward', params: { port: 1 } },
  });
const packet = (tag: number) => program.packetOut(new Uint8Array(60), { egress_port: 1, tag });

/** A primary with a pipeline, and the server behind it. */
async function withClient(
  work: (client: P4Client, server: Awaited<ReturnType<typeof startServer>>) => Promise<void>,
  options: Partial<P4ClientOptions> = {},
): Promise<void> {
  const server = await startServer();
  const client = new P4Client({ address: server.address, deviceId: 1, ...options });
  try {
    await client.connect();
    await client.pipeline.commit(pipeline);
    await work(client, server);
  } finally {
    await client.close();
    await server.close();
  }
}

describe('packets to the device', () => {
  // The device takes them one by one, however busy the machine is.
  const patient = { timeoutMs: 100_000 };

  test('10,000 of them, then close(): all arrive, in order', () =>
    withClient(async (client, server) => {
      for (let i = 0; i < 10_000; i++) void client.packetOut(packet(i));
      await client.close();
      await expect.poll(() => server.device.packets.length, { timeout: PATIENCE_MS }).toBe(10_000);
      const tags = server.device.packets.map(({ metadata }) => {
        const { value } = metadata.find((m) => m.metadataId === TAG)!;
        return Number(`0x${Buffer.from(value).toString('hex')}`);
      });
      expect(tags).toEqual(Array.from({ length: 10_000 }, (_, i) => i));
    }, patient));

  test('each resolves when it is on its way, and flush() when all are', () =>
    withClient(async (client, server) => {
      for (let i = 0; i < 5; i++) await client.packetOut(packet(i));
      void client.packetOut(packet(5));
      await client.flush();
      await expect.poll(() => server.device.packets.length, { timeout: PATIENCE_MS }).toBe(6);
    }));

  test('one that cannot be sent is thrown, and harms no other', () =>
    withClient(async (client, server) => {
      const bad = { payload: new Uint8Array(1), metadata: [{ metadataId: -1, value: new Uint8Array(1) }] };
      expect(() => client.packetOut(bad)).toThrow(RangeError);
      await client.packetOut(packet(1));
      await expect.poll(() => server.device.packets.length, { timeout: PATIENCE_MS }).toBe(1);
      expect(client.state().kind).toBe('primary');
    }));

  test('what the stream did not take before it broke is rejected', async () => {
    const server = await startServer();
    const client = new P4Client({ address: server.address, deviceId: 1, reconnect: false });
    await client.connect();
    await client.pipeline.commit(pipeline);
    const sent = Array.from({ length: 2_000 }, (_, i) => client.packetOut(packet(i)));
    await server.close();
    const outcomes = await Promise.allSettled(sent);
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ name: 'P4RuntimeError' });
    await client.close();
  });
});

describe('events as iterators', () => {
  test('packets that a filter lets through, until the loop is left', () =>
    withClient(async (client, server) => {
      const packets = client.packets({ filter: (p) => p.payload[0]! % 2 === 1 });
      for (let i = 0; i < 6; i++) server.device.injectPacketIn({ payload: Uint8Array.of(i) });
      const seen: number[] = [];
      for await (const { payload } of packets) {
        seen.push(payload[0]!);
        if (seen.length === 3) break;
      }
      expect(seen).toEqual([1, 3, 5]);
      expect(await packets.next()).toEqual({ done: true, value: undefined });
    }));

  test('digests are acknowledged as they are taken', () =>
    withClient(async (client, server) => {
      const id = program.index.digests.get('seen_t').id;
      await client.insert([program.digest('seen_t', { maxListSize: 1, ackTimeoutNs: 3_600_000_000_000n })]);
      const item = { struct: { members: [{ bitstring: Uint8Array.of(1) }] } };
      const digests = client.digests({ digestId: id });
      server.device.injectDigest(id, item);
      expect((await digests.next()).value?.data.length).toBe(1);
      // What was not acknowledged would be held back for an hour.
      const again = setInterval(() => server.device.injectDigest(id, item), 20);
      expect((await digests.next()).value?.data.length).toBe(1);
      clearInterval(again);
    }));

  test('the oldest go where nobody takes them', () =>
    withClient(async (client, server) => {
      const packets = client.packets({ limit: 2 });
      for (let i = 0; i < 5; i++) server.device.injectPacketIn({ payload: Uint8Array.of(i) });
      await expect.poll(() => packets.dropped, { timeout: PATIENCE_MS }).toBe(3);
      expect((await packets.next()).value?.payload[0]).toBe(3);
    }));

  test('close(), an abort, or a fault end them', async () => {
    const server = await startServer();
    const client = new P4Client({ address: server.address, deviceId: 1, reconnect: false });
    await client.connect();
    const abort = new AbortController();
    const [aborted, broken] = [client.packets({ signal: abort.signal }).next(), client.idleTimeouts().next()];
    broken.catch(() => {});
    abort.abort();
    expect(await aborted).toEqual({ done: true, value: undefined });
    await server.close();
    await expect(broken).rejects.toMatchObject({ name: 'P4RuntimeError' });
    await client.close();
    expect(await client.packets().next()).toEqual({ done: true, value: undefined });
  });
});

describe('reads', () => {
  test('the time that the caller takes is not the device’s', () =>
    withClient(
      async (client) => {
        // Enough for several messages.
        await client.insert(
          Array.from({ length: 2_000 }, (_, i) => small(i)),
          { timeoutMs: PATIENCE_MS },
        );
        let read = 0;
        for await (const _ of client.read([program.allEntries('exact16')])) {
          read++;
          if (read === 1) await sleep(11_000);
        }
        expect(read).toBe(2_000);
      },
      { timeoutMs: 10_000 },
    ));

  test('a call may have its own time-out', async () => {
    let answer = (_: object): void => {};
    const late = new Promise<object>((resolve) => {
      answer = resolve;
    });
    const server = await startServer({ device: { readCounter: () => late } });
    const client = new P4Client({ address: server.address, deviceId: 1 });
    try {
      await client.connect();
      await client.pipeline.commit(pipeline);
      const read = client.readAll([program.counter('cells', 1)], { timeoutMs: 100 });
      await expect(read).rejects.toMatchObject({ kind: 'deadline', call: 'Read' });
    } finally {
      answer({});
      await client.close();
      await server.close();
    }
  });
});

describe('deleteAll', () => {
  test('deletes what refers before what is referred to, and leaves the program’s own', () =>
    withClient(async (client) => {
      const action = { name: 'forward', params: { port: 1 } } as const;
      await client.insert([
        program.member('groups', 1, action),
        program.group('groups', 1, [{ memberId: 1, weight: 1 }]),
        program.tableEntry({ table: 'by_group', match: { 'h.probe.b8': 1 }, action: { group: 1 } }),
        program.multicastGroup(1, [{ port: 1 }]),
        program.cloneSession(1, [{ port: 1 }]),
        small(1),
        small(2),
      ]);
      expect(await client.deleteAll([program.allEntries('exact16')])).toBe(2);
      expect(await client.deleteAll()).toBe(5);
      expect(await client.deleteAll()).toBe(0);
      const whole = { table: 'exact16', counter: { packets: 1n, bytes: 2n }, metadata: Uint8Array.of(7) };
      await client.modify([program.defaultAction({ ...whole, action: { name: 'drop' } })]);
      const request = program.defaultAction({ table: 'exact16' });
      const read = async () => {
        const [found] = await client.readAll([{ tableEntry: { ...request.tableEntry, counterData: {} } }]);
        return program.decodeTableEntry(found!.tableEntry!);
      };
      const changed = await read();
      expect(changed).toMatchObject({ isDefault: true, action: { name: 'ConformanceIngress.drop' } });
      expect([changed.counter, changed.metadata?.[0]]).toEqual([whole.counter, 7]);
      // Only what is asked for, or all there is.
      await client.deleteAll([program.allEntries('exact16')]);
      expect(await read()).toEqual(changed);
      expect(await client.deleteAll()).toBe(0);
      expect((await read()).metadata).toBeUndefined();
    }));
});
