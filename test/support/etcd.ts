import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '../../src/daemon/store/index.ts';

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

/** Etcd of one member, with its data in a folder. */
export interface RunningEtcd {
  /** `HOST:PORT`. */
  readonly place: string;
  /** Gone from one instruction to the next. */
  kill(): Promise<void>;
  /** Begins it, also after a kill, and waits until it answers. */
  start(): Promise<void>;
}

/** A real etcd of its own. @param more options, and `https` where clients come over TLS */
export async function startEtcd(
  folder: string,
  more: readonly string[] = [],
  scheme: 'http' | 'https' = 'http',
): Promise<RunningEtcd> {
  const [client, peer] = [await freePort(), await freePort()];
  const place = `127.0.0.1:${client}`;
  const [clients, peers] = [`${scheme}://${place}`, `http://127.0.0.1:${peer}`];
  const args = [
    ...['--data-dir', join(folder, 'etcd'), '--log-level', 'error', '--initial-cluster', `default=${peers}`],
    ...['--listen-client-urls', clients, '--advertise-client-urls', clients],
    ...['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers],
    ...more,
  ];
  let etcd: ChildProcess | undefined;
  const end = () => etcd?.kill('SIGKILL');
  process.once('exit', end);
  const running: RunningEtcd = {
    place,
    async kill() {
      const child = etcd;
      etcd = undefined;
      if (child === undefined) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
    async start() {
      etcd = spawn('etcd', args, { stdio: 'ignore' });
      for (let i = 0; ; i++) {
        try {
          return await (await openStore(`etcd:${place}`)).close();
        } catch (error) {
          if (i === 100) throw error;
          await sleep(200);
        }
      }
    },
  };
  await running.start();
  return running;
}
