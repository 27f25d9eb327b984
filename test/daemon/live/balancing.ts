/** What jobs meet whose service is spread over workers, while one is killed and another one comes. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { StoreEvent } from '../../../src/daemon/store/index.ts';
import { type BalancedNetwork, workerOf } from './balanced.ts';
import { until } from './controller.ts';
import type { RawJobs, RawJobsReport } from './raw-jobs.ts';

/** Of a time in which nothing changed: by job the one worker that it was with. */
export interface Spread {
  readonly seen: RawJobsReport;
  readonly workerOf: ReadonlyMap<number, string>;
  /** Jobs that were answered by more than one. */
  readonly split: number;
  /** Per cent of the jobs, as they were seen and as the service tells. */
  readonly percent: Readonly<Record<string, number>>;
  readonly told: Readonly<Record<string, number>>;
}

async function spreadFor(
  network: BalancedNetwork,
  jobs: RawJobs,
  workers: number,
  ms: number,
): Promise<Spread> {
  const told = await network.shared(workers);
  // What was sent before is answered by now.
  await sleep(300);
  jobs.mark();
  await sleep(ms);
  const seen = jobs.mark();
  const by = new Map([...seen.workers].map(([job, macs]) => [job, [...macs].map(workerOf)]));
  const counts: Record<string, number> = {};
  for (const [first] of by.values()) counts[first!] = (counts[first!] ?? 0) + 1;
  return {
    ...{ seen, told },
    workerOf: new Map([...by].map(([job, [first]]) => [job, first!])),
    split: [...by.values()].filter((all) => all.length > 1).length,
    percent: Object.fromEntries(Object.entries(counts).map(([w, n]) => [w, (100 * n) / by.size])),
  };
}

/** Jobs whose worker is another one than before, and was and is none of these. */
const movedElsewhere = (before: Spread, after: Spread, but: string): number =>
  [...after.workerOf].filter(([job, worker]) => {
    const was = before.workerOf.get(job);
    return was !== undefined && was !== worker && was !== but && worker !== but;
  }).length;

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
  const eventOf = async (name: string, reason: string): Promise<StoreEvent> => {
    let found: StoreEvent | undefined;
    await until(async () => {
      found = (await controller.events()).find(
        (e) => Date.parse(e.time) >= killedAt && e.object.name === name && e.reason === reason,
      );
      return found !== undefined;
    }, `${name} ${reason}`);
    return found!;
  };
  const lost = Date.parse((await eventOf('w1', 'Lost')).time);
  const steered = Date.parse((await eventOf('d', 'ForwardingDone')).time);
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
