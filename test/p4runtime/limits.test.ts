import type { ClientHttp2Session } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MAX_ELECTION_ID, toUint128 } from '../../src/p4runtime/election.ts';
import { P4Client } from '../../src/p4runtime/p4-client.ts';
import { v1Codec } from '../../src/p4runtime/proto/registry.ts';
import { LIMITS } from '../../src/p4runtime/server/limits.ts';
import { call, dial, ending, frame, open } from './support/raw-call.ts';
import { startServer } from './support/server.ts';
import { conformanceP4Info } from './support/tools.ts';

const write = v1Codec('WriteRequest');
const streamed = v1Codec('StreamMessageRequest');
const pipeline = { p4info: conformanceP4Info, deviceConfig: new Uint8Array(1) };

/** Updates without anything in them: two bytes each. */
const emptyUpdates = (count: number): Buffer =>
  Buffer.concat([
    write.encode({ deviceId: 1n, electionId: toUint128(1n) }),
    Buffer.alloc(2 * count, Buffer.of(0x22, 0)),
  ]);

const bid = (electionId: bigint, role?: string): Buffer =>
  frame(
    streamed.encode({
      arbitration: {
        deviceId: 1n,
        electionId: toUint128(electionId),
        ...(role !== undefined && { role: { name: role } }),
      },
    }),
  );

type Running = Awaited<ReturnType<typeof startServer>>;

describe('limits of the server', () => {
  let server: Running;
  let session: ClientHttp2Session;
  beforeEach(async () => {
    server = await startServer();
    session = await dial(server.address);
  });
  afterEach(async () => {
    session.destroy();
    await server.close();
  });

  const primary = async (electionId = 1n): Promise<P4Client> => {
    const client = new P4Client({ address: server.address, deviceId: 1, electionId });
    await client.connect();
    return client;
  };

  test('what is compressed is refused before it is unpacked', async () => {
    const bytes = emptyUpdates(4_000_000);
    for (const encoding of ['gzip', 'deflate', 'br'])
      expect(
        await call(session, 'Write', frame(gzipSync(bytes), true), { 'grpc-encoding': encoding }),
      ).toMatchObject({ code: status.UNIMPLEMENTED, message: expect.stringContaining('compressed') });
  });

  test('a message is as long as its sender may make it, told by its first five bytes', async () => {
    const refused = { code: status.RESOURCE_EXHAUSTED, message: expect.stringContaining('at most') };
    const claim = (bytes: number) => frame(Buffer.alloc(bytes)).subarray(0, 6);
    expect(await call(session, 'Write', claim(LIMITS.stranger.bytes + 1))).toMatchObject(refused);
    expect(await call(session, 'Read', claim(LIMITS.reading.bytes + 1))).toMatchObject(refused);
    const stream = open(session, 'StreamChannel');
    stream.write(claim(LIMITS.streamed.bytes + 1));
    expect(await ending(stream)).toMatchObject(refused);
    const client = await primary();
    expect(await call(session, 'Write', claim(LIMITS.primary.bytes + 1))).toMatchObject(refused);
    await client.pipeline.commit({ ...pipeline, deviceConfig: new Uint8Array(LIMITS.stranger.bytes + 1) });
    client.close();
  });

  test('elements count, not only bytes', async () => {
    const many = frame(emptyUpdates(LIMITS.stranger.elements + 1));
    expect(await call(session, 'Write', many)).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      message: expect.stringContaining('elements'),
    });
    const client = await primary();
    await client.pipeline.commit(pipeline);
    // The primary may; each of its updates is refused by itself.
    expect((await call(session, 'Write', many)).message).toContain('updates do not fit an answer');
    const more = frame(emptyUpdates(LIMITS.primary.elements + 1));
    expect((await call(session, 'Write', more)).message).toContain('elements');
    client.close();
  });

  test('bytes that are no message are the sender’s fault', async () => {
    for (const bytes of ['22ff', '0affffffffffffffffffff01', '0f', '22047a00', '2202'])
      expect((await call(session, 'Write', frame(Buffer.from(bytes, 'hex')))).code).toBe(
        status.INVALID_ARGUMENT,
      );
  });

  test('streams of one connection, and streams that do not say who they are', async () => {
    const streams = Array.from({ length: LIMITS.connectionStreams + 1 }, () =>
      open(session, 'StreamChannel'),
    );
    const last = await ending(streams.at(-1)!);
    expect(last).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    streams[0]!.write(bid(1n));
    expect(await ending(streams[1]!)).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect(streams[0]!.closed).toBe(false);
  }, 30_000);

  test('a stream that nobody reads is cut off', async () => {
    const client = await primary(5n);
    await client.pipeline.commit(pipeline);
    client.close();
    const stream = open(session, 'StreamChannel');
    stream.pause();
    let closed = false;
    stream.on('close', () => {
      closed = true;
    });
    stream.write(bid(9n));
    const payload = new Uint8Array(1_400);
    await expect
      .poll(
        () => {
          for (let i = 0; i < 100; i++) server.device.injectPacketIn({ payload });
          return closed;
        },
        { timeout: 20_000, interval: 20 },
      )
      .toBe(true);
  }, 30_000);

  test('roles have short names, and are few', async () => {
    const at = (role: string, electionId = 1n) => {
      const stream = open(session, 'StreamChannel');
      stream.write(bid(electionId, role));
      return stream;
    };
    expect(await ending(at('x'.repeat(20_000)))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      message: expect.not.stringContaining('xxxxx'),
    });
    // Roles that nobody holds any more give way.
    for (let i = 0; i < 200; i++) {
      const stream = at(`role-${i}`);
      await new Promise((resolve) => stream.once('data', resolve));
      stream.end();
      await new Promise((resolve) => stream.once('close', resolve));
    }
  }, 30_000);

  test('the largest election id keeps nobody out', async () => {
    const stream = open(session, 'StreamChannel');
    stream.write(bid(MAX_ELECTION_ID));
    expect(await ending(stream)).toMatchObject({
      code: status.INVALID_ARGUMENT,
      message: expect.stringContaining('2^120'),
    });
    const client = await primary(1n);
    expect(client.state().kind).toBe('primary');
    client.close();
  });

  test('a reset of the elections by the operator', async () => {
    const high = await primary(1n << 100n);
    high.close();
    const low = new P4Client({ address: server.address, deviceId: 1, electionId: 3n, takeover: false });
    expect(await low.connect()).toBe('backup');
    server.resetElections();
    await low.primary(10_000);
    low.close();
  });
});

describe('ids at the end of their range', () => {
  test('a backup behind the largest id waits, instead of bidding what no id can be', async () => {
    const server = await startServer();
    const step = 1n << 120n;
    const climber = new P4Client({ address: server.address, deviceId: 1, electionId: 0n, takeover: false });
    const waiting = new P4Client({ address: server.address, deviceId: 1, electionId: 5n });
    try {
      await climber.connect();
      for (let id = step; id < MAX_ELECTION_ID; id += step) climber.session.bid(id);
      climber.session.bid(MAX_ELECTION_ID);
      await waiting.connect();
      await waiting.until((s) => s.kind === 'backup' && s.highest === MAX_ELECTION_ID, 10_000);
      climber.close();
      await waiting.until((s) => s.kind === 'backup' && !s.hasPrimary, 10_000);
      expect(waiting.state()).toMatchObject({ highest: MAX_ELECTION_ID });
    } finally {
      climber.close();
      waiting.close();
      await server.close();
    }
  });
});
