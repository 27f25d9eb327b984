import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { StateFolder } from '../../controller/state.ts';
import { diagnostic } from '../../diagnostics/index.ts';
import { messageOf } from '../../durable/index.ts';
import type { Route } from '../api/routes.ts';
import type { RolloutPhase } from '../manifests/index.ts';
import { type DamagedObject, type Objects, UnusedFiles } from '../objects/index.ts';
import { reportRoutes } from '../sight/reports.ts';
import { type EventInput, StoreFenced, type Term } from '../store/index.ts';
import { Aims } from './aims.ts';
import { ProgramBuilds } from './builds.ts';
import { type FlowPlan, FlowPolicies } from './flow-policies.ts';
import { whyBehind } from './flow-status.ts';
import type { PlacedService } from './goals.ts';
import { groupsOf } from './groups.ts';
import { classifiesStill, heldBack, isPolicyLost } from './held-back.ts';
import { about } from './job.ts';
import { Jobs } from './jobs.ts';
import { electionIdOf, Leadership } from './leadership.ts';
import { ModelLibrary, ProgramLibrary } from './models.ts';
import { type Network, networkOf } from './network.ts';
import type { ManagedNode } from './node.ts';
import { NodePool } from './node-pool.ts';
import { LateModels } from './objectives.ts';
import { Observer } from './observer.ts';
import { Placer, type Placing } from './placing.ts';
import { Recorder } from './recorder.ts';
import { Records } from './records.ts';
import { Rollouts } from './rollouts.ts';
import { trafficMetrics } from './traffic-metrics.ts';

/** Of the loop that makes the network what the objects say. */
export interface ReconcilerOptions {
  /** Where compiled programs are kept. */
  readonly folder: string;
  /** How long a leader that has gone silent stays one, ms; default 1,200, and a minute where no other process could lead. */
  readonly ttlMs?: number;
  /** How often a node that is in sync is read again, ms; default 60,000, and as long as it takes to read 15 a second. */
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
const MOST_READBACKS = 15;
/** Jobs at once, of nodes that stand alone: each holds a program and what was read. */
const MOST_JOBS = 100;
/** How often it is looked for files that no version names, ms. */
const FILES_MS = 600_000;
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
  readonly #records: Records;
  readonly #nodes = new NodePool();
  readonly #programs = new ProgramLibrary();
  readonly #aims: Aims;
  readonly #builds: ProgramBuilds;
  readonly #rollouts: Rollouts;
  readonly #recorder: Recorder;
  readonly #observer: Observer;
  readonly #leadership: Leadership;
  readonly #jobs: Jobs;
  #network: { readonly revision: number; readonly network: Network } | undefined;
  /** Services as they were placed last. */
  #placed: readonly PlacedService[] = [];
  #judgedAt = 0;
  readonly #unusedFiles: UnusedFiles;
  #filesAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #turning: Promise<void> | undefined;
  #isDue = false;
  /** Nodes that stay as they are. */
  #held: ReadonlySet<string> = new Set();
  #isPolicyLost = false;
  /** What kept the last turn from its end. */
  #fault: string | undefined;
  #term: Term | undefined;
  readonly #unlisten: () => void;

