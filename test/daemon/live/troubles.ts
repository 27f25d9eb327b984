/** What befalls a network of real parts while jobs come, and how long it takes until it is well again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkerClient } from '../../../src/controller/worker-client.ts';
import type { StoredObject } from '../../../src/daemon/manifests/index.ts';
import type { Resolution } from '../../../src/daemon/names/resolve.ts';
import type { StoreEvent } from '../../../src/daemon/store/index.ts';
import { API, type Controller, until } from './controller.ts';
import type { JobsReport } from './jobs.ts';
import { type LiveNetwork, SERVICE } from './network.ts';

const timeOf = ({ time }: StoreEvent): number => Date.parse(time);

/** The first event that fits and was told after some moment; waited for. */
async function eventAfter(
  by: Controller,
  after: number,
  isIt: (event: StoreEvent) => boolean,
  what: string,
): Promise<StoreEvent> {
  let found: StoreEvent | undefined;
  await until(async () => {
    found = (await by.events()).find((e) => timeOf(e) >= after && isIt(e));
    return found !== undefined;
  }, what);
  return found!;
}

const isOf = (name: string, reason: string) => (e: StoreEvent) =>
  e.object.name === name && e.reason === reason;

const computes = (node: string) => (placement: StoredObject) =>
  'segments' in placement.spec && placement.spec.segments.some((s) => s.node === node);

/** The placement names a device, and every node is as it should be. */
async function isMovedTo(by: Controller, device: string): Promise<void> {
  await by.until(`placements/${SERVICE}`, computes(device));
  await by.until(`devices/${device}`, ({ status }) => 'state' in status && status.state === 'in sync');
  await by.isAt(SERVICE, 1);
}

export interface DeviceDeath {
  /** From its end until the controller says so, ms. */
  readonly detectedMs: number;
  /** From then until the device before it sends elsewhere, ms. */
  readonly steeredMs: number;
  /** From its end until its layers run on another device, and from its return until they run on it again, ms. */
  readonly movedMs: number;
  readonly backMs: number;
  /** From its end until its layers had moved, and from its return. */
  readonly without: JobsReport;
  readonly back: JobsReport;
}

/** The device that computes the second layer dies, and comes back. */
export async function deviceDies(network: LiveNetwork, by: Controller): Promise<DeviceDeath> {
  await network.seen();
  const diedAt = Date.now();
  await network.die('d2');
  const lost = await eventAfter(by, diedAt, isOf('d2', 'Lost'), 'd2 lost');
  const steered = await eventAfter(by, timeOf(lost), isOf('d1', 'ForwardingDone'), 'd1 steered');
  await isMovedTo(by, 'd3');
  const movedMs = Date.now() - diedAt;
  const without = await network.seen();
  const backAt = Date.now();
  await network.start('d2');
  await isMovedTo(by, 'd2');
  return {
    detectedMs: timeOf(lost) - diedAt,
    steeredMs: timeOf(steered) - timeOf(lost),
    ...{ movedMs, backMs: Date.now() - backAt, without },
    back: await network.seen(),
  };
}

export interface WorkerOverload {
  /** From when the worker says that it is overloaded until no new job is given to it, ms. */
  readonly awayMs: number;
  /** From when it is not any more until it has its whole share, ms. */
  readonly backMs: number;
  /** Its share on the way back, each as it was first seen. */
  readonly steps: readonly number[];
  /** How often its share fell on the way back, and in the time after. */
  readonly falls: number;
  readonly seen: JobsReport;
}

/** Worker w1 is asked for more than it computes, for a while. */
export async function workerIsOverloaded(network: LiveNetwork, by: Controller): Promise<WorkerOverload> {
  await network.seen();
  const door = new WorkerClient({ name: 'w1', address: network.doorOf('w1') }, undefined);
  const isOverloaded = async () => (await door.held()).load?.isOverloaded === true;
  const weight = async (): Promise<number> => {
    const path = `${API}/names/${encodeURIComponent(`service/${SERVICE}`)}`;
    const { items } = await by.client.get<{ readonly items: readonly Resolution[] }>(path);
    return items[0]!.addresses.find((a) => a.node === 'Worker/w1')?.weight ?? 0;
  };
  await until(async () => (await weight()) === 1, 'w1 with its whole share');
  const flood = await network.flood('w1');
  await until(isOverloaded, () => 'w1 overloaded');
  const overloadedAt = performance.now();
  await until(async () => (await weight()) === 0, 'w1 without new jobs');
  const awayMs = performance.now() - overloadedAt;
  await flood.stop();
  await until(async () => !(await isOverloaded()), 'w1 well again');
  const wellAt = performance.now();
  const shares: number[] = [];
  await until(async () => {
    shares.push(await weight());
    return shares.at(-1) === 1;
  }, 'w1 with its whole share again');
  const backMs = performance.now() - wellAt;
  for (const end = performance.now() + STAYS_MS; performance.now() < end; await sleep(50))
    shares.push(await weight());
  return {
    ...{ awayMs, backMs, seen: await network.seen() },
    steps: shares.filter((s, i) => s !== shares[i - 1]),
    falls: shares.filter((s, i) => i > 0 && s < shares[i - 1]!).length,
  };
}

/** So long after its return a worker must keep what it got, ms. */
const STAYS_MS = 2_000;

export interface ControllerDeath {
  /** From its end until the standby leads, ms. */
  readonly takenOverMs: number;
  /** From its end until the standby has found every node as it should be, ms. */
  readonly foundMs: number;
  /** Nodes that were changed. */
  readonly changed: readonly string[];
  /** Whether agents have heard of nothing that they were to keep. */
  readonly isUntold: boolean;
  readonly seen: JobsReport;
}

/** The controller that leads dies, and the other takes over. */
export async function controllerDies(
  network: LiveNetwork,
  leader: Controller,
  standby: Controller,
): Promise<ControllerDeath> {
  await network.seen();
  const before = network.told();
  const terms = await standby.terms();
  const diedAt = Date.now();
  await leader.kill();
  const leads = await eventAfter(standby, diedAt, (e) => e.reason === 'Leading', 'the standby leading');
  const electionId = `${(BigInt(terms + 1) << 64n) | 1n}`;
  for (const name of ['d1', 'd2', 'd3'])
    await standby.until(
      `devices/${name}`,
      ({ status }) =>
        'state' in status &&
        status.state === 'in sync' &&
        'electionId' in status &&
        status.electionId === electionId,
    );
  await standby.isAt(SERVICE, 1);
  const foundMs = Date.now() - diedAt;
  // What it would do wrong it would do by now.
  await sleep(1000);
  const changing = (await standby.events()).filter((e) => timeOf(e) >= diedAt && e.reason === 'Changing');
  return {
    takenOverMs: timeOf(leads) - diedAt,
    ...{ foundMs, changed: changing.map((e) => `${e.object.kind}/${e.object.name}: ${e.message}`) },
    isUntold: network.told() === before,
    seen: await network.seen(),
  };
}
