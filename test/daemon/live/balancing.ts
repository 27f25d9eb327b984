/** What jobs meet whose service is spread over equals, while one is killed and one comes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkerClient } from '../../../src/controller/worker-client.ts';
import type { StoreEvent } from '../../../src/daemon/store/index.ts';
import { answererOf, type BalancedNetwork, SERVICE } from './balanced.ts';
import { type Controller, until } from './controller.ts';
import type { RawJobs, RawJobsReport } from './raw-jobs.ts';

/** Of a time in which nothing changed: by job the one worker, or device, that it was with. */
export interface Spread {
  readonly seen: RawJobsReport;
  readonly answererOf: ReadonlyMap<number, string>;
  /** Jobs that were answered by more than one. */
  readonly split: number;
  /** Per cent of the jobs, as they were seen and as the service tells. */
  readonly percent: Readonly<Record<string, number>>;
  readonly told: Readonly<Record<string, number>>;
}

/** @param count of those over whom jobs are to be spread by then @param among those that answer */
async function spreadFor(
  network: BalancedNetwork,
  jobs: RawJobs,
  count: number,
  ms: number,
  among = 'w',
): Promise<Spread> {
  const shares = Object.entries(await network.shared(count));
  const told = Object.fromEntries(shares.filter(([name]) => name.startsWith(among)));
  // What was sent before is answered by now.
  await sleep(300);
  jobs.mark();
  await sleep(ms);
  const seen = jobs.mark();
  const by = new Map([...seen.workers].map(([job, macs]) => [job, [...macs].map(answererOf)]));
  const counts: Record<string, number> = {};
  for (const [first] of by.values()) counts[first!] = (counts[first!] ?? 0) + 1;
  return {
    ...{ seen, told },
    answererOf: new Map([...by].map(([job, [first]]) => [job, first!])),
    split: [...by.values()].filter((all) => all.length > 1).length,
    percent: Object.fromEntries(Object.entries(counts).map(([w, n]) => [w, (100 * n) / by.size])),
  };
}

/** Jobs that another one answers than before, who is not this one, nor was it. */
const movedElsewhere = (before: Spread, after: Spread, but: string): number =>
  [...after.answererOf].filter(([job, worker]) => {
    const was = before.answererOf.get(job);
    return was !== undefined && was !== worker && was !== but && worker !== but;
  }).length;

/** When the first event was that tells this of a node after some time; waited for. */
async function timeOf(by: Controller, after: number, name: string, reason: string): Promise<number> {
  let found: StoreEvent | undefined;
  await until(async () => {
    found = (await by.events()).find(
      (e) => Date.parse(e.time) >= after && e.object.name === name && e.reason === reason,
    );
    return found !== undefined;
  }, `${name} ${reason}`);
  return Date.parse(found!.time);
}

export interface Balancing {
  readonly first: Spread;
  /** Without the worker that was killed, and with the one that came. */
  readonly without: Spread;
  readonly more: Spread;
  /** From the kill until the controller knows, and from then until the device sends elsewhere, ms. */
  readonly detectedMs: number;
  readonly steeredMs: number;
  /** While a worker was killed and until its jobs had moved, and the same of the one that came. */
  readonly killed: RawJobsReport;
  readonly came: RawJobsReport;
  /** Jobs that moved though their worker neither went nor came. */
  readonly others: readonly [whenKilled: number, whenOneCame: number];
}

/** @param each how long nothing changes, ms @pre workers w0, w1, w2 are there, and w3 is to come */
export async function balance(network: BalancedNetwork, jobs: RawJobs, each: number): Promise<Balancing> {
  const { controller } = network;
  const first = await spreadFor(network, jobs, 3, each);
  const killedAt = Date.now();
  await network.kill('w1');
  const lost = await timeOf(controller, killedAt, 'w1', 'Lost');
  const steered = await timeOf(controller, lost, 'd', 'ForwardingDone');
  await network.shared(2);
  const killed = jobs.mark();
  const without = await spreadFor(network, jobs, 2, each);
  jobs.mark();
  await network.add('w3');
  await network.shared(3);
  const came = jobs.mark();
  const more = await spreadFor(network, jobs, 3, each);
  return {
    ...{ first, without, more, killed, came },
    ...{ detectedMs: lost - killedAt, steeredMs: steered - lost },
    others: [movedElsewhere(first, without, 'w1'), movedElsewhere(without, more, 'w3')],
  };
}

