import type { HeldDocument } from '../../doors/worker-protocol.ts';
import { DampedScores, encodeScore, levelZero, type Metric, WINDOW_MS } from '../cats/index.ts';
import { type Kind, modelsOf, type SpecOf, type StatusOf, type StoredObject } from '../manifests/index.ts';
import type { StatusChange } from '../objects/index.ts';
import { lowerBoundUs, quantileUs } from '../sight/distribution.ts';
import { type Polled, Poller } from '../sight/poller.ts';
import { Sight } from '../sight/sight.ts';
import { Canaries } from './canary.ts';
import type { FlowPlan } from './flow-policies.ts';
import { FlowSight } from './flow-sight.ts';
import type { PlacedService } from './goals.ts';
import type { Network } from './network.ts';
import type { ManagedNode } from './node.ts';
import { type LateModels, ObjectiveWatch } from './objectives.ts';
import type { Recorder } from './recorder.ts';
import { serviceMeasures } from './service-measures.ts';
import { Shares } from './shares.ts';

/** Statuses are written so often at most, ms; in a network of many nodes less often: a commit costs the same for one and for all. */
const [WRITE_MS, MANY_WRITE_MS, MANY_NODES] = [2_000, 10_000, 200] as const;
/** A number is written anew when it has moved by this share of itself, and by this much. */
const [MOVED_SHARE, MOVED_BY] = [0.1, 1] as const;

/** Watches what nodes count, and writes into their statuses what is worth it. */
export class Observer {
  readonly sight = new Sight();
  readonly #poller: Poller;
  /** What was written last, by object. */
  readonly #written = new Map<string, Numbers>();
  readonly #scores = new Map<string, DampedScores>();
  readonly #watches = new Map<string, ObjectiveWatch>();
  readonly late: LateModels;
  readonly shares: Shares;
  readonly canaries = new Canaries(this.sight);
  readonly flows = new FlowSight();
  #writtenAt = 0;
  #judgedAt = 0;

  /** @param nodes all that are looked after @param placed services that have a place */
  constructor(nodes: () => Iterable<ManagedNode>, placed: () => readonly PlacedService[], late: LateModels) {
    this.late = late;
    this.shares = new Shares((worker) =>
      placed().flatMap(({ workers }) => (workers.includes(worker) ? workers : [])),
    );
    const polled = new WeakMap<ManagedNode, Polled>();
    this.#poller = new Poller(() => devicesOf(nodes(), polled, this.sight, this.flows));
  }

  close(): void {
    this.#poller.close();
  }

  /** What a worker says with an answer of its door. @returns whether it gets another share of the jobs that devices spread */
  worker(name: string, held: HeldDocument): boolean {
    this.sight.worker(name, held);
    const before = this.shares.part(name);
    if (held.load !== undefined) this.shares.look(name, held.load, performance.now());
    return this.shares.part(name) !== before;
  }

  /** Another one leads: what was seen, and what was written, is his to find. */
  forget(): void {
    this.sight.clear();
    this.flows.clear();
    this.#written.clear();
    this.#scores.clear();
    this.#watches.clear();
    this.late.clear();
    this.shares.keep(new Set());
    this.canaries.keep(new Set());
  }

