import { Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { planBatches } from '../../src/p4runtime/batches.ts';
import { entityHash } from '../../src/p4runtime/entity-hash.ts';
import { P4RuntimeError } from '../../src/p4runtime/errors.ts';
import { P4Client, type P4ClientOptions } from '../../src/p4runtime/p4-client.ts';
import { P4Program } from '../../src/p4runtime/program.ts';
import type { Init } from '../../src/p4runtime/proto/messages.ts';
import { p4runtimeService } from '../../src/p4runtime/rpc.ts';
import { failureOf } from '../support/failure.ts';
import { secondInsertFails } from './support/refused.ts';
import { startServer } from './support/server.ts';
import { conformanceP4Info } from './support/tools.ts';

const pipeline = { p4info: conformanceP4Info, deviceConfig: new Uint8Array(1) };
const program = new P4Program(conformanceP4Info);
const forward = { name: 'forward', params: { port: 1 } };
const small = (key: number) =>
  program.tableEntry({ table: 'small', match: { 'h.probe.b8': key }, action: forward });
const exact = (key: number) =>
  program.tableEntry({ table: 'exact16', match: { 'h.ethernet.ethertype': key }, action: forward });

const failure = (work: Promise<unknown>) => failureOf(work, P4RuntimeError);

type Running = Awaited<ReturnType<typeof startServer>>;

/** A server and a client, both gone afterwards. */
async function withClient(
  work: (client: P4Client, server: Running) => Promise<void>,
  options: Partial<P4ClientOptions> = {},
): Promise<void> {
  const server = await startServer();
  const client = new P4Client({ address: server.address, deviceId: 1, timeoutMs: 5_000, ...options });
  try {
    await work(client, server);
  } finally {
    client.close();
    await server.close();
  }
}

describe('writes', () => {
  test('2,000 updates that all fail give 2,000 errors', () =>
    withClient(async (client) => {
      await client.connect();
      await client.pipeline.commit(pipeline);
      const { entries, error } = await secondInsertFails(client, exact);
      expect(new Set(error.updates.map((u) => u.code))).toEqual(new Set([status.ALREADY_EXISTS]));
      expect(error.updates[5]!.update?.entity).toBe(entries[5]);
    }));

  test('a full table names the updates that did not fit; with rollback nothing stays', () =>
    withClient(async (client) => {
      await client.connect();
      await client.pipeline.commit(pipeline);
      await client.insert([small(1)]);
      const six = [2, 3, 4, 5, 6, 7].map(small);
      const error = await failure(client.insert(six, { onError: 'rollback' }));
      expect(error.updates.map((u) => [u.index, u.code])).toEqual(
        [3, 4, 5].map((i) => [i, status.RESOURCE_EXHAUSTED]),
      );
      expect(error.message).toContain('taken back');
      expect((await client.readAll([program.allEntries('small')])).length).toBe(1);
      expect((await failure(client.insert(six))).updates.length).toBe(3);
      expect((await client.readAll([program.allEntries('small')])).length).toBe(4);
    }));

  test('rollback puts back what was modified and deleted', () =>
    withClient(async (client) => {
      await client.connect();
      await client.pipeline.commit(pipeline);
      await client.insert([1, 2].map(small));
      const before = await client.readAll([program.allEntries('small')]);
      const changed = program.tableEntry({
        table: 'small',
        match: { 'h.probe.b8': 1 },
        action: { name: 'drop' },
      });
      const updates = [
        { type: 'MODIFY', entity: changed },
        { type: 'DELETE', entity: small(2) },
        { type: 'DELETE', entity: small(9) },
      ] as const;
      const error = await failure(client.write(updates, { onError: 'rollback' }));
      expect(error.updates.map((u) => [u.index, u.code])).toEqual([[2, status.NOT_FOUND]]);
      const key = (e: unknown) => JSON.stringify(e, (_, v) => (typeof v === 'bigint' ? `${v}` : v));
      const after = await client.readAll([program.allEntries('small')]);
      expect(after.map(key).sort()).toEqual(before.map(key).sort());
    }));

  test('batches hold at most 250 updates, and two of one entity never share one', () => {
    const many = Array.from({ length: 600 }, (_, i) => ({ type: 'INSERT' as const, entity: exact(i) }));
    const plan = (updates: Parameters<typeof planBatches>[0]) =>
      [...planBatches(updates, 250)].map((b) => [b.offset, b.updates.length, b.afterAll]);
    expect(plan(many)).toEqual([
      [0, 250, false],
      [250, 250, false],
      [500, 100, false],
    ]);
    const twice = [exact(1), exact(2), exact(1), small(1), exact(3)].map((entity) => ({
      type: 'MODIFY' as const,
      entity,
    }));
    expect(plan(twice)).toEqual([
      [0, 2, false],
      [2, 1, true],
      [3, 1, true],
      [4, 1, true],
    ]);
  });

  test('updates out of a generator are made as they are sent; what it throws comes when the rest is answered', () =>
    withClient(async (client) => {
      await client.connect();
      await client.pipeline.commit(pipeline);
      let made = 0;
      function* entities(most: number) {
        for (; made < 2_000; made++) {
          if (made === most) throw new RangeError('no more');
          yield exact(made);
        }
      }
      await expect(client.insert(entities(1_500), { batch: 100 })).rejects.toThrow(RangeError);
      expect(await client.readAll([program.allEntries('exact16')])).toHaveLength(1_400);
      // The last hundred were in a batch that was still being made.
      made = 1_400;
      await client.insert(entities(2_000), { batch: 100 });
      expect(await client.readAll([program.allEntries('exact16')])).toHaveLength(2_000);
      made = 1_990;
      const error = await failure(client.insert(entities(2_000), { onError: 'rollback' }));
      expect(error.updates.map((u) => u.index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      // Of thousands in any order, one that comes twice waits for the first.
      const many = Array.from({ length: 5_000 }, (_, i) => ({ type: 'MODIFY' as const, entity: exact(i) }));
      const waits = (list: typeof many) => [...planBatches(list, 250)].filter((b) => b.afterAll).length;
      expect(waits([...many, many[17]!]) - waits(many)).toBe(1);
    }));

  test('one entity is one whatever its bytes and order; of many others hardly two are taken for one', () => {
    const entry = (fields: readonly Init<'FieldMatch'>[], priority: number) => ({
      tableEntry: { tableId: 7, match: fields, priority },
    });
    const a: Init<'FieldMatch'> = { fieldId: 1, exact: { value: Uint8Array.of(0, 0, 5) } };
    const b: Init<'FieldMatch'> = { fieldId: 2, lpm: { value: Uint8Array.of(10, 0), prefixLen: 8 } };
    const short: Init<'FieldMatch'> = { fieldId: 1, exact: { value: Uint8Array.of(5) } };
    expect(entityHash(entry([b, a], 3))).toBe(entityHash(entry([short, b], 3)));
    const different = [
      entry([a, b], 4),
      entry([a], 3),
      entry([{ ...b, fieldId: 3 }, a], 3),
      entry([{ fieldId: 2, lpm: { value: Uint8Array.of(10, 0), prefixLen: 9 } }, a], 3),
      { tableEntry: { tableId: 7, isDefaultAction: true } },
      { counterEntry: { counterId: 7, index: { index: 1 } } },
      { counterEntry: { counterId: 7, index: { index: 2 } } },
    ];
    const hashes = new Set(different.map(entityHash)).add(entityHash(entry([a, b], 3)));
    expect(hashes.size).toBe(different.length + 1);
    const many = Array.from({ length: 2 ** 16 }, (_, i) => ({ type: 'INSERT' as const, entity: exact(i) }));
    const waits = [...planBatches(many, 250)].filter((batch) => batch.afterAll);
    expect(waits.length).toBeLessThan(20);
  });

  test('codes that are to be ignored are no failure, and the device may take a Write back itself', () =>
    withClient(async (client) => {
      await client.connect();
      await client.pipeline.commit(pipeline);
      await client.insert([exact(1)]);
      await client.delete([1, 2, 3].map(exact), { ignore: [status.NOT_FOUND] });
      const error = await failure(
        client.insert([exact(1), exact(1), small(1)], { ignore: [status.NOT_FOUND], batch: 1 }),
      );
      expect(error.updates.map((u) => [u.index, u.code])).toEqual([[1, status.ALREADY_EXISTS]]);
      const whole = await failure(client.insert([exact(4), exact(1)], { atomicity: 'ROLLBACK_ON_ERROR' }));
      expect(whole.updates.map((u) => u.code)).toEqual([status.ABORTED, status.ALREADY_EXISTS]);
      expect(await client.readAll([program.allEntries('exact16')])).toHaveLength(1);
      expect((await failure(client.insert([exact(5)], { atomicity: 'DATAPLANE_ATOMIC' }))).kind).toBe(
        'unsupported',
      );
    }));

  test('stop leaves the rest unsent, and says so', () =>
    withClient(async (client) => {
      await client.connect();
      await client.pipeline.commit(pipeline);
      await client.insert([exact(1)]);
      const error = await failure(
        client.insert([1, 2, 3].map(exact), { batch: 1, window: 1, onError: 'stop' }),
      );
      expect(error.message).toContain('2 were not sent');
    }));
});

describe('typed errors', () => {
  test('before anything is sent: names, values, entries', () => {
    const kind = (make: () => unknown): string => {
      try {
        make();
        return 'nothing';
      } catch (error) {
        return error instanceof P4RuntimeError && error.remedy !== '' ? error.kind : `${error}`;
      }
    };
    expect(kind(() => program.tableEntry({ table: 'smal', match: {}, action: forward }))).toBe(
      'unknown-name',
    );
    expect(kind(() => program.tableEntry({ table: 'small', match: { b8: 1 }, action: forward }))).toBe(
      'unknown-name',
    );
    expect(kind(() => small(256))).toBe('bad-value');
    expect(
      kind(() =>
        program.tableEntry({ table: 'small', match: { 'h.probe.b8': 1 }, action: { name: 'forward' } }),
      ),
    ).toBe('bad-entry');
    expect(kind(() => new P4Program({ tables: [{ preamble: { id: 0, name: 't' } }] }))).toBe('bad-p4info');
    expect(kind(() => program.packetOut(new Uint8Array(1), { egress_port: 1 }))).toBe('bad-entry');
  });

  test('an unknown device', async () => {
    await withClient(
      async (client) => {
        expect((await failure(client.connect())).kind).toBe('unknown-device');
        expect(client.state().kind).toBe('closed');
      },
      { deviceId: 7 },
    );
  });

  test('no pipeline, and a P4Info that contradicts itself', () =>
    withClient(async (client) => {
      await client.connect();
      expect((await failure(client.insert([small(1)]))).kind).toBe('no-pipeline');
      const twice = {
        ...pipeline,
        p4info: { tables: [conformanceP4Info.tables[0]!, conformanceP4Info.tables[0]!] },
      };
      expect((await failure(client.pipeline.commit(twice))).kind).toBe('bad-p4info');
    }));

  test('not the primary', () =>
    withClient(
      async (primary, server) => {
        await primary.connect();
        await primary.pipeline.commit(pipeline);
        const backup = new P4Client({ address: server.address, deviceId: 1, electionId: 0n });
        try {
          expect(await backup.connect()).toBe('backup');
          expect((await failure(backup.insert([small(1)]))).kind).toBe('not-primary');
          expect(() => backup.packetOut({ payload: new Uint8Array(1) })).toThrow(P4RuntimeError);
        } finally {
          backup.close();
        }
      },
      { electionId: 5n },
    ));

  test('an election id that another controller uses', () =>
    withClient(
      async (first, server) => {
        await first.connect();
        const second = new P4Client({ address: server.address, deviceId: 1, electionId: 5n, rebid: false });
        const third = new P4Client({ address: server.address, deviceId: 1, electionId: 5n });
        try {
          expect((await failure(second.connect())).kind).toBe('election-id-taken');
          expect(await third.connect()).toBe('backup');
          expect(third.state()).toMatchObject({ electionId: 4n });
        } finally {
          second.close();
          third.close();
        }
      },
      { electionId: 5n },
    ));

  test('nobody listens', async () => {
    const client = new P4Client({ address: '127.0.0.1:1', deviceId: 1 });
    const error = await failure(client.connect(500));
    expect([error.kind, client.state().kind !== 'primary']).toEqual(['unreachable', true]);
    client.close();
    expect((await failure(client.insert([small(1)]))).kind).toBe('closed');
  });

  test('a closed client', () =>
    withClient(async (client) => {
      await client.connect();
      client.close();
      expect((await failure(client.capabilities())).kind).toBe('closed');
      expect((await failure(client.connect())).kind).toBe('closed');
    }));
});

/** A device whose Write never answers, or whose stream ends without a word. */
async function startBroken(kind: 'silent-write' | 'half-closed') {
  const server = new Server();
  let writes = 0;
  const never = () => {};
  server.addService(p4runtimeService(), {
    Capabilities: (_: unknown, reply: (e: null, v: object) => void) =>
      reply(null, { p4runtimeApiVersion: '1.4.1' }),
    Write: () => {
      writes++;
    },
    Read: never,
    SetForwardingPipelineConfig: never,
    GetForwardingPipelineConfig: never,
    StreamChannel: (call: ServerDuplexStream<object, object>) => {
      call.on('data', (message: { arbitration?: object }) => {
        call.write({ arbitration: { ...message.arbitration, status: { code: 0 } } });
        if (kind === 'half-closed') call.end();
      });
      call.on('error', never);
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, p) =>
      error ? reject(error) : resolve(p),
    ),
  );
  return { address: `127.0.0.1:${port}`, writes: () => writes, close: () => server.forceShutdown() };
}

describe('broken devices', () => {
  test('a Write without an answer: deadline, and a new connection', async () => {
    const device = await startBroken('silent-write');
    const client = new P4Client({ address: device.address, deviceId: 1, timeoutMs: 300 });
    const states: string[] = [];
    client.on('state', ({ kind }) => states.push(kind));
    try {
      await client.connect();
      const error = await failure(client.insert([small(1)]));
      expect([error.kind, error.updates.length]).toEqual(['deadline', 1]);
      await client.primary();
      expect(states.filter((s) => s === 'primary').length).toBe(2);
      expect((await failure(client.insert([small(1)], { onError: 'rollback' }))).kind).toBe(
        'rollback-failed',
      );
    } finally {
      client.close();
      device.close();
    }
  });

  test('a stream that the device ends', async () => {
    const device = await startBroken('half-closed');
    const client = new P4Client({ address: device.address, deviceId: 1, reconnect: false });
    try {
      client.session.open();
      const closed = client.until((s) => s.kind === 'disconnected', 5_000);
      expect((await failure(closed)).kind).toBe('stream-ended');
      expect(client.state().kind).toBe('closed');
    } finally {
      client.close();
      device.close();
    }
  });
});