export interface ReplicaDeath {
  readonly before: Spread;
  /** Without the device, and when it is back. */
  readonly without: Spread;
  readonly back: Spread;
  /** From its end until the controller knows, from then until the device before it sends elsewhere, and from its return until it has jobs again, ms. */
  readonly detectedMs: number;
  readonly steeredMs: number;
  readonly backMs: number;
  /** While it died and until its jobs had moved, and from its return until they were back. */
  readonly died: RawJobsReport;
  readonly came: RawJobsReport;
  /** Jobs of others that moved when it died, and jobs that another one answers than before it died, once it is back. */
  readonly others: number;
  readonly strangers: number;
}

/** One of several devices that share the jobs dies, and comes back. @param count of devices and workers that jobs are spread over */
export async function replicaDies(
  network: BalancedNetwork,
  jobs: RawJobs,
  name: string,
  count: number,
  each: number,
): Promise<ReplicaDeath> {
  const { controller } = network;
  const before = await spreadFor(network, jobs, count, each, 'r');
  const diedAt = Date.now();
  await network.dieDevice(name);
  const lost = await timeOf(controller, diedAt, name, 'Lost');
  const steered = await timeOf(controller, lost, 'd', 'ForwardingDone');
  await network.shared(count - 1);
  const died = jobs.mark();
  const without = await spreadFor(network, jobs, count - 1, each, 'r');
  jobs.mark();
  const backAt = Date.now();
  await network.startDevice(name);
  await network.shared(count);
  const backMs = Date.now() - backAt;
  const came = jobs.mark();
  const back = await spreadFor(network, jobs, count, each, 'r');
  return {
    ...{ before, without, back, died, came, backMs },
    ...{ detectedMs: lost - diedAt, steeredMs: steered - lost },
    others: movedElsewhere(before, without, name),
    strangers: [...back.answererOf].filter(
      ([job, who]) => before.answererOf.has(job) && before.answererOf.get(job) !== who,
    ).length,
  };
}

export interface SharesOfOverloaded {
  /** From when a worker says that it is overloaded until the device sends it nothing, and from its end until it has all its shards, ms. */
  readonly awayMs: number;
  readonly backMs: number;
  /** Parts of its weight on the way back, each as it was first seen. */
  readonly steps: readonly number[];
  /** How often that fell on the way back, and in the time after. */
  readonly falls: number;
  readonly seen: RawJobsReport;
}

const stepsOf = (seen: readonly number[]): readonly number[] => seen.filter((s, i) => s !== seen[i - 1]);

/** So long after its return a worker must keep what it got, ms. */
const STAYS_MS = 2_000;

/** A worker is asked for more than it computes, for a while. */
export async function shardsLeaveOverloaded(
  network: BalancedNetwork,
  jobs: RawJobs,
  name: string,
  count: number,
): Promise<SharesOfOverloaded> {
  const { controller } = network;
  const door = new WorkerClient({ name, address: network.doorOf(name) }, undefined);
  const isOverloaded = async () => (await door.held()).load?.isOverloaded === true;
  await network.shared(count);
  /** Part of its weight that it has; those of others may move too. */
  const part = async () => {
    const { status } = await controller.object(`services/${SERVICE}`);
    const own = 'shares' in status ? status.shares?.find((s) => s.node === name) : undefined;
    return (own?.weight ?? 0) / network.weightOf(name);
  };
  await until(async () => (await part()) === 1, `${name} with all its shards`);
  jobs.mark();
  const flood = await network.flood(name);
  await until(isOverloaded, `${name} overloaded`);
  const overloadedAt = Date.now();
  const away = await timeOf(controller, overloadedAt, 'd', 'ForwardingDone');
  await until(async () => (await part()) === 0, `${name} without jobs`);
  await flood.stop();
  await until(async () => !(await isOverloaded()), `${name} well again`);
  const wellAt = Date.now();
  const seen: number[] = [];
  await until(
    async () => {
      seen.push(await part());
      return seen.at(-1) === 1;
    },
    () => `${name} with all its shards again: ${stepsOf(seen).join(', ')}`,
  );
  const backMs = Date.now() - wellAt;
  for (const end = Date.now() + STAYS_MS; Date.now() < end; await sleep(50)) seen.push(await part());
  return {
    ...{ awayMs: away - overloadedAt, backMs, seen: jobs.mark() },
    steps: stepsOf(seen),
    falls: seen.filter((s, i) => i > 0 && s < seen[i - 1]!).length,
  };
}
