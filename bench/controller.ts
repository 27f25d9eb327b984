/**
 * The controller with many devices: how long until all are in sync from a cold start, what it takes then, a change of all of them,
 * and what a restart finds.
 *
 *     npm run build && npx tsx bench/controller.ts [DEVICES [PROCESSES]]
 *
 * Devices are simulated by our own P4Runtime server, without a data plane; they forward alone, and each has entries of its own. The
 * controller is the command itself, in a process of its own (with PROFILE=DIR under V8's profiler).
 */
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControllerClient } from '../src/daemon/client/index.ts';
import { Objects, openStore } from '../src/daemon/index.ts';
import type { StoredObject } from '../src/daemon/manifests/index.ts';
import { temporaryFolder } from '../src/temporary.ts';

const [devices = 2000, processes = 20] = process.argv.slice(2).map(Number);
const STEADY_MS = Number(process.env.STEADY_MS ?? 60_000);
const API = '/api/v1alpha1';

using folder = temporaryFolder();
const socket = `unix:${join(folder.path, 'api.sock')}`;
const ROOT = join(import.meta.dirname, '..');
const storeName = `sqlite:${join(folder.path, 'store.db')}`;
const built = join(ROOT, 'dist/cli/main.js');
const command = existsSync(built) ? [built] : ['--import', 'tsx', join(ROOT, 'src/cli/main.ts')];
const line = (what: string, value: string) => console.log(`${what.padEnd(48)}${value}`);
const secondsSince = (begun: number) => `${((performance.now() - begun) / 1000).toFixed(1)} s`;

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

const documents = (addresses: readonly string[], shift: number) =>
  addresses.slice(0, devices).map((place, i) => ({
    apiVersion: 'intransit.dev/v1alpha1',
    kind: 'Device',
    metadata: { name: `d${i}` },
    spec: {
      target: 'xdp',
      address: place.split(' ')[0],
      deviceId: Number(place.split(' ')[1]),
      forwarding: {
        ports: [1, 2, 3, 4].map((port) => ({ ingress: port, egress: ((port + shift) % 4) + 1 })),
      },
    },
  }));

async function started(): Promise<ChildProcess> {
  const { PROFILE } = process.env;
  const profile = PROFILE === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', PROFILE];
  const daemon = spawn(
    process.execPath,
    [...profile, ...command, 'controller', '--store', storeName, '--listen', socket, '--json'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(daemon.stdout!, 'data');
  return daemon;
}

async function stop(daemon: ChildProcess): Promise<void> {
  daemon.kill('SIGTERM');
  await once(daemon, 'exit');
}

/** Until every device is as is wanted. */
async function untilAll(isSo: (device: StoredObject<'Device'>) => boolean): Promise<void> {
  const so = new Set<string>();
  const abort = new AbortController();
  const events = new ControllerClient({ url: socket }).stream(
    `${API}/watch?kind=Device&events=false`,
    abort.signal,
  );
  for await (const { event, data } of events) {
    if (event !== 'put') continue;
    const device = data as StoredObject<'Device'>;
    if (isSo(device)) so.add(device.metadata.name);
    else so.delete(device.metadata.name);
    if (so.size === devices) break;
  }
  abort.abort();
}

const memory = ({ pid }: ChildProcess): string => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (field: string) =>
    Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
  return `${of('VmRSS')} MB, at most ${of('VmHWM')} MB`;
};

/** Seconds of a processor. */
function used({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const addresses: string[] = [];
for (let i = 0; i < processes; i++) addresses.push(...(await simulated(Math.ceil(devices / processes))));
const store = await openStore(storeName);
await new Objects(store).apply(documents(addresses, 0), { actor: 'bench' });
await store.close();

let begun = performance.now();
const isIn =
  (since: string) =>
  ({ status }: StoredObject<'Device'>) =>
    status.state === 'in sync' && (status.lastSeen ?? '') > since;
let since = new Date().toISOString();
let daemon = await started();
line('the controller is started', secondsSince(begun));
await untilAll(isIn(since));
line(`${devices} devices from a cold start to in sync`, secondsSince(begun));
line('memory of the controller', memory(daemon));
await sleep(5_000);
let [from, usedBefore] = [performance.now(), used(daemon)];
await sleep(STEADY_MS);
const load = (used(daemon) - usedBefore) / ((performance.now() - from) / 1000);
line('steady load of a core', `${(100 * load).toFixed(1)} %`);
line('memory of the controller', memory(daemon));

from = performance.now();
execFileSync(process.execPath, [...command, 'get', 'devices', '-o', 'json', '--controller', socket], {
  maxBuffer: 2 ** 28,
});
line('get of all, by the command', secondsSince(from));
from = performance.now();
await new ControllerClient({ url: socket }).get(`${API}/devices`);
line('get of all, over the API', secondsSince(from));

begun = performance.now();
usedBefore = used(daemon);
await new ControllerClient({ url: socket }).send('POST', `${API}/apply`, {
  documents: documents(addresses, 1),
});
line('a change of all: taken', secondsSince(begun));
await untilAll(({ status }) => {
  const ready = status.conditions.find((c) => c.type === 'Ready');
  return status.state === 'in sync' && ready?.observedGeneration === 2;
});
line('a change of all: in sync', secondsSince(begun));
line('of it the controller computed', `${(used(daemon) - usedBefore).toFixed(1)} s`);
await stop(daemon);

const written = await writes();
begun = performance.now();
since = new Date().toISOString();
daemon = await started();
await untilAll(isIn(since));
line('started anew: until all are found in sync', secondsSince(begun));
line('writes by the one that was started anew', `${(await writes()) - written}`);
line('memory of the controller', memory(daemon));
await stop(daemon);
for (const child of children) child.disconnect();
