/** Who may come in, and what happens to those who may not. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { listenFault, openDoor } from '../../src/agent/listening.ts';
import { MemoryDevice, P4Client, P4RuntimeError, P4RuntimeServer } from '../../src/p4runtime/index.ts';
import { certificateNames } from '../../src/p4runtime/server/peer.ts';
import { makeCertificate } from '../p4runtime/support/certificates.ts';
import { testFolder } from '../support/io.ts';
import { describeWithTools, isRoot } from '../support/machine.ts';

const folder = testFolder();
const servers: P4RuntimeServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

function serve(options?: ConstructorParameters<typeof P4RuntimeServer>[0]): P4RuntimeServer {
  const server = new P4RuntimeServer(options);
  void server.addDevice(new MemoryDevice(), { deviceId: 1n });
  servers.push(server);
  return server;
}

/** Role of a first connection, or the name of the status with which it failed. */
async function outcome(options: ConstructorParameters<typeof P4Client>[0]): Promise<string> {
  const client = new P4Client({ timeoutMs: 60_000, ...options });
  try {
    return await client.connect();
  } catch (error) {
    return error instanceof P4RuntimeError ? `${error.kind} ${status[error.code]}` : String(error);
  } finally {
    client.close();
  }
}

describe('a socket', () => {
  it('is for one user, or for a group', async () => {
    const address = `unix:${join(folder, 'own.sock')}`;
    const door = await openDoor(serve(), { address });
    expect(statSync(join(folder, 'own.sock')).mode & 0o777).toBe(0o600);
    expect(await outcome({ address, deviceId: 1 })).toBe('primary');
    const second = openDoor(serve(), { address });
    await expect(second).rejects.toThrow('another agent listens there');
    door.release();
    const shared = await openDoor(serve(), { address: `unix:${join(folder, 'shared.sock')}`, group: '1' });
    const { mode, gid } = statSync(join(folder, 'shared.sock'));
    expect([mode & 0o777, gid]).toEqual([0o660, 1]);
    shared.release();
    const third = { address: `unix:${join(folder, 'third.sock')}`, group: 'no-such-group' };
    await expect(openDoor(serve(), third)).rejects.toThrow('there is no group no-such-group');
    const path = process.env.PATH;
    try {
      process.env.PATH = folder;
      await expect(openDoor(serve(), third)).rejects.toThrow(
        /no-such-group cannot be looked up.*by its number/,
      );
    } finally {
      process.env.PATH = path;
    }
  });

  it('replaces what a dead process has left, and nothing else', async () => {
    const path = join(folder, 'left.sock');
    const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
    await new Promise((resolve) => child.once('exit', resolve));
    expect(statSync(path).isSocket()).toBe(true);
    const door = await openDoor(serve(), { address: `unix:${path}` });
    expect(await outcome({ address: `unix:${path}`, deviceId: 1 })).toBe('primary');
    door.release();
    writeFileSync(join(folder, 'file'), 'kept');
    await expect(openDoor(serve(), { address: `unix:${join(folder, 'file')}` })).rejects.toThrow(
      'something else',
    );
    expect(readFileSync(join(folder, 'file'), 'utf8')).toBe('kept');
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(join(folder, 'theirs.sock'), resolve));
    await expect(openDoor(serve(), { address: `unix:${join(folder, 'theirs.sock')}` })).rejects.toThrow(
      'somebody listens there',
    );
    other.close();
    mkdirSync(join(folder, 'open'));
    chmodSync(join(folder, 'open'), 0o777);
    await expect(openDoor(serve(), { address: `unix:${join(folder, 'open/a.sock')}` })).rejects.toThrow(
      'others can write',
    );
  });
});

describe('an address of the network', () => {
  it('needs TLS and names, or a word that says otherwise', () => {
    const [cert, key, ca] = [Buffer.alloc(0), Buffer.alloc(0), Buffer.alloc(0)];
    for (const address of ['127.0.0.1:0', '0.0.0.0:9559', '[::1]:0', 'localhost:1']) {
      expect(listenFault({ address })).toContain('--insecure');
      expect(listenFault({ address, tls: { cert, key } })).toContain('no certificate');
      expect(listenFault({ address, tls: { cert, key, ca } })).toContain('--allow');
      expect(listenFault({ address, insecure: true })).toBeUndefined();
      expect(listenFault({ address, tls: { cert, key, ca }, allow: [{ name: 'c' }] })).toBeUndefined();
    }
    expect(listenFault({ address: 'unix:/run/x.sock' })).toBeUndefined();
  });
});