  constructor(objects: Objects, options: ReconcilerOptions) {
    this.#objects = objects;
    this.#options = { ...DEFAULTS, ...options };
    this.#records = new Records(objects, {
      onNode: (name) => this.#nodes.change(name),
      onChange: () => this.#wake(),
      onLost: () => void this.#watchAgain(),
    });
    this.#unusedFiles = new UnusedFiles(objects);
    this.#builds = new ProgramBuilds(new StateFolder(options.folder, 'programs'));
    this.#recorder = new Recorder(objects, ACTOR);
    this.#observer = new Observer(
      () => this.#nodes.values(),
      () => this.#placed,
      new LateModels(options.lateHoldMs),
    );
    this.#rollouts = new Rollouts({
      ...{ recorder: this.#recorder, observer: this.#observer },
      nodesOf: (service) => this.#nodesOf(service),
      goalKey: (name) => this.#aims.key(name),
      advanced: (rollout) => {
        this.#records.put(rollout);
        this.#isDue = true;
      },
    });
    const library = new ModelLibrary(objects.store.blobs);
    this.#aims = new Aims({
      ...{ records: this.#records, nodes: this.#nodes, programs: this.#programs },
      ...{ graceMs: this.#options.graceMs, moveMs: this.#options.moveMs },
      partOf: (worker) => this.#observer.shares.part(worker),
      flowPolicies: new FlowPolicies(library, this.#programs),
      placer: new Placer(library, (service, model) =>
        this.#observer.late.why(service, model, performance.now()),
      ),
    });
    this.#jobs = new Jobs({
      ...{ aims: this.#aims, programs: this.#programs, builds: this.#builds },
      log: (event) => this.#log(event),
      logged: (term) => this.#logged(term),
      isLeft: (node) => this.#isLeft(node),
      changed: (nodes) => {
        for (const { name } of nodes) this.#nodes.change(name);
        this.#wake();
      },
    });
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
  readonly shareOf = (worker: string): number => (this.isLeading ? this.#observer.shares.factor(worker) : 1);

  /** What Prometheus reads of the traffic; nothing where another one leads. */
  metrics(): string {
    if (!this.isLeading) return '';
    const { sight, flows } = this.#observer;
    const counted = { sight: flows, plans: this.#aims.flows };
    return trafficMetrics(sight, [...this.#nodes.values()], this.#placed, counted);
  }

  async close(): Promise<void> {
    this.#observer.close();
    await this.#leadership.close();
    this.#unlisten();
  }

  async #lead(term: Term): Promise<void> {
    await this.#records.watch();
    this.#term = term;
    this.#recorder.begin(term);
    this.#log({ ...ABOUT_SELF, type: 'Normal', reason: 'Leading', message: `term ${term.term}` });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#wake();
  }

  async #standBy(): Promise<void> {
    this.#term = undefined;
    this.#records.end();
    clearInterval(this.#timer);
    await this.#turning;
    await this.#jobs.ended();
    this.#nodes.clear();
    this.#observer.forget();
    this.#placed = [];
    this.#aims.forget();
    this.#network = undefined;
    await this.#recorder.end();
  }

  async #watchAgain(): Promise<void> {
    while (this.#term !== undefined) {
      try {
        await this.#records.watch();
        this.#wake();
        return;
      } catch (error) {
        this.#faulty(error);
        await sleep(FAULT_MS);
      }
    }
  }

  #lookForFiles(now: number): void {
    this.#filesAt = now;
    // A store that does not answer is told of by whoever waits for it; files can wait.
    this.#unusedFiles
      .look()
      .catch((error: unknown) => this.#options.onFault?.(`files of no version stay: ${messageOf(error)}`));
  }

  /** Looks for what has become due by time alone. */
  #tick(): void {
    const now = performance.now();
    if (now - this.#filesAt > FILES_MS) this.#lookForFiles(now);
    const isDue = [...this.#nodes.values()].some((node) => this.#needsWork(node, now));
    const drains = [...(this.#network?.network.rollouts.values() ?? [])].some(({ object: { status } }) =>
      waitsForPackets(status.phase),
    );
    const anew = [...this.#nodes.away].some((node) => node.anewAt !== undefined && node.anewAt < now);
    if (anew) this.#network = undefined;
    if (isDue || drains || anew || this.#isJudgementDue(now)) this.#wake();
    const network = this.#network?.network;
    if (network === undefined) return;
    this.#observer.write(network, this.#placed, this.#aims.flows, this.#recorder, now);
    if (!this.#observer.judge(this.#placed, this.#recorder, now)) return;
    this.#records.touch();
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
    const goal = this.#aims.goal(node.name);
    if (goal === undefined || !node.isHere || node.isBusy || now < node.notBefore) return false;
    if (this.#isLeft(node)) return false;
    return node.settledAt !== goal.key || now > node.readAgainAt;
  }

  #wake(): void {
    this.#isDue = true;
    if (this.#turning !== undefined || this.#term === undefined) return;
    this.#turning = this.#turns().finally(() => {
      this.#turning = undefined;
    });
  }

  /** To the millisecond: what passes until then is time in which traffic goes where nobody answers. */
  #wakeAt(time: number): void {
    const left = time - performance.now();
    if (left <= 0) this.#wake();
    // Timers count from the beginning of their event loop's round, and may be early.
    else setTimeout(() => this.#wakeAt(time), Math.ceil(left)).unref();
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
    const network = this.#lookAfter();
    const now = performance.now();
    const { placings, flows } = await this.#aims.place(network, now);
    const placed = placings.flatMap((p) => p.placed ?? []);
    this.#placed = placed;
    this.#aims.set(network, placed, now);
    await this.#recorder.placements(network, placings);
    await this.#rollouts.advance(network, placed, now);
    const { damaged } = this.#objects.store;
    this.#held = heldBack(network, placings, damaged);
    this.#isPolicyLost = isPolicyLost(network, damaged);
    this.#begin(placed, now);
    this.#recordStatuses(network, placings, flows);
  }

  /** Whether a node is left as it is; of a device that may classify flows that is known when it was read. */
  #isLeft({ name, observed }: ManagedNode): boolean {
    return this.#held.has(name) || classifiesStill(name, observed, this.#aims.flows, this.#isPolicyLost);
  }

  /** The network as the records have it, with its nodes looked after. */
  #lookAfter(): Network {
    if (this.#network?.revision === this.#records.revision) return this.#network.network;
    const network = networkOf(this.#records.values());
    const isDone = this.#nodes.lookAfter(network, {
      electionId: electionIdOf(this.#term?.term ?? 0),
      compile: (program) => this.#builds.of(program),
      ...(this.#options.timeoutMs !== undefined && { timeoutMs: this.#options.timeoutMs }),
      ...(this.#options.probeMs !== undefined && { probeMs: this.#options.probeMs }),
      readbackMs: () => Math.max(this.#options.readbackMs, (1000 * this.#nodes.size) / MOST_READBACKS),
      onReach: (node) => this.#reached(node),
      onCounts: (node, held) => {
        // Where devices spread jobs they are to know of another share.
        if (this.#observer.worker(node.name, held)) this.#wake();
      },
    });
    this.#network = isDone ? { revision: this.#records.revision, network } : undefined;
    return network;
  }

  #reached(node: ManagedNode): void {
    const { reach } = node;
    this.#nodes.reached(node);
    if (reach.kind === 'here') this.#log(about(node, 'Normal', 'Reached', whatOf(node)));
    if (reach.kind === 'away') {
      this.#log(about(node, 'Warning', 'Lost', reach.why));
      const { graceMs, moveMs } = this.#options;
      for (const patienceMs of [graceMs, moveMs]) this.#wakeAt(performance.now() + patienceMs);
    }
    if (reach.kind === 'backup') this.#log(about(node, 'Warning', 'TakenOver', reach.why));
    this.#wake();
  }

  #nodesOf({ placement, workers }: PlacedService): readonly ManagedNode[] {
    const names = new Set([...placement.segments.map((s) => s.node), ...workers]);
    return [...names].flatMap((name) => this.#nodes.get(name) ?? []);
  }

  /** Jobs for nodes that are not what they should be; those that a service joins go together. */
  #begin(placed: readonly PlacedService[], now: number): void {
    const term = this.#term;
    if (term === undefined) return;
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
      this.#jobs.begin(own, drainMs, term);
    }
    for (const node of this.#nodes.values()) {
      if (this.#jobs.size >= MOST_JOBS) return;
      if (!begun.has(node) && due(node)) this.#jobs.begin([node], 0, term);
    }
  }

  /** @throws StoreFenced where another one leads */
  async #logged(term: Term): Promise<void> {
    if ((await this.#recorder.logged()) === 'fenced') throw new StoreFenced(term);
  }

  #recordStatuses(network: Network, placings: readonly Placing[], flows: readonly FlowPlan[]): void {
    for (const node of this.#nodes.takeChanged())
      this.#recorder.node(network, node, this.#aims.key(node.name));
    for (const placing of placings) {
      const nodes = placing.placed === undefined ? [] : this.#nodesOf(placing.placed);
      const isSettled = this.#isSettled(nodes);
      this.#recorder.service(placing, nodes, isSettled, this.#aims.spread(placing.service.name));
    }
    for (const plan of flows)
      this.#recorder.flowPolicy(plan, (name) => whyBehind(this.#nodes.get(name), this.#aims.key(name)));
    this.#recorder.flush();
  }

  /** Whether all that can be had of a service's nodes are where they are to be. Of one that was not dialled yet nobody knows. */
  #isSettled(nodes: readonly ManagedNode[]): boolean {
    const awaited = nodes.filter((n) => n.isHere || n.reach.kind === 'unknown');
    if (awaited.length === 0 && nodes.length > 0) return false;
    return awaited.every((n) => n.settledAt === this.#aims.key(n.name));
  }

  #log(event: Omit<EventInput, 'actor'>): void {
    this.#recorder.event(event);
  }
}

/** Packets of a version that goes may be under way: the phase ends by time. */
const waitsForPackets = (phase: RolloutPhase | undefined): boolean =>
  phase === 'draining' || phase === 'rolling back';

const whatOf = ({ reach }: ManagedNode): string =>
  reach.kind === 'here' && reach.electionId !== undefined
    ? `primary by election id ${reach.electionId}`
    : 'answers';

const ABOUT_SELF = { object: { kind: 'Controller', name: ACTOR } } as const;
