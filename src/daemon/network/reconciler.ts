import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KnownProgram } from '../../controller/core/observed.ts';
import type { DeviceProgram } from '../../controller/program.ts';
import { StateFolder } from '../../controller/state.ts';
import { DiagnosticError, diagnostic } from '../../diagnostics/index.ts';
import type { HeldDocument } from '../../doors/worker-protocol.ts';
import { messageOf } from '../../durable/index.ts';
import type { Route } from '../api/routes.ts';
import { isKind, isKindName, type Kind, keyOf, type StoredObject } from '../manifests/index.ts';
import { type DamagedObject, type Objects, objectOf } from '../objects/index.ts';
import { reportRoutes } from '../sight/reports.ts';
import { type EventInput, StoreFenced, type Term, type WatchBatch } from '../store/index.ts';
import { type Goal, type GoalMemory, goalsOf, type PlacedService } from './goals.ts';
import { heldBack } from './held-back.ts';
import { about, bring, type JobHost, type Task } from './job.ts';
import { Leadership } from './leadership.ts';
import { ModelLibrary, ProgramLibrary } from './models.ts';
import { committedVersion, type Named, type Network, networkOf, rolloutOf } from './network.ts';
import { connectionOf, ManagedNode, type NodeOptions } from './node.ts';
import { LateModels } from './objectives.ts';
import { Observer } from './observer.ts';
import { Placer, type Placing } from './placing.ts';
import { Recorder } from './recorder.ts';
import { trafficMetrics } from './traffic-metrics.ts';
import { type NextPhase, nextPhase, type RolloutSight } from './versions-wanted.ts';

export interface ReconcilerOptions {
  /** Where compiled programs are kept. */
  readonly folder: string;
  /** How long a leader that has gone silent stays one, ms; default 1,200, and a minute where no other process could lead. */
  readonly ttlMs?: number;
  /** How often a node that is in sync is read again, ms; default 60,000, and as long as it takes to read 20 a second. */
  readonly readbackMs?: number;
  /** How long a node may be away before traffic is led around it, ms; default 200: a switch that restarts is back by then. */
  readonly graceMs?: number;
  /** How long before its layers move elsewhere, ms; default 5,000. Until then workers compute them. */
  readonly moveMs?: number;
  /** Deadline of each call, ms; default 10,000. */
  readonly timeoutMs?: number;
  /** How often a device is asked whether it is there, ms; default 5,000. */
  readonly probeMs?: number;
  /** How long a model that missed the objective of its service is passed over, ms; default 60,000, more where it misses it again. */
  readonly lateHoldMs?: number;
  /** Hears of what keeps it from its work, such as a store that does not answer; each once for as long as it stays the same. */
  readonly onFault?: (text: string) => void;
}

const ACTOR = 'controller';
const [TTL_MS, OWN_TTL_MS] = [1_200, 60_000];
const DEFAULTS = { readbackMs: 60_000, graceMs: 200, moveMs: 5_000 } as const;
/** How often times that pass are looked at, ms. */
const TICK_MS = 100;
/** Between two turns, ms: as long as the one before took, within these. What comes meanwhile is seen together. */
const GAP_MS = [10, 250] as const;
/** Of many nodes so many are read again a second. */
const MOST_READBACKS = 20;
/** Jobs at once, of nodes that stand alone: each holds a program and what was read. */
const MOST_JOBS = 100;
/** How often rollouts are judged by what was counted, ms. */
const JUDGE_MS = 250;
/** Before a turn that failed is tried again, ms. */
const FAULT_MS = 500;

/**
 * Keeps devices and workers what the objects of the store say. Each turn is a function of the objects and of what is known of the
 * nodes: placements, then what every node is to be, then jobs for those that are not so, each group alone and all side by side.
 */