  /** Writes what has moved, if it is time for that. */
  write(
    network: Network,
    placed: readonly PlacedService[],
    flows: readonly FlowPlan[],
    recorder: Recorder,
    now: number,
  ): void {
    const count = network.devices.size + network.workers.size;
    if (now - this.#writtenAt < (count > MANY_NODES ? MANY_WRITE_MS : WRITE_MS)) return;
    this.#writtenAt = now;
    const [devices, workers] = [new Set(network.devices.keys()), new Set(network.workers.keys())];
    this.sight.keep(devices, workers);
    this.flows.keep(devices);
    this.shares.keep(workers);
    this.canaries.keep(new Set(network.rollouts.keys()));
    for (const name of devices) this.#device(name, network, recorder);
    for (const name of workers) this.#worker(name, network, recorder);
    for (const service of placed) this.#service(service, recorder);
    for (const plan of flows) this.#flowPolicy(plan, recorder);
    recorder.flush();
  }

  /** Looks whether services keep to their objectives. @returns whether another model should answer one of them */
  judge(placed: readonly PlacedService[], recorder: Recorder, now: number): boolean {
    if (now - this.#judgedAt < JUDGE_MS) return false;
    const ended = this.late.hasEnded(this.#judgedAt, now);
    this.#judgedAt = now;
    const keys = new Set(placed.map(watchKey));
    for (const key of this.#watches.keys()) if (!keys.has(key)) this.#watches.delete(key);
    const missed = placed.filter((p) => this.#judgeOne(p, recorder, now));
    return ended || missed.length > 0;
  }

  #judgeOne(own: PlacedService, recorder: Recorder, now: number): boolean {
    const { service, modelId, placement } = own;
    const { objective } = service.spec;
    if (objective === undefined) return false;
    const key = watchKey(own);
    const known = this.#watches.get(key);
    const watch = known ?? new ObjectiveWatch();
    this.#watches.set(key, watch);
    const before = watch.state;
    const { measured: all } = serviceMeasures(this.sight, modelId, placement);
    const changed = watch.look(all, objective, now);
    if (changed !== undefined || known === undefined) recorder.objective(service, before, watch.state);
    if (changed?.status !== 'False' || modelsOf(service.spec).length < 2) return false;
    this.late.missed(service.name, placement.model, changed.message, now);
    return true;
  }

  #device(name: string, network: Network, recorder: Recorder): void {
    const rates = this.sight.deviceRates(name);
    if (rates === undefined || !this.#hasMoved(`Device/${name}`, rates)) return;
    const load = {
      computedPerSecond: round(rates.computed),
      passedPerSecond: round(rates.passed),
      shedPerSecond: round(rates.shed),
      refusedPerSecond: round(rates.refused),
    };
    const counters = Object.fromEntries(this.sight.deviceTotals(name));
    const asked = rates.computed + rates.shed + rates.refused;
    const metrics = this.#metrics(`Device/${name}`, network.devices.get(name)?.object, [
      measured('service_rate', rates.computed),
      ...(asked > 0 ? [measured('service_refused', (100 * (rates.shed + rates.refused)) / asked)] : []),
    ]);
    recorder.part(
      statusOf('Device', name, (status) => ({
        ...{ ...status, ...metrics, counters },
        load: { ...status.load, ...load },
      })),
    );
  }

  #worker(name: string, network: Network, recorder: Recorder): void {
    const [rates, load] = [this.sight.workerRates(name), this.sight.workerLoad(name)];
    if (rates === undefined || load === undefined) return;
    const { busy, queue, isOverloaded } = load;
    const numbers = { ...rates, busy: 20 * busy, queue: queue / 10, overload: isOverloaded ? 2 : 0 };
    if (!this.#hasMoved(`Worker/${name}`, numbers)) return;
    const own = {
      computedPerSecond: round(rates.computed),
      refusedPerSecond: round(rates.refused),
      utilisation: round(busy),
      queue,
      isOverloaded,
    };
    const asked = rates.computed + rates.refused;
    const metrics = this.#metrics(`Worker/${name}`, network.workers.get(name)?.object, [
      measured('compute_utilization', 100 * busy),
      measured('compute_queue', queue),
      measured('service_rate', rates.computed),
      ...(asked > 0 ? [measured('service_refused', (100 * rates.refused) / asked)] : []),
    ]);
    recorder.part(
      statusOf('Worker', name, (status) => ({ ...status, ...metrics, load: { ...status.load, ...own } })),
    );
  }

