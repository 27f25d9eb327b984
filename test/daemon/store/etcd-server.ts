import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { openStore } from '../../../src/daemon/store/index.ts';
import { sleep } from './suite.ts';

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

/** A real etcd of its own. @param more options, and `https` where clients come over TLS */
export async function startEtcd(
  folder: string,
  more: readonly string[] = [],
  scheme: 'http' | 'https' = 'http',
): Promise<{ readonly place: string; readonly process: ChildProcess }> {
  const [client, peer] = [await freePort(), await freePort()];
  const place = `127.0.0.1:${client}`;
  const [clients, peers] = [`${scheme}://${place}`, `http://127.0.0.1:${peer}`];
  const process = spawn(
    'etcd',
    [
      ...[
        '--data-dir',
        join(folder, 'etcd'),
        '--log-level',
        'error',
        '--initial-cluster',
        `default=${peers}`,
      ],
      ...['--listen-client-urls', clients, '--advertise-client-urls', clients],
      ...['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers],
      ...more,
    ],
    { stdio: 'ignore' },
  );
  for (let i = 0; ; i++) {
    try {
      await (await openStore(`etcd:${place}`)).close();
      return { place, process };
    } catch (error) {
      if (i === 100) throw error;
      await sleep(200);
    }
  }
}