export class Reconciler {
  readonly #objects: Objects;
  readonly #options: ReconcilerOptions & { readonly [K in keyof typeof DEFAULTS]: number };
  readonly #records = new Map<string, StoredObject>();
  readonly #nodes = new Map<string, ManagedNode>();
  readonly #programs = new ProgramLibrary();
  readonly #placer: Placer;
  readonly #state: StateFolder;
  readonly #recorder: Recorder;
  readonly #observer: Observer;
  readonly #leadership: Leadership;
  readonly #jobs = new Set<Promise<void>>();
  /** Compiled programs by their cookies. */
  readonly #builds = new Map<bigint, Promise<Uint8Array>>();
  /** When the phase of a rollout was first seen here, and which it was. */
  readonly #phases = new Map<string, { readonly phase: string; readonly since: number }>();
  #goals: ReadonlyMap<string, Goal> = new Map();
  readonly #goalMemory: GoalMemory = new Map();
  /** Nodes of whom something else is to be recorded, perhaps. */
  readonly #changedNodes = new Set<string>();
  /** Nodes that do not answer. */
  readonly #away = new Set<ManagedNode>();
  /** Counts changes of what turns go by; states of nodes that come back from the store are none. */
  #revision = 0;
  /** Counts those of them that are not of a status alone. */
  #specRevision = 0;
  #network: { readonly revision: number; readonly network: Network } | undefined;
  #placings: { readonly key: string; readonly placings: readonly Placing[] } | undefined;
  #goalsFor = '';
  /** Services as they were placed last. */
  #placed: readonly PlacedService[] = [];
  #tickedAt = 0;
  #judgedAt = 0;
  #watching: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #turning: Promise<void> | undefined;
  #isDue = false;
  /** Nodes that stay as they are. */
  #held: ReadonlySet<string> = new Set();
  /** What kept the last turn from its end. */
  #fault: string | undefined;
  #term: Term | undefined;
  readonly #unlisten: () => void;

