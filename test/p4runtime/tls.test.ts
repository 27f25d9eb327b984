import { type ConnectionOptions, connect, type SecureVersion } from 'node:tls';
import { afterAll, describe, expect, test } from 'vitest';
import { P4RuntimeError } from '../../src/p4runtime/errors.ts';
import { P4Client, type P4ClientOptions } from '../../src/p4runtime/p4-client.ts';
import { startSwitch } from './support/bmv2.ts';
import { makeCertificate } from './support/certificates.ts';
import { startServer } from './support/server.ts';
import { bmv2Reason, findTool, haveBmv2, temporaryFolder } from './support/tools.ts';

const haveOpenssl = findTool('openssl');
const folder = temporaryFolder();
afterAll(() => folder.remove());

async function outcome(options: Omit<P4ClientOptions, 'deviceId'>): Promise<string> {
  const client = new P4Client({ deviceId: 1, timeoutMs: 3_000, ...options });
  try {
    return await client.connect();
  } catch (error) {
    return error instanceof P4RuntimeError ? error.kind : String(error);
  } finally {
    client.close();
  }
}

describe.skipIf(!haveOpenssl)(`TLS${haveOpenssl ? '' : ' (skipped: openssl not on the PATH)'}`, () => {
  const made = haveOpenssl ? makeAll() : undefined;

  function makeAll() {
    const ca = makeCertificate(folder.path, 'ca');
    const stranger = makeCertificate(folder.path, 'stranger');
    return {
      ca,
      stranger,
      server: makeCertificate(folder.path, 'server', ca),
      client: makeCertificate(folder.path, 'client', ca),
    };
  }

  test('the right certificate connects, the wrong ones are a typed error', async () => {
    const { ca, stranger, server } = made!;
    const running = await startServer({ listen: { tls: { cert: server.cert, key: server.key } } });
    const address = running.address.replace('127.0.0.1', 'localhost');
    try {
      expect(await outcome({ address, tls: { ca: ca.cert } })).toBe('primary');
      expect(await outcome({ address, tls: { ca: stranger.cert } })).toBe('tls');
      expect(await outcome({ address, tls: { ca: ca.cert, serverName: 'elsewhere' } })).toBe('tls');
    } finally {
      await running.close();
    }
  });

  test('mutual TLS', async () => {
    const { ca, stranger, server, client } = made!;
    const running = await startServer({
      listen: { tls: { ca: ca.cert, cert: server.cert, key: server.key } },
    });
    const { address } = running;
    try {
      expect(await outcome({ address, tls: { ca: ca.cert, cert: client.cert, key: client.key } })).toBe(
        'primary',
      );
      expect(['tls', 'unreachable']).toContain(await outcome({ address, tls: { ca: ca.cert } }));
      const wrong = await outcome({ address, tls: { ca: ca.cert, cert: stranger.cert, key: stranger.key } });
      expect(['tls', 'unreachable']).toContain(wrong);
    } finally {
      await running.close();
    }
  });

  const raw = (address: string, options: ConnectionOptions): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: Number(address.split(':').at(-1)), ...options });
      let said = 'ended';
      socket.on('error', (error: NodeJS.ErrnoException) => {
        said = error.code ?? error.message;
      });
      socket.once('secureConnect', () => {
        said = socket.getProtocol() ?? 'none';
        socket.end();
      });
      socket.once('close', () => resolve(said));
    });

  test('versions of TLS that are given up, and certificates that are expired or one’s own', async () => {
    const { ca, client } = made!;
    const tls = (certificate: { readonly cert: Buffer; readonly key: Buffer }) => ({
      listen: { tls: { ca: ca.cert, cert: certificate.cert, key: certificate.key } },
    });
    const own = { ca: ca.cert, cert: client.cert, key: client.key };
    const running = await startServer(tls(made!.server));
    const old = await startServer(tls(makeCertificate(folder.path, 'old-server', ca, { days: -1 })));
    try {
      const version = (name: SecureVersion) =>
        raw(running.address, {
          ...{ ...own, ALPNProtocols: ['h2'], minVersion: name, maxVersion: name },
          ...{ ciphers: 'DEFAULT@SECLEVEL=0', checkServerIdentity: () => undefined },
        });
      expect(await version('TLSv1.3')).toBe('TLSv1.3');
      expect(await version('TLSv1.2')).toBe('TLSv1.2');
      for (const name of ['TLSv1.1', 'TLSv1'] as const)
        expect(await version(name)).toMatch(/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|ECONNRESET/);
      const { address } = running;
      // Signed by itself, and made for the same name by another authority.
      const selfSigned = makeCertificate(folder.path, 'client-of-its-own');
      const expired = makeCertificate(folder.path, 'old-client', ca, { days: -1 });
      for (const { cert, key } of [selfSigned, expired])
        expect(['tls', 'unreachable']).toContain(await outcome({ address, tls: { ca: ca.cert, cert, key } }));
      expect(await outcome({ address, tls: own })).toBe('primary');
      expect(await outcome({ address: old.address, tls: own })).toBe('tls');
    } finally {
      await running.close();
      await old.close();
    }
  }, 60_000);

  test('TLS towards a device without it', async () => {
    const running = await startServer();
    try {
      expect(await outcome({ address: running.address, tls: { ca: made!.ca.cert } })).toBe('tls');
    } finally {
      await running.close();
    }
  });

  test.skipIf(!haveBmv2)(`mutual TLS with BMv2${bmv2Reason}`, async () => {
    const { ca, stranger, server, client } = made!;
    const files = [
      '--grpc-server-cacert',
      ca.certFile,
      '--grpc-server-cert',
      server.certFile,
      '--grpc-server-key',
      server.keyFile,
    ];
    const bmv2 = await startSwitch({
      target: ['--grpc-server-ssl', ...files, '--grpc-server-with-client-auth'],
    });
    const tls = { ca: ca.cert, cert: client.cert, key: client.key };
    const { address } = bmv2;
    try {
      const p4 = new P4Client({ address, deviceId: 1, tls, timeoutMs: 20_000, backoffMs: [50, 200] });
      expect(await p4.connect()).toBe('primary');
      expect(await p4.capabilities()).toMatch(/^1\./);
      p4.close();
      expect(await outcome({ address, tls: { ...tls, ca: stranger.cert } })).toBe('tls');
    } finally {
      await bmv2.kill();
    }
  });
});
