/** What befalls a network of real parts while jobs come, and how long it takes until it is well again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkerClient } from '../../../src/controller/worker-client.ts';
import type { StoredObject } from '../../../src/daemon/manifests/index.ts';
import type { Resolution } from '../../../src/daemon/names/resolve.ts';
import type { StoreEvent } from '../../../src/daemon/store/index.ts';
import { API, type Controller, manifest, until } from './controller.ts';
import type { JobsReport } from './jobs.ts';
import { type LiveNetwork, layers, SERVICE, serviceManifest } from './network.ts';

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

/** Share of jobs that try a version first, percent, and how long. */
const CANARY = { percent: 20, holdMs: 4000 };
/** Busy machines are late with every version. */
const NEVER_LATE_US = 1e9;

const phaseOf = ({ status }: StoredObject): string | undefined =>
  'phase' in status ? status.phase : undefined;

export interface NewVersion {
  /** From its rollout until all jobs are answered by it alone, ms. */
  readonly tookMs: number;
  /** Its share of the answers while a part of the jobs tried it. */
  readonly share: number;
  readonly seen: JobsReport;
}

/** A version is tried by a share of the jobs, and goes on to all. */
export async function versionComes(
  network: LiveNetwork,
  by: Controller,
  version: number,
): Promise<NewVersion> {
  await network.addVersion(by, version);
  const begunAt = Date.now();
  const name = `to-${version}`;
  const abort = { latencyUs: NEVER_LATE_US };
  await by.apply(
    manifest('Rollout', name, { service: SERVICE, version, drainMs: 500, canary: [CANARY], abort }),
  );
  await by.until(`rollouts/${name}`, (o) => phaseOf(o) === 'canary');
  const before = await network.seen();
  await sleep(CANARY.holdMs / 2);
  const during = await network.seen();
  await by.until(`rollouts/${name}`, (o) => phaseOf(o) === 'complete');
  await by.isAt(SERVICE, version);
  const after = await network.seen();
  return {
    tookMs: Date.now() - begunAt,
    share: (during.versions[version] ?? 0) / during.answered,
    seen: together(before, during, after),
  };
}

export interface BadVersion {
  /** From its first jobs until it is found out, and until no node has it any more, ms. */
  readonly foundMs: number;
  readonly goneMs: number;
  readonly reason: string;
  readonly seen: JobsReport;
}

/** A version is tried that cannot keep to what is asked of it: answers within a microsecond. */
export async function badVersionComes(
  network: LiveNetwork,
  by: Controller,
  version: number,
): Promise<BadVersion> {
  await network.addVersion(by, version);
  await network.seen();
  const begunAt = Date.now();
  const name = `to-${version}`;
  const canary = [{ ...CANARY, holdMs: 600_000 }];
  const abort = { latencyUs: 1, minimumAnswers: 20 };
  await by.apply(manifest('Rollout', name, { service: SERVICE, version, drainMs: 500, canary, abort }));
  await by.until(`rollouts/${name}`, (o) => phaseOf(o) === 'rolled back');
  const goneAt = Date.now();
  const tried = await eventAfter(by, begunAt, isOf(name, 'Canary'), `${name} tried`);
  const back = await eventAfter(by, begunAt, isOf(name, 'RollingBack'), `${name} taken back`);
  // Jobs that asked for it ask again.
  await sleep(1000);
  return {
    ...{ foundMs: timeOf(back) - timeOf(tried), goneMs: goneAt - timeOf(tried), reason: back.message },
    seen: await network.seen(),
  };
}

export interface ClassLimit {
  /** Inferences a second of device d1, and requests that it sheds, as the controller tells. */
  readonly computed: number;
  readonly shed: number;
  readonly seen: JobsReport;
}

/** How long the limit is watched, ms. */
const LIMITED_MS = 8000;

/** Packets of a device by outcome, as the controller tells Prometheus. */
async function outcomesOf(by: Controller, device: string): Promise<(outcome: string) => number> {
  const text = await by.client.text('/metrics');
  return (outcome) => {
    const series = `intransit_device_packets_total{device="${device}",outcome="${outcome}"} `;
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(series))
        ?.slice(series.length) ?? 0,
    );
  };
}

