/** Ordinary traffic between hosts, which devices on the path must leave alone. */
import { createHash, randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { finished, PYTHON, type Testbed } from './testbed.ts';

export async function expectPing(testbed: Testbed, from: string, to: string): Promise<void> {
  const { out } = await testbed.inside(from, 'ping', '-c', '5', '-i', '0.05', '-W', '5', testbed.host(to).ip);
  expect(out).toContain('5 packets transmitted, 5 received');
}

const SERVER = `
import hashlib, socket, sys
server = socket.create_server(('', 5001))
print('listening', flush=True)
connection, _ = server.accept()
digest = hashlib.sha256()
while chunk := connection.recv(65536):
    digest.update(chunk)
print(digest.hexdigest(), flush=True)
`;

const CLIENT = `
import socket, sys
connection = socket.create_connection((sys.argv[1], 5001))
connection.sendall(sys.stdin.buffer.read())
`;

/** Bytes over TCP, whole segments and many of them: wrong checksums or lengths would let none through. */
export async function expectTcp(
  testbed: Testbed,
  from: string,
  to: string,
  bytes = 1_000_000,
): Promise<void> {
  const data = randomBytes(bytes);
  const server = testbed.spawn(to, PYTHON, ['-c', SERVER]);
  const received = finished(server);
  await new Promise((resolve) => server.stdout!.once('data', resolve));
  const client = testbed.spawn(from, PYTHON, ['-c', CLIENT, testbed.host(to).ip]);
  const sent = finished(client);
  client.stdin!.end(data);
  expect(await sent).toMatchObject({ code: 0, err: '' });
  expect((await received).out).toContain(createHash('sha256').update(data).digest('hex'));
}
