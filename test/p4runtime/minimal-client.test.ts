import {
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { afterEach, describe, expect, test } from 'vitest';
import {
  P4RuntimeClient,
  p4runtimeDescriptor,
  p4runtimeRoot,
  type Update,
} from '../../src/p4runtime/index.ts';

const definition = fromJSON(p4runtimeDescriptor, { longs: Number, enums: String, defaults: true })[
  'p4.v1.P4Runtime'
] as ServiceDefinition;

const update = (tableId: number): Update => ({ type: 'INSERT', entity: { tableEntry: { tableId } } });

const opened: { close(): void }[] = [];
afterEach(() => {
  for (const item of opened.splice(0)) item.close();
});

/** A device whose calls are these; the others are not implemented. */
async function connect(calls: UntypedServiceImplementation, timeoutMs = 2000): Promise<P4RuntimeClient> {
  const server = new Server();
  server.addService(definition, calls);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  opened.push({ close: () => server.forceShutdown() });
  const client = new P4RuntimeClient({ address: `127.0.0.1:${port}`, deviceId: 3, timeoutMs });
  opened.push(client);
  return client;
}

type Call = { request: { updates: unknown[]; deviceId: number; electionId: unknown } };
type Answer = (error: object | null, value?: object) => void;
type Stream = {
  on(event: 'data', listener: (message: object) => void): void;
  on(event: 'end', listener: () => void): void;
  write(message: object): void;
  end(): void;
};

describe('the minimal client', () => {
  test('writes in batches, with device and election id', async () => {
    const batches: Call['request'][] = [];
    const client = await connect({
      Write: (call: Call, answer: Answer) => {
        batches.push(call.request);
        answer(null, {});
      },
    });
    await client.write(Array.from({ length: 600 }, (_, i) => update(i + 1)));
    expect(batches.map((b) => b.updates.length)).toEqual([250, 250, 100]);
    expect(batches[0]).toMatchObject({ deviceId: 3, electionId: { high: 0, low: 1 } });
  });

  test('a failed write names the updates that failed, and why', async () => {
    const errorType = p4runtimeRoot.lookupType('p4.v1.Error');
    const statusType = p4runtimeRoot.lookupType('google.rpc.Status');
    const details = [
      { canonicalCode: status.OK },
      { canonicalCode: status.ALREADY_EXISTS, message: 'match entry exists', space: 'ALL-sswitch' },
    ].map((e) => ({ type_url: 'type.googleapis.com/p4.v1.Error', value: errorType.encode(e).finish() }));
    const metadata = new Metadata();
    const bytes = statusType.encode({ code: status.UNKNOWN, message: 'failed', details }).finish();
    metadata.set('grpc-status-details-bin', Buffer.from(bytes));
    const client = await connect({
      Write: (_: Call, answer: Answer) =>
        answer({ code: status.UNKNOWN, details: 'Write failure', metadata }),
    });
    await expect(client.write([update(1), update(2)])).rejects.toThrow(
      /Write.*UNKNOWN.*\n.*1.*ALREADY_EXISTS.*match entry exists/,
    );
  });

  test('a device that does not answer is given up', async () => {
    const client = await connect({ Write: () => {} }, 200);
    await expect(client.write([update(1)])).rejects.toThrow('DEADLINE_EXCEEDED');
  });

  test('becomes primary, or says that another is', async () => {
    const arbitrate = (code: number) => ({
      StreamChannel: (stream: Stream) => {
        stream.on('data', () =>
          stream.write({ arbitration: { deviceId: 3, status: { code, message: 'Is backup' } } }),
        );
        stream.on('end', () => stream.end());
      },
    });
    await (await connect(arbitrate(status.OK))).arbitrate();
    await expect((await connect(arbitrate(status.ALREADY_EXISTS))).arbitrate()).rejects.toThrow(
      'ALREADY_EXISTS',
    );
  });

  test('a device that closes the stream is told of', async () => {
    const client = await connect({ StreamChannel: (stream: Stream) => stream.end() });
    await expect(client.arbitrate()).rejects.toThrow('the device closed the stream');
  });

  test('reads counters', async () => {
    const client = await connect({
      Read: (stream: { write(m: object): void; end(): void }) => {
        for (const i of [0, 1])
          stream.write({
            entities: [{ counterEntry: { counterId: 9, index: { index: i }, data: { packetCount: 5 + i } } }],
          });
        stream.end();
      },
    });
    const cells = await client.readCounter(9);
    expect(cells.map((c) => [c.index!.index, c.data!.packetCount])).toEqual([
      [0, 5],
      [1, 6],
    ]);
  });

  test('no device at all', async () => {
    const client = new P4RuntimeClient({ address: 'unix:/nonexistent/socket', deviceId: 1, timeoutMs: 300 });
    opened.push(client);
    await expect(client.capabilities()).rejects.toThrow('no connection');
  });
});