/** The service may take only so many inferences a second of each device; what is beyond is left to its workers. */
export async function classIsLimited(
  network: LiveNetwork,
  by: Controller,
  perSecond: number,
): Promise<ClassLimit> {
  const { status } = await by.object(`services/${SERVICE}`);
  const version = 'version' in status ? (status.version ?? 1) : 1;
  const change = async (more: object) => {
    await by.apply(serviceManifest(more));
    await by.isAt(SERVICE, version);
  };
  await change({ class: { inferencesPerSecond: perSecond, burst: Math.ceil(perSecond / 10) } });
  await network.seen();
  // Counts are read once a second.
  await sleep(2000);
  const [before, begunAt] = [await outcomesOf(by, 'd1'), performance.now()];
  await sleep(LIMITED_MS);
  const after = await outcomesOf(by, 'd1');
  const seconds = (performance.now() - begunAt) / 1000;
  const rate = (outcome: string) => (after(outcome) - before(outcome)) / seconds;
  const seen = await network.seen();
  await change({});
  return { computed: rate('computed'), shed: rate('shed'), seen };
}

export interface SharedLayer {
  /** What the second of two devices computes of what both do, per cent, and what the service tells of it. */
  readonly percent: number;
  readonly told: number;
  readonly shared: JobsReport;
  /** From when it is known that the first is dead until the second has all, ms; and what jobs met. */
  readonly aloneMs: number;
  readonly alone: JobsReport;
}

/** Devices d2 and d3 both compute the second layer, d1 the first, workers the last; then d2 dies, and comes back. */
export async function layerIsShared(network: LiveNetwork, by: Controller): Promise<SharedLayer> {
  const sharesOf = async () => {
    const { status } = await by.object(`services/${SERVICE}`);
    return 'shares' in status ? (status.shares ?? []) : [];
  };
  const areShared = async () => (await sharesOf()).length === 2;
  const { status } = await by.object(`services/${SERVICE}`);
  const version = 'version' in status ? (status.version ?? 1) : 1;
  await by.apply(serviceManifest({ policy: { layers, replicas: 2 } }));
  await until(areShared, 'two devices with shares');
  await by.isAt(SERVICE, version);
  const told = (await sharesOf()).find(({ node }) => node === 'd3')?.percent ?? 0;
  // Counts are read once a second.
  await sleep(2000);
  await network.seen();
  const computed = async (device: string) => (await outcomesOf(by, device))('computed');
  const before = [await computed('d2'), await computed('d3')] as const;
  await sleep(LIMITED_MS);
  const [first, second] = [(await computed('d2')) - before[0], (await computed('d3')) - before[1]];
  const shared = await network.seen();
  const diedAt = Date.now();
  await network.die('d2');
  const lost = await eventAfter(by, diedAt, isOf('d2', 'Lost'), 'd2 lost');
  const steered = await eventAfter(by, timeOf(lost), isOf('d1', 'ForwardingDone'), 'd1 steered');
  await sleep(2000);
  const alone = await network.seen();
  await network.start('d2');
  await until(areShared, 'd2 with its shares again');
  await by.apply(serviceManifest());
  await isMovedTo(by, 'd2');
  return {
    ...{ percent: (100 * second) / (first + second), told, shared, alone },
    aloneMs: timeOf(steered) - timeOf(lost),
  };
}

/** What was seen in a row. */
function together(...reports: readonly JobsReport[]): JobsReport {
  const sum = (of: (r: JobsReport) => number) => reports.reduce((total, r) => total + of(r), 0);
  const counts = (of: (r: JobsReport) => Readonly<Record<string, number>>) => {
    const all: Record<string, number> = {};
    for (const [key, n] of reports.flatMap((r) => Object.entries(of(r)))) all[key] = (all[key] ?? 0) + n;
    return all;
  };
  return {
    ...{ seconds: sum((r) => r.seconds), begun: sum((r) => r.begun), answered: sum((r) => r.answered) },
    ...{ wrong: sum((r) => r.wrong), lost: sum((r) => r.lost), retried: sum((r) => r.retried) },
    ...{ network: sum((r) => r.network), worker: sum((r) => r.worker) },
    ...{
      given: counts((r) => r.given),
      versions: counts((r) => r.versions),
      errors: counts((r) => r.errors),
    },
    longestPauseMs: Math.max(...reports.map((r) => r.longestPauseMs)),
  };
}