  constructor(objects: Objects, options: ReconcilerOptions) {
    this.#objects = objects;
    this.#options = { ...DEFAULTS, ...options };
    this.#state = new StateFolder(options.folder, 'programs');
    this.#recorder = new Recorder(objects, ACTOR);
    this.#observer = new Observer(() => this.#nodes.values(), new LateModels(options.lateHoldMs));
    this.#placer = new Placer(new ModelLibrary(objects.store.blobs), (service, model) =>
      this.#observer.late.why(service, model, performance.now()),
    );
    this.#leadership = new Leadership({
      leases: objects.store.leases,
      holder: `${hostname()}/${process.pid}`,
      ttlMs: this.#options.ttlMs ?? (objects.store.isShared ? TTL_MS : OWN_TTL_MS),
      onLead: (term) => this.#lead(term),
      onLost: () => this.#standBy(),
      onFault: (error) => this.#faulty(error),
      onWell: () => this.#well(),
    });
    this.#unlisten = objects.onDamaged((damaged) => this.#tellDamaged(damaged));
  }

  /** Whether this one leads. */
  get isLeading(): boolean {
    return this.#term !== undefined;
  }

  /** Calls that it answers. */
  get routes(): readonly Route[] {
    return reportRoutes(this.#observer.sight, () => this.isLeading);
  }

  /** Which part of its weight a worker gets of new jobs; all where another one leads, which knows better. */
  readonly shareOf = (worker: string): number =>
    this.isLeading ? this.#observer.shares.factor(worker, performance.now()) : 1;

  /** What Prometheus reads of the traffic; nothing where another one leads. */
  metrics(): string {
    if (!this.isLeading) return '';
    return trafficMetrics(this.#observer.sight, [...this.#nodes.values()], this.#placed);
  }

  async close(): Promise<void> {
    this.#observer.close();
    await this.#leadership.close();
    this.#unlisten();
  }

  async #lead(term: Term): Promise<void> {
    await this.#watch();
    this.#term = term;
    this.#recorder.begin(term);
    this.#log({ ...ABOUT_SELF, type: 'Normal', reason: 'Leading', message: `term ${term.term}` });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#wake();
  }

  async #standBy(): Promise<void> {
    this.#term = undefined;
    this.#watching?.abort();
    clearInterval(this.#timer);
    await this.#turning;
    await Promise.all(this.#jobs);
    for (const node of this.#nodes.values()) node.close();
    this.#nodes.clear();
    this.#away.clear();
    this.#changedNodes.clear();
    this.#observer.forget();
    this.#placed = [];
    this.#goals = new Map();
    this.#goalMemory.clear();
    this.#goalsFor = '';
    this.#network = undefined;
    this.#placings = undefined;
    await this.#recorder.end();
  }

  /** All objects, and every change of them from then on. */
  async #watch(): Promise<void> {
    this.#watching?.abort();
    const watching = new AbortController();
    this.#watching = watching;
    const { revision, objects } = await this.#objects.list();
    this.#records.clear();
    for (const object of objects) this.#records.set(keyOf(object), object);
    this.#revision++;
    this.#specRevision++;
    const onBatch = (batch: WatchBatch) => this.#changed(batch);
    const onLost = () => {
      if (!watching.signal.aborted) void this.#watchAgain();
    };
    await this.#objects.store.watch(revision, { onBatch, onLost }, watching.signal);
  }

  async #watchAgain(): Promise<void> {
    while (this.#term !== undefined) {
      try {
        await this.#watch();
        this.#wake();
        return;
      } catch (error) {
        this.#faulty(error);
        await sleep(FAULT_MS);
      }
    }
  }

  #changed({ changes }: WatchBatch): void {
    let counts = false;
    for (const change of changes) {
      const { kind, name } = change.type === 'put' ? change.record : change;
      if (!isKindName(kind)) continue;
      const key = `${kind}/${name}`;
      const before = this.#records.get(key);
      if (change.type === 'delete') {
        this.#records.delete(key);
        counts = true;
        this.#specRevision++;
        continue;
      }
      const object = objectOf(change.record);
      this.#records.set(key, object);
      const isNode = kind === 'Device' || kind === 'Worker';
      const { generation, uid } = object.metadata;
      const same = before?.metadata.generation === generation && before.metadata.uid === uid;
      if (!same || !(isNode || isOnlyMeasured(before, object))) counts = true;
      if (same) continue;
      this.#specRevision++;
      if (isNode) this.#changedNodes.add(name);
    }
    if (!counts) return;
    this.#revision++;
    this.#wake();
  }

  /** Looks for what has become due by time alone. */
  #tick(): void {
    const now = performance.now();
    const before = this.#tickedAt;
    this.#tickedAt = now;
    const { graceMs, moveMs } = this.#options;
    const passed = ({ lostAt }: ManagedNode) =>
      lostAt !== undefined &&
      [graceMs, moveMs].some((patience) => before < lostAt + patience && lostAt + patience <= now);
    const isDue =
      [...this.#away].some(passed) || [...this.#nodes.values()].some((node) => this.#needsWork(node, now));
    const drains = [...(this.#network?.network.rollouts.values() ?? [])].some(
      (r) => r.object.status.phase === 'draining',
    );
    const anew = [...this.#away].some((node) => node.anewAt !== undefined && node.anewAt < now);
    if (anew) this.#network = undefined;
    if (isDue || drains || anew || this.#isJudgementDue(now)) this.#wake();
    const network = this.#network?.network;
    if (network === undefined) return;
    this.#observer.write(network, this.#placed, this.#recorder, now);
    if (!this.#observer.judge(this.#placed, this.#recorder, now)) return;
    this.#revision++;
    this.#wake();
  }

  /** Steps of canaries end by time, and what was counted may end them. */
  #isJudgementDue(now: number): boolean {
    const rollouts = [...(this.#network?.network.rollouts.values() ?? [])];
    const isDue =
      now - this.#judgedAt > JUDGE_MS &&
      rollouts.some(({ object: { status } }) => status.phase === 'canary' || status.phase === 'paused');
    if (isDue) this.#judgedAt = now;
    return isDue;
  }

  /** Whether it is not what it should be, or has to be read again. */
  #needsWork(node: ManagedNode, now: number): boolean {
    const goal = this.#goals.get(node.name);
    if (goal === undefined || !node.isHere || node.isBusy || now < node.notBefore) return false;
    if (this.#held.has(node.name)) return false;
    return node.settledAt !== goal.key || now > node.readAgainAt;
  }

  #wake(): void {
    this.#isDue = true;
    if (this.#turning !== undefined || this.#term === undefined) return;
    this.#turning = this.#turns().finally(() => {
      this.#turning = undefined;
    });
  }

  async #turns(): Promise<void> {
    while (this.#isDue && this.#term !== undefined) {
      this.#isDue = false;
      const begun = performance.now();
      try {
        await this.#turn();
        this.#well();
        const took = performance.now() - begun;
        await sleep(Math.min(Math.max(took, GAP_MS[0]), GAP_MS[1]));
      } catch (error) {
        // A store that does not answer, or a fault of ours: nodes stay as they are, and it is tried again.
        this.#faulty(error);
        await sleep(FAULT_MS);
        this.#isDue = true;
      }
    }
  }

  /** Tells of a fault once, for as long as it stays the same. */
  #faulty(error: unknown): void {
    const text = messageOf(error);
    if (text === this.#fault) return;
    this.#fault = text;
    const message = `${text}; tried again`;
    this.#options.onFault?.(message);
    if (this.#term !== undefined) this.#log({ ...ABOUT_SELF, type: 'Warning', reason: 'Fault', message });
  }

  #well(): void {
    this.#fault = undefined;
  }

  /** Of a record that is no object the reconciler goes by what it knew of it; where that is nothing, nodes stay as they are. */
  #tellDamaged({ kind, name, message: what }: DamagedObject): void {
    const { message, remedy } = diagnostic('object-damaged', { what });
    this.#options.onFault?.(`${message}; ${remedy}`);
    this.#log({
      object: { kind, name },
      type: 'Warning',
      reason: 'Damaged',
      message: `${message}; ${remedy}`,
    });
  }

  async #turn(): Promise<void> {
    if (this.#network?.revision !== this.#revision) {
      this.#network = { revision: this.#revision, network: networkOf(this.#records.values()) };
      this.#lookAfter(this.#network.network);
    }
    const network = this.#network?.network ?? networkOf(this.#records.values());
    const now = performance.now();
    const placings = await this.#place(network, now);
    const placed = placings.flatMap((p) => p.placed ?? []);
    this.#placed = placed;
    this.#setGoals(network, placed, now);
    await this.#recordPlacements(network, placings);
    await this.#advance(network, placed, now);
    this.#held = heldBack(network, placings, this.#objects.store.damaged);
    this.#begin(placed, now);
    this.#recordStatuses(network, placings);
  }

  async #place(network: Network, now: number): Promise<readonly Placing[]> {
    const gone = this.#gone(now, this.#options.moveMs);
    const key = JSON.stringify([this.#revision, [...gone].sort()]);
    if (this.#placings?.key !== key) {
      const usable = new Set([...this.#nodes.keys()].filter((name) => !gone.has(name)));
      this.#placings = { key, placings: await this.#placer.place(network, usable) };
    }
    return this.#placings.placings;
  }

  #setGoals(network: Network, placed: readonly PlacedService[], now: number): void {
    const gone = this.#gone(now, this.#options.graceMs);
    const goalsFor = JSON.stringify([
      ...[this.#specRevision, [...gone].sort()],
      placed.map((p) => [p.placement, p.wanted, [...p.deployed], p.workers]),
    ]);
    if (goalsFor === this.#goalsFor) return;
    const up = (name: string) => this.#nodes.has(name) && !gone.has(name);
    const goals = goalsOf(network, placed, this.#programs, up, this.#goalMemory);
    for (const [name, { key }] of goals) if (this.#goals.get(name)?.key !== key) this.#changedNodes.add(name);
    this.#goals = goals;
    this.#goalsFor = goalsFor;
  }

  /** Nodes that were there, and have been away for so long; of those that nobody has heard of yet nothing bad is thought. */
  #gone(now: number, patienceMs: number): ReadonlySet<string> {
    const gone = [...this.#away].filter(({ lostAt }) => lostAt === undefined || now - lostAt >= patienceMs);
    return new Set(gone.map(({ name }) => name));
  }

  /** A connection for each device and worker, and none for those that are gone. */
  #lookAfter(network: Network): void {
    for (const [name, node] of this.#nodes) {
      const spec = network.devices.get(name)?.spec ?? network.workers.get(name)?.spec;
      const isDialled = node.anewAt === undefined || node.anewAt > performance.now();
      if (spec !== undefined && isDialled && connectionOf(spec) === node.connection) continue;
      if (node.isBusy) {
        // Its job ends first; the next turn looks again.
        this.#network = undefined;
        continue;
      }
      node.close();
      this.#nodes.delete(name);
      this.#away.delete(node);
    }
    const options = {
      electionId: (BigInt(this.#term?.term ?? 0) << 64n) | 1n,
      compile: (program: DeviceProgram) => this.#compiled(program),
      ...(this.#options.timeoutMs !== undefined && { timeoutMs: this.#options.timeoutMs }),
      ...(this.#options.probeMs !== undefined && { probeMs: this.#options.probeMs }),
      readbackMs: () => Math.max(this.#options.readbackMs, (1000 * this.#nodes.size) / MOST_READBACKS),
      onReach: (node: ManagedNode) => this.#reached(node),
      onCounts: (node: ManagedNode, held: HeldDocument) => this.#observer.worker(node.name, held),
    };
    for (const device of network.devices.values()) this.#add('Device', device, options);
    for (const worker of network.workers.values()) this.#add('Worker', worker, options);
  }

  #add(kind: 'Device' | 'Worker', named: Named<'Device'> | Named<'Worker'>, options: NodeOptions): void {
    if (this.#nodes.has(named.name)) return;
    let node: ManagedNode;
    try {
      node = dial(named, options);
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      node = ManagedNode.undialled(kind, named, error, performance.now());
    }
    this.#nodes.set(named.name, node);
    this.#changedNodes.add(named.name);
    if (node.reach.kind === 'away') this.#away.add(node);
  }

  #reached(node: ManagedNode): void {
    const { reach } = node;
    this.#changedNodes.add(node.name);
    this.#away.delete(node);
    if (reach.kind === 'away') {
      node.lostAt = performance.now();
      this.#away.add(node);
    }
    if (reach.kind === 'here') this.#log(about(node, 'Normal', 'Reached', whatOf(node)));
    if (reach.kind === 'away') this.#log(about(node, 'Warning', 'Lost', reach.why));
    if (reach.kind === 'backup') this.#log(about(node, 'Warning', 'TakenOver', reach.why));
    this.#wake();
  }

  async #recordPlacements(network: Network, placings: readonly Placing[]): Promise<void> {
    for (const { service, placed } of placings) {
      const before = network.placements.get(service.name);
      if (placed === undefined || JSON.stringify(before?.spec) === JSON.stringify(placed.placement)) continue;
      const placeOf = (spec?: PlacedService['placement']) => JSON.stringify([spec?.model, spec?.segments]);
      const moved = placeOf(before?.spec) !== placeOf(placed.placement);
      const why = placed.placement.reason ?? '';
      const reason = before === undefined ? 'Placed' : 'Moved';
      const event = {
        type: 'Normal',
        reason,
        message: why,
        object: objectNamed('Service', service.name),
      } as const;
      await this.#recorder.placement(service.name, placed.placement, moved ? [event] : []);
    }
  }

  /** Rollouts go to their next phase once it is written down. */
  async #advance(network: Network, placed: readonly PlacedService[], now: number): Promise<void> {
    for (const service of network.services.values()) {
      const rollout = rolloutOf(network, service.name);
      if (rollout === undefined) continue;
      const own = placed.find((p) => p.service.name === service.name);
      const next = nextPhase(rollout, this.#sight(network, rollout, own, now));
      if (next === undefined) continue;
      const { phase, why, step } = next;
      const { status } = rollout.object;
      const previous = status.previous ?? committedVersion(network, service) ?? own?.wanted.current;
      const written = {
        ...{ ...status, phase, ...(previous !== undefined && { previous }) },
        ...(step !== undefined && { step }),
        ...(rollout.spec.canary.length > 0 && { percent: percentAt(rollout, next) }),
      };
      const bad = phase === 'failed' || phase === 'rolling back';
      const kept = await this.#recorder.now('Rollout', rollout.name, written, {
        type: bad ? 'Warning' : 'Normal',
        reason: phase.replace(/(^| )(\w)/g, (_, __, letter: string) => letter.toUpperCase()),
        message: why,
        object: objectNamed('Rollout', rollout.name),
      });
      if (!kept) continue;
      this.#records.set(`Rollout/${rollout.name}`, { ...rollout.object, status: written });
      this.#revision++;
      this.#isDue = true;
    }
  }

  #sight(
    network: Network,
    { name, spec, object }: Named<'Rollout'>,
    own: PlacedService | undefined,
    now: number,
  ): RolloutSight {
    const phase = object.status.phase ?? 'pending';
    const known = this.#phases.get(name);
    const at = `${phase} ${object.status.step ?? 0}`;
    const since = known?.phase === at ? known.since : now;
    if (known?.phase !== at) this.#phases.set(name, { phase: at, since });
    const nodes = own === undefined ? [] : this.#nodesOf(own);
    const here = nodes.filter((n) => n.isHere);
    const failed = here.find(
      (n) => n.failure !== undefined && n.failure.goal === this.#goals.get(n.name)?.key,
    );
    const settled =
      here.length > 0 &&
      nodes.every((n) => n.reach.kind !== 'unknown') &&
      here.every((n) => !n.isBusy && n.settledAt === this.#goals.get(n.name)?.key);
    return {
      settled,
      failure:
        failed?.failure && `${failed.name}: ${failed.failure.diagnostics.map((d) => d.message).join('; ')}`,
      worse: own && this.#worse({ name, spec, object }, own),
      sinceMs: now - since,
      mayBegin: spec.after.every((other) => network.rollouts.get(other)?.object.status.phase === 'complete'),
    };
  }

  /** Only a rollout that asks for it is judged: by its limits, or by having a canary. */
  #worse({ name, spec, object }: Pick<Named<'Rollout'>, 'name' | 'spec' | 'object'>, own: PlacedService) {
    const { previous, phase = 'pending' } = object.status;
    const isJudged = spec.abort !== undefined || spec.canary.length > 0;
    if (!isJudged || previous === undefined || !UNDER_WAY.has(phase)) return undefined;
    const devices = own.placement.segments.flatMap((s) => (s.kind === 'Device' ? [s.node] : []));
    return this.#observer.canaries.worse(name, own.modelId, [previous, spec.version], devices, spec.abort);
  }

  #nodesOf({ placement, workers }: PlacedService): readonly ManagedNode[] {
    const names = new Set([...placement.segments.map((s) => s.node), ...workers]);
    return [...names].flatMap((name) => this.#nodes.get(name) ?? []);
  }

  /** Jobs for nodes that are not what they should be; those that a service joins go together. */
  #begin(placed: readonly PlacedService[], now: number): void {
    const due = (node: ManagedNode): boolean => this.#needsWork(node, now);
    const begun = new Set<ManagedNode>();
    for (const { nodes, drainMs } of groupsOf(placed, (p) => this.#nodesOf(p))) {
      // Until all have been heard of, and while some are at work, none begins without the others.
      if (nodes.some((n) => n.isBusy || n.reach.kind === 'unknown')) {
        for (const node of nodes) begun.add(node);
        continue;
      }
      const own = nodes.filter(due);
      for (const node of nodes) begun.add(node);
      this.#job(own, drainMs);
    }
    for (const node of this.#nodes.values()) {
      if (this.#jobs.size >= MOST_JOBS) return;
      if (!begun.has(node) && due(node)) this.#job([node], 0);
    }
  }

  #job(nodes: readonly ManagedNode[], drainMs: number): void {
    const term = this.#term;
    if (nodes.length === 0 || term === undefined) return;
    const tasks: Task[] = nodes.map((node) => ({ node, goal: this.#goals.get(node.name)! }));
    const host: JobHost = {
      now: () => performance.now(),
      candidates: () => this.#programs.all(),
      compile: (programs) => this.#compile(programs),
      log: (event) => this.#log(event),
      logged: () => this.#logged(term),
      changed: () => {
        for (const { name } of nodes) this.#changedNodes.add(name);
        this.#wake();
      },
    };
    const job = bring(tasks, drainMs, host)
      .catch((error: unknown) => {
        if (error instanceof StoreFenced) return;
        // A fault of ours; the network is looked after all the same.
        const message = messageOf(error);
        for (const node of nodes) {
          node.notBefore = performance.now() + node.backoff.next();
          this.#log(about(node, 'Warning', 'Fault', message));
        }
      })
      .finally(() => this.#jobs.delete(job));
    this.#jobs.add(job);
  }

  /** @throws StoreFenced where another one leads */
  async #logged(term: Term): Promise<void> {
    if ((await this.#recorder.logged()) === 'fenced') throw new StoreFenced(term);
  }

  /** @throws DiagnosticError */
  async #compile(programs: readonly KnownProgram[]): Promise<void> {
    await Promise.all(programs.map((p) => this.#compiled(p.program)));
  }

  /** Many devices that want one program wait for the same compiler. */
  #compiled({ cookie, build }: DeviceProgram): Promise<Uint8Array> {
    const known = this.#builds.get(cookie);
    if (known !== undefined) return known;
    const made = this.#state.programs([{ cookie, build }]).then((found) => found.get(cookie)!);
    this.#builds.set(cookie, made);
    // One that failed is tried again by whoever asks next.
    made.catch(() => this.#builds.delete(cookie));
    return made;
  }

  #recordStatuses(network: Network, placings: readonly Placing[]): void {
    const goalKey = (name: string) => this.#goals.get(name)?.key;
    for (const name of this.#changedNodes) {
      const node = this.#nodes.get(name);
      if (node !== undefined) this.#recorder.node(network, node, goalKey(name));
    }
    this.#changedNodes.clear();
    for (const placing of placings) {
      const nodes = placing.placed === undefined ? [] : this.#nodesOf(placing.placed);
      const isSettled = nodes.filter((n) => n.isHere).every((n) => n.settledAt === goalKey(n.name));
      this.#recorder.service(placing, nodes, isSettled);
    }
    this.#recorder.flush();
  }

  #log(event: Omit<EventInput, 'actor'>): void {
    this.#recorder.event(event);
  }
}

/** Whether nothing else is new of an object than what is measured of it. */
function isOnlyMeasured(before: StoredObject, now: StoredObject): boolean {
  if (now.kind === 'Placement') return true;
  if (!isKind(before, 'Service') || !isKind(now, 'Service')) return false;
  return before.status.version === now.status.version && before.status.model === now.status.model;
}

/** Phases in which a rollout may be found worse. */
const UNDER_WAY: ReadonlySet<string> = new Set(['installing', 'canary', 'paused', 'flipping', 'draining']);

/** Share of jobs that name the version of a rollout, or all once it is current. */
function percentAt({ spec, object }: Named<'Rollout'>, { phase, step }: NextPhase): number {
  switch (phase) {
    case 'canary':
      return spec.canary[step ?? 0]?.percent ?? 0;
    case 'paused':
      return object.status.percent ?? 0;
    case 'installing':
      return object.status.percent ?? 0;
    case 'flipping':
    case 'draining':
    case 'removing':
    case 'complete':
      return 100;
    case 'pending':
    case 'rolling back':
    case 'rolled back':
    case 'failed':
      return 0;
  }
}

const ABOUT_SELF = { object: { kind: 'Controller', name: ACTOR } } as const;
const objectNamed = (kind: Kind, name: string) => ({ kind, name });

/** @throws DiagnosticError where files of TLS cannot be read */
const dial = (named: Named<'Device'> | Named<'Worker'>, options: NodeOptions): ManagedNode =>
  isWorker(named) ? ManagedNode.worker(named, options) : ManagedNode.device(named, options);

const isWorker = (named: Named<'Device'> | Named<'Worker'>): named is Named<'Worker'> =>
  'control' in named.spec;

const whatOf = ({ reach }: ManagedNode): string =>
  reach.kind === 'here' && reach.electionId !== undefined
    ? `primary by election id ${reach.electionId}`
    : 'answers';

/** Services that share nodes are brought on together. */
function groupsOf(
  placed: readonly PlacedService[],
  nodesOf: (service: PlacedService) => readonly ManagedNode[],
): readonly { readonly nodes: readonly ManagedNode[]; readonly drainMs: number }[] {
  let groups: { readonly nodes: readonly ManagedNode[]; readonly drainMs: number }[] = [];
  for (const service of placed) {
    const own = new Set(nodesOf(service));
    const touched = groups.filter((g) => g.nodes.some((n) => own.has(n)));
    for (const { nodes } of touched) for (const node of nodes) own.add(node);
    const drainMs = Math.max(service.wanted.drainMs, ...touched.map((g) => g.drainMs));
    groups = [...groups.filter((g) => !touched.includes(g)), { nodes: [...own], drainMs }];
  }
  return groups;
}