describeWithTools(['openssl'], 'certificates', () => {
  it('let in by name, for roles of that name, and keep another’s election id from being used', async () => {
    const ca = makeCertificate(folder, 'ca');
    const stranger = makeCertificate(folder, 'strange-ca');
    const make = (name: string, san?: string) =>
      makeCertificate(folder, name, ca, san === undefined ? {} : { san });
    const [server, good, other, spiffe] = [
      make('server'),
      make('controller'),
      make('other'),
      make('workload', 'URI:spiffe://example.org/controller,DNS:controller'),
    ];
    const expired = makeCertificate(folder, 'expired', ca, { days: -1 });
    expect(certificateNames(spiffe.cert)).toEqual(['spiffe://example.org/controller']);
    const address = await serve().listen({
      address: '127.0.0.1:0',
      tls: { ca: ca.cert, cert: server.cert, key: server.key },
      allow: [{ name: 'controller' }, { name: 'spiffe://example.org/controller', roles: ['monitor'] }],
    });
    const as = (c: typeof good | undefined, more: object = {}) =>
      outcome({
        address,
        deviceId: 1,
        tls: { ca: ca.cert, ...(c && { cert: c.cert, key: c.key }) },
        ...more,
      });
    expect(await as(good)).toBe('primary');
    expect(await as(other)).toBe('not-primary PERMISSION_DENIED');
    expect(await as(spiffe)).toBe('not-primary PERMISSION_DENIED');
    expect(await as(spiffe, { role: 'monitor' })).toBe('primary');
    const refused = /^(tls|unreachable) UNAVAILABLE$/;
    expect(await as(undefined, { timeoutMs: 2_000 })).toMatch(refused);
    expect(await as(expired, { timeoutMs: 2_000 })).toMatch(refused);
    expect(await as(stranger, { timeoutMs: 2_000 })).toMatch(refused);
    expect(await as(good, { tls: { ca: stranger.cert }, timeoutMs: 2_000 })).toMatch(/^tls/);
    // The election id of the primary is no secret.
    const primary = new P4Client({
      address,
      deviceId: 1,
      tls: { ca: ca.cert, cert: good.cert, key: good.key },
    });
    const thief = new P4Client({
      address,
      deviceId: 1,
      role: 'monitor',
      tls: { ca: ca.cert, cert: spiffe.cert, key: spiffe.key },
    });
    await primary.connect();
    await thief.connect();
    const identity = { deviceId: 1n, electionId: { high: 0n, low: primary.session.electionId } };
    await expect(thief.session.rpc().write(identity, 5_000)).rejects.toMatchObject({
      code: status.PERMISSION_DENIED,
    });
    primary.close();
    thief.close();
  }, 60_000);
});

describe.skipIf(!isRoot)(`a controller that vanishes${isRoot ? '' : ' [SKIPPED: needs root]'}`, () => {
  const netns = `intransit-${process.pid}-doors`;
  const outside = `itd${process.pid}`;
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe' });
  afterAll(() => {
    try {
      ip('netns', 'del', netns);
    } catch {
      // It was never made.
    }
  });

  it('frees its seat when its link is cut', async () => {
    const network = 2 + (process.pid % 250);
    ip('netns', 'add', netns);
    ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', 'h0', 'netns', netns);
    ip('addr', 'add', `169.254.${network}.1/30`, 'dev', outside);
    ip('link', 'set', outside, 'up');
    ip('-n', netns, 'addr', 'add', `169.254.${network}.2/30`, 'dev', 'h0');
    ip('-n', netns, 'link', 'set', 'h0', 'up');
    const server = serve({ keepalive: { timeMs: 1_000, timeoutMs: 1_000 } });
    const address = await server.listen({ address: `169.254.${network}.1:0` });
    // An arbitration of device 1 with election id 7, by hand: what is loaded here is Node alone.
    const script = `
      const session = require('node:http2').connect('http://${address}');
      const stream = session.request({ ':method': 'POST', ':path': '/p4.v1.P4Runtime/StreamChannel', 'content-type': 'application/grpc', te: 'trailers' });
      stream.write(Buffer.from('00000000080a0608011a021007', 'hex'));
      stream.once('data', () => console.log('primary'));
    `;
    const child = spawn('ip', ['netns', 'exec', netns, process.execPath, '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await new Promise((resolve) => createInterface(child.stdout).once('line', resolve));
      const waiting = new P4Client({ address, deviceId: 1, electionId: 3n });
      expect(await waiting.connect()).toBe('backup');
      ip('link', 'set', outside, 'down');
      await waiting.primary(60_000).catch(() => {});
      // The listening address is of the link that was cut; the backup is of this side, and stays.
      expect(waiting.state().kind).toBe('primary');
      waiting.close();
    } finally {
      child.kill('SIGKILL');
    }
  }, 90_000);
});
