/**
 * The controller with many devices: how long until all are in sync from a cold start, and what it takes then.
 *
 *     npx tsx bench/controller.ts [DEVICES [PROCESSES]]
 *
 * Devices are simulated by our own P4Runtime server, without a data plane; they forward alone, and each has entries of its own.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Objects, openStore, Reconciler } from '../src/daemon/index.ts';
import { temporaryFolder } from '../src/temporary.ts';

const [devices = 2000, processes = 20] = process.argv.slice(2).map(Number);
const STEADY_MS = 20_000;

const children: ChildProcess[] = [];
/** @returns `address deviceId` of each */
async function simulated(count: number): Promise<readonly string[]> {
  const child = fork(join(import.meta.dirname, 'controller-devices.ts'), [`${count}`], {
    execArgv: ['--import', 'tsx'],
  });
  children.push(child);
  const [{ addresses }] = (await once(child, 'message')) as [{ addresses: string[] }];
  return addresses;
}

async function writes(): Promise<number> {
  const counts = children.map(async (child) => {
    child.send('count');
    const [{ writes: count }] = (await once(child, 'message')) as [{ writes: number }];
    return count;
  });
  return (await Promise.all(counts)).reduce((a, b) => a + b, 0);
}

const each = Math.ceil(devices / processes);
using folder = temporaryFolder();
const addresses: string[] = [];
for (let i = 0; i < processes; i++) addresses.push(...(await simulated(each)));

const store = await openStore(`sqlite:${join(folder.path, 'store.db')}`);
const objects = new Objects(store);
const documents = Array.from({ length: devices }, (_, i) => ({
  apiVersion: 'intransit.dev/v1alpha1',
  kind: 'Device',
  metadata: { name: `d${i}` },
  spec: {
    target: 'xdp',
    address: addresses[i]!.split(' ')[0],
    deviceId: Number(addresses[i]!.split(' ')[1]),
    forwarding: { ports: [1, 2, 3, 4].map((port) => ({ ingress: port, egress: (port % 4) + 1 })) },
  },
}));
await objects.apply(documents, { actor: 'bench' });

async function inSync(): Promise<number> {
  const { objects: all } = await objects.list('Device');
  return all.filter((o) => 'state' in o.status && o.status.state === 'in sync').length;
}

/** @returns seconds */
async function start(): Promise<{ readonly reconciler: Reconciler; readonly seconds: number }> {
  const begun = performance.now();
  const reconciler = new Reconciler(objects, { folder: join(folder.path, 'programs') });
  let count = 0;
  while (count < devices) {
    await sleep(250);
    count = await inSync();
    if (process.stderr.isTTY) process.stderr.write(`\r${count} of ${devices} in sync`);
  }
  return { reconciler, seconds: (performance.now() - begun) / 1000 };
}

const line = (what: string, value: string) => console.log(`${what.padEnd(44)}${value}`);
const cold = await start();
line(`${devices} devices from a cold start to in sync`, `${cold.seconds.toFixed(1)} s`);
line('memory of the controller', `${(process.memoryUsage().rss / 1e6).toFixed(0)} MB`);
const before = process.cpuUsage();
const from = performance.now();
await sleep(STEADY_MS);
const { user, system } = process.cpuUsage(before);
line('steady load of a core', `${(((user + system) / 1e3 / (performance.now() - from)) * 100).toFixed(1)} %`);
await cold.reconciler.close();
const written = await writes();
// What the store says is of the last run: only what is found anew counts.
const reset = (await objects.list('Device')).objects.map(({ metadata: { name } }) => ({
  kind: 'Device' as const,
  name,
  change: () => ({ conditions: [] }),
}));
await objects.setStatus(reset);
const again = await start();
line('started anew: until all are found in sync', `${again.seconds.toFixed(1)} s`);
line('writes by the one that was started anew', `${(await writes()) - written}`);
const asked = performance.now();
await objects.list('Device');
line('all objects read from the store', `${(performance.now() - asked).toFixed(0)} ms`);
await again.reconciler.close();
await store.close();
for (const child of children) child.disconnect();