  /** Of nodes that do not announce themselves: those measure more than is seen of them from here. */
  #metrics(
    key: string,
    object: StoredObject<'Device' | 'Worker'> | undefined,
    raw: readonly Metric[],
  ): { readonly metrics?: StatusOf<'Device'>['metrics'] } {
    if (object === undefined || object.status.registration !== undefined) return {};
    const scores = this.#scores.get(key) ?? new DampedScores('worst-of');
    this.#scores.set(key, scores);
    scores.update(raw);
    return { metrics: [...raw, ...scores.scores().map((s) => ({ ...s, wire: encodeScore(s) }))] };
  }

  #service({ service, modelId, placement }: PlacedService, recorder: Recorder): void {
    const { name, spec } = service;
    const { by, measured: all, networkPerSecond } = serviceMeasures(this.sight, modelId, placement);
    const [p50Us, p99Us] = [quantileUs(all, 0.5), quantileUs(all, 0.99)];
    const segments = placement.segments.map((segment) => ({
      ...{ node: segment.node, layers: segment.layers },
      computedPerSecond: round(this.#segmentRate(segment, modelId)),
    }));
    const numbers = {
      ...{ p50: p50Us ?? 0, p99: p99Us ?? 0, network: networkPerSecond },
      ...{ answered: all.answered, failed: all.failed },
      ...Object.fromEntries(segments.map((s, i) => [`segment ${i}`, s.computedPerSecond])),
    };
    if (!this.#hasMoved(`Service/${name}`, numbers)) return;
    const objective = spec.objective?.latencyUs;
    const latency = {
      ...(p50Us !== undefined && p99Us !== undefined && { p50Us: round(p50Us), p99Us: round(p99Us), by }),
      count: all.answered,
      ...(objective !== undefined && { missed: missedIn(all, objective) }),
    };
    const rates = {
      answeredPerSecond: round(all.answered / WINDOW_S),
      failedPerSecond: round(all.failed / WINDOW_S),
      networkPerSecond: round(networkPerSecond),
    };
    recorder.part(statusOf('Service', name, (status) => ({ ...status, latency, rates })));
    recorder.part(statusOf('Placement', name, (status) => ({ ...status, segments })));
  }

  #flowPolicy(plan: FlowPlan, recorder: Recorder): void {
    const { name } = plan.policy;
    const counted = this.flows.of(plan);
    if (counted === undefined || !this.#hasMoved(`FlowPolicy/${name}`, counted.numbers)) return;
    recorder.part(statusOf('FlowPolicy', name, (status) => ({ ...status, ...counted.status })));
  }

  #segmentRate({ kind, node }: SpecOf<'Placement'>['segments'][number], modelId: number): number {
    if (kind === 'Worker') return this.sight.workerModelRate(node, modelId);
    return this.sight
      .deviceVersions(node)
      .filter((v) => v.modelId === modelId)
      .reduce((sum, { rates }) => sum + (rates.get('computed') ?? 0) + (rates.get('unsure') ?? 0), 0);
  }

  #hasMoved(key: string, numbers: Numbers): boolean {
    const before = this.#written.get(key);
    // Of what was never anything else than 0 there is nothing to be said.
    const moved = Object.entries(numbers).some(([name, now]) => {
      const then = before?.[name] ?? 0;
      const by = Math.abs(now - then);
      return by > Math.max(MOVED_BY, MOVED_SHARE * then) || (now === 0 && then > 0);
    });
    if (moved) this.#written.set(key, numbers);
    return moved;
  }
}

const JUDGE_MS = 1000;

/** Another model, another objective: what was measured before says nothing. */
const watchKey = ({ service, placement }: PlacedService): string =>
  JSON.stringify([service.name, placement.model, service.spec.objective]);

type Numbers = Readonly<Record<string, number>>;

const WINDOW_S = WINDOW_MS / 1000;

/** To what is worth to be read. */
const round = (value: number): number => Number(value.toPrecision(3));

const measured = (type: Parameters<typeof levelZero>[0], value: number): Metric =>
  levelZero(type, round(value), { source: 'directly measured', statistics: 'mean' });

/** Answers of buckets that lie wholly above the objective. */
function missedIn(all: Parameters<typeof quantileUs>[0], objectiveUs: number): number {
  return all.latency.reduce((sum, n, i) => sum + (lowerBoundUs(i) >= objectiveUs ? n : 0), 0);
}

/** Made once a device: many are looked through ten times a second. */
function* devicesOf(
  nodes: Iterable<ManagedNode>,
  known: WeakMap<ManagedNode, Polled>,
  sight: Sight,
  flows: FlowSight,
): Generator<Polled> {
  for (const node of nodes) {
    if (node.kind !== 'Device') continue;
    let polled = known.get(node);
    if (polled === undefined) {
      polled = polledOf(node, sight, flows);
      known.set(node, polled);
    }
    yield polled;
  }
}

const polledOf = (node: ManagedNode, sight: Sight, flows: FlowSight): Polled => ({
  name: node.name,
  get isReady() {
    return node.isHere && !node.isBusy;
  },
  read: async () => {
    const counts = await node.counts();
    if (counts === undefined) return await flows.read(node);
    sight.device(node.name, counts);
    const rates = sight.deviceRates(node.name);
    return rates !== undefined && Object.values(rates).some((rate) => rate > 0);
  },
});

const statusOf = <K extends Kind>(
  kind: K,
  name: string,
  change: (status: StatusOf<K>) => StatusOf<K>,
): StatusChange =>
  ({
    kind,
    name,
    change: ({ status }: StoredObject<K>) => change(status as StatusOf<K>),
  }) as unknown as StatusChange;
