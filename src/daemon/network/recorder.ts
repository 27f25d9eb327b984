import { setTimeout as sleep } from 'node:timers/promises';
import { versionsOn, weightsIn } from '../../controller/core/observed.ts';
import { CURRENT, heldModelIds, heldVersions, weightsDigest } from '../../controller/versions.ts';
import {
  type ConditionInput,
  type Kind,
  type StatusOf,
  type StoredObject,
  withCondition,
} from '../manifests/index.ts';
import type { Objects, StatusChange } from '../objects/index.ts';
import { type EventInput, StoreFenced, StoreTooLarge, StoreUnavailable, type Term } from '../store/index.ts';
import type { FlowPlan } from './flow-policies.ts';
import { flowPolicyState } from './flow-status.ts';
import type { Named, Network } from './network.ts';
import type { ManagedNode } from './node.ts';
import type { ObjectiveState } from './objectives.ts';
import type { Placing } from './placing.ts';
import type { Spread } from './spread.ts';
import type { PlacementSpec } from './topology.ts';

/** Statuses are gathered for so long, ms. */
const FLUSH_MS = 100;
/** How long it may wait that a node was only read again and found as it was, ms. */
const SEEN_MS = 5_000;
/** Events that wait for a store that does not answer; the oldest go. */
const MOST_WAITING = 10_000;
/**
 * So long others are waited for that are about to say what they will do, ms: a commit takes the time of a disk, whatever is in it. Where the
 * disk is slow, a multiple of that time, so that most of it is left for other work.
 */
const GATHER_MS = [10, 100] as const;
const GATHER_SHARE = 4;
/** How long a store that does not answer may keep a device from being changed, ms. */
const MOST_LOG_MS = 1_000;

/** Writes into the store what the reconciler finds and does, in few commits. What the store does not take now is kept. */
export class Recorder {
  readonly #objects: Objects;
  readonly #actor: string;
  readonly #changes = new Map<string, StatusChange>();
  /** What was recorded last, by object: the same is not written again. */
  readonly #last = new Map<string, { readonly text: string; readonly readAt: number }>();
  #events: EventInput[] = [];
  #term: Term | undefined;
  /** Whether the store has refused the term: another one leads. */
  #isFenced = false;
  /** Most objects, and most events, of a commit: less once a store has said that it is too much. */
  #most = 1000;
  #timer: NodeJS.Timeout | undefined;
  /** When what has gathered is written, by the steady clock. */
  #dueAt = Number.POSITIVE_INFINITY;
  /** Whether of what has gathered something is news. */
  #isNews = false;
  #writing: Promise<void> = Promise.resolve();
  /** What the last one took. */
  #commitMs = 0;
  /** The commit that is about to be made for those who wait until the log holds what they told. */
  #telling: Promise<void> | undefined;

  constructor(objects: Objects, actor: string) {
    this.#objects = objects;
    this.#actor = actor;
  }

  begin(term: Term): void {
    this.#term = term;
    this.#isFenced = false;
    this.#last.clear();
    this.#changes.clear();
  }

  async end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#dueAt = Number.POSITIVE_INFINITY;
    await this.#queue(() => this.#write());
    this.#term = undefined;
  }

  event(event: Omit<EventInput, 'actor'>): void {
    this.#events.push({ time: new Date().toISOString(), ...event, actor: this.#actor });
    if (this.#events.length > MOST_WAITING) this.#events.shift();
    this.flush();
  }

  /** Writes what has gathered, soon. */
  flush(): void {
    if (this.#changes.size === 0 && this.#events.length === 0) return;
    const delay = this.#isNews || this.#events.length > 0 ? FLUSH_MS : SEEN_MS;
    const due = performance.now() + delay;
    if (due >= this.#dueAt) return;
    this.#dueAt = due;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#dueAt = Number.POSITIVE_INFINITY;
      this.#isNews = false;
      void this.#queue(() => this.#write());
    }, delay);
  }

  /**
   * Waits until the log holds what was told so far, or for as long as a store may take that does not answer: whoever is about to
   * change a device says so before.
   * @returns whether somebody else leads by now
   */
  async logged(): Promise<'fenced' | 'told'> {
    const gatherMs = Math.min(Math.max(GATHER_SHARE * this.#commitMs, GATHER_MS[0]), GATHER_MS[1]);
    this.#telling ??= sleep(gatherMs).then(() => {
      this.#telling = undefined;
      return this.#queue(() => this.#write(false));
    });
    await Promise.race([this.#telling, sleep(MOST_LOG_MS, undefined, { ref: false })]);
    return this.#isFenced ? 'fenced' : 'told';
  }

  /** One write after the other, so that the log is in the order in which things were told. */
  #queue<T>(write: () => Promise<T>): Promise<T> {
    const done = this.#writing.then(write);
    this.#writing = done.then(
      () => {},
      () => {},
    );
    return done;
  }

  async #write(withChanges = true): Promise<void> {
    const fence = this.#term;
    while (fence !== undefined && !this.#isFenced) {
      const changes = withChanges ? [...this.#changes].slice(0, this.#most) : [];
      const events = this.#events.slice(0, this.#most);
      if (changes.length === 0 && events.length === 0) return;
      for (const [key] of changes) this.#changes.delete(key);
      this.#events = this.#events.slice(events.length);
      const putBack = () => {
        for (const [key, change] of changes) {
          const later = this.#changes.get(key);
          this.#changes.set(key, later === undefined ? change : inTurn(change, later));
        }
        this.#events = [...events, ...this.#events];
      };
      const begun = performance.now();
      try {
        if (changes.length === 0) await this.#objects.log(events, fence);
        else
          await this.#objects.setStatus(
            changes.map(([, change]) => change),
            { events, fence },
          );
        this.#commitMs = performance.now() - begun;
      } catch (error) {
        putBack();
        const count = Math.max(changes.length, events.length);
        if (error instanceof StoreTooLarge && count > 1) {
          this.#most = Math.ceil(count / 2);
        } else if (error instanceof StoreFenced) {
          // Whoever leads now finds the states himself, but what was done here stays told.
          this.#isFenced = true;
          await this.#logUnfenced();
        } else {
          // Such as a store that does not answer: it is kept, and written later.
          this.flush();
          return;
        }
      }
    }
  }

  async #logUnfenced(): Promise<void> {
    const events = this.#events;
    this.#events = [];
    try {
      await this.#objects.log(events);
    } catch {
      // A store that does not answer: they are kept, and written by the next term.
      this.#events = [...events, ...this.#events];
    }
  }

  /** Written before it is gone on by. @returns whether it was */
  async now<K extends Kind>(
    kind: K,
    name: string,
    status: StatusOf<K>,
    event: Omit<EventInput, 'actor'>,
  ): Promise<boolean> {
    return await this.#attempt((fence) =>
      this.#objects.setStatus([{ kind, name, change: () => status } as StatusChange], {
        events: [{ ...event, actor: this.#actor }],
        fence,
      }),
    );
  }

  /** Writes down placements that are others than those of the store, with the reason where layers have moved. */
  async placements(network: Network, placings: readonly Placing[]): Promise<void> {
    for (const { service, placed } of placings) {
      const before = network.placements.get(service.name)?.spec;
      if (placed === undefined || JSON.stringify(before) === JSON.stringify(placed.placement)) continue;
      const { placement } = placed;
      const placeOf = (spec?: PlacementSpec) =>
        JSON.stringify([spec?.model, spec?.segments.map(({ node, layers }) => [node, layers])]);
      const moved: EventInput = {
        ...{ actor: this.#actor, object: { kind: 'Service', name: service.name } },
        ...{ type: 'Normal', reason: before === undefined ? 'Placed' : 'Moved' },
        message: placement.reason ?? '',
      };
      const events = placeOf(before) === placeOf(placement) ? [] : [moved];
      await this.#attempt((fence) => this.#objects.setPlacement(service.name, placement, { events, fence }));
    }
  }

  async #attempt(write: (fence: Term) => Promise<void>): Promise<boolean> {
    const fence = this.#term;
    if (fence === undefined) return false;
    return await this.#queue(async () => {
      // What was done before stands before it in the log.
      await this.#write(false);
      if (this.#isFenced || this.#events.length > 0) return false;
      try {
        await write(fence);
        return true;
      } catch (error) {
        if (error instanceof StoreFenced || error instanceof StoreUnavailable) return false;
        throw error;
      }
    });
  }

  /** What is known of a device or worker. */
  node(network: Network, node: ManagedNode, goal: string | undefined): void {
    const object = (node.kind === 'Device' ? network.devices : network.workers).get(node.name);
    if (object === undefined) return;
    const state = node.stateAt(goal);
    const { reach } = node;
    const conditions = nodeConditions(node, state);
    const key = `${node.kind}/${node.name}`;
    const text = JSON.stringify([state, conditions, object.generation]);
    const last = this.#last.get(key);
    const { readAt } = node;
    if (last?.text === text && last.readAt === readAt) return;
    if (last?.text !== text) this.#isNews = true;
    this.#last.set(key, { text, readAt });
    const observedGeneration = object.generation;
    // Of what was not read yet it is not said that it holds nothing: whoever takes over goes by what was known.
    const models = node.readAt === 0 ? undefined : modelsOn(node);
    const electionId =
      reach.kind === 'here' && reach.electionId !== undefined ? `${reach.electionId}` : undefined;
    const seen = new Date().toISOString();
    this.#set({
      kind: node.kind,
      name: node.name,
      change: ({ status }: StoredObject<'Device' | 'Worker'>) => ({
        ...status,
        state,
        ...(models !== undefined && { models }),
        ...(electionId !== undefined && { electionId }),
        ...(reach.kind === 'here' && { lastSeen: seen }),
        conditions: withAll(status.conditions, conditions, observedGeneration, seen),
      }),
    } as StatusChange);
  }

  /** What is known of a service. @param spread how devices spread its jobs */
  service(placing: Placing, nodes: readonly ManagedNode[], isSettled: boolean, spread: Spread): void {
    const { service, placed, problem } = placing;
    const { shares } = spread;
    const ready = placed !== undefined && isSettled && problem === undefined;
    const failure = nodes.find((n) => n.failure !== undefined);
    const [reason, message] = ready
      ? ['InSync', 'every node that can be had is as it should be']
      : problem !== undefined
        ? ['Unplaceable', problem]
        : failure === undefined
          ? ['Progressing', 'nodes are being brought there']
          : [
              'NotReconciled',
              `${failure.name}: ${failure.failure?.diagnostics.map((d) => d.message).join('; ')}`,
            ];
    const version = isSettled ? placed?.wanted.current : undefined;
    const key = `Service/${service.name}`;
    const conditions: readonly Plain[] = [
      { type: 'Ready', status: ready ? 'True' : 'False', reason: reason!, message: message! },
      ...sharingConditions(placing, spread),
    ];
    if (!this.#isNew(key, [conditions, version, service.generation, shares])) return;
    const now = new Date().toISOString();
    this.#set({
      kind: 'Service',
      name: service.name,
      change: ({ status: { shares: _, ...status } }: StoredObject<'Service'>) => ({
        ...status,
        ...(shares.length > 0 && { shares: [...shares] }),
        ...(placed !== undefined && { model: placed.placement.model, placement: service.name }),
        ...(version !== undefined && { version }),
        conditions: withAll(status.conditions, conditions, service.generation, now).filter(
          ({ type }) => !SHARING.has(type) || conditions.some((c) => c.type === type),
        ),
      }),
    } as StatusChange);
  }

  /** What is known of a policy. @param whyNot as `flowPolicyState` takes it */
  flowPolicy(plan: FlowPlan, whyNot: (device: string) => string | undefined): void {
    const { policy, version } = plan;
    const { devices, condition } = flowPolicyState(plan, whyNot);
    const key = `FlowPolicy/${policy.name}`;
    if (!this.#isNew(key, [condition, version, devices, policy.generation])) return;
    const now = new Date().toISOString();
    this.#set({
      kind: 'FlowPolicy',
      name: policy.name,
      change: ({ status }: StoredObject<'FlowPolicy'>) => ({
        ...status,
        ...(version !== undefined && { version }),
        devices,
        conditions: withAll(status.conditions, [condition], policy.generation, now),
      }),
    } as StatusChange);
  }

  /** Whether something else is known of an object than what was recorded last; that is remembered. */
  #isNew(key: string, known: readonly unknown[]): boolean {
    const text = JSON.stringify(known);
    if (this.#last.get(key)?.text === text) return false;
    this.#isNews = true;
    this.#last.set(key, { text, readAt: 0 });
    return true;
  }

  /** Whether a service keeps to its objective. */
  objective({ name, generation }: Named<'Service'>, before: ObjectiveState, state: ObjectiveState): void {
    const now = new Date().toISOString();
    const condition = { type: 'ObjectiveMet', ...state };
    this.#set({
      kind: 'Service',
      name,
      change: ({ status }: StoredObject<'Service'>) => ({
        ...status,
        conditions: withAll(status.conditions, [condition], generation, now),
      }),
    } as StatusChange);
    this.flush();
    const isMissed = state.status === 'False';
    if (!isMissed && before.status !== 'False') return;
    const [type, reason] = isMissed
      ? (['Warning', 'ObjectiveMissed'] as const)
      : (['Normal', state.status === 'True' ? 'ObjectiveMet' : 'ObjectiveNotMeasured'] as const);
    this.event({ type, reason, message: state.message, object: { kind: 'Service', name } });
  }

  /** A part of a status that somebody else measures. */
  part(change: StatusChange): void {
    this.#set(change);
  }

  #set(change: StatusChange): void {
    const key = `${change.kind}/${change.name}`;
    const before = this.#changes.get(key);
    this.#changes.set(key, before === undefined ? change : inTurn(before, change));
  }
}

/** Two changes of one object. */
const inTurn = (first: StatusChange, second: StatusChange): StatusChange => ({
  ...second,
  change: (object) => {
    const status = first.change(object) ?? object.status;
    return second.change({ ...object, status }) ?? status;
  },
});

type Plain = Omit<ConditionInput, 'observedGeneration'>;

/** Conditions of services whose jobs are shared; others have none of them. */
const SHARING: ReadonlySet<string> = new Set(['Replicated', 'Balanced']);

function sharingConditions({ service, placed, ...placing }: Placing, spread: Spread): readonly Plain[] {
  const { replicas } = service.spec.policy;
  const shortage = 'shortage' in placing ? placing.shortage : undefined;
  const replicated: Plain =
    placing.problem !== undefined
      ? { type: 'Replicated', status: 'Unknown', reason: 'Unplaceable', message: placing.problem }
      : shortage !== undefined
        ? { type: 'Replicated', status: 'False', reason: 'TooFew', message: shortage }
        : {
            ...{ type: 'Replicated', status: 'True', reason: 'AsAsked' },
            message: `${replicas} devices compute each segment that is on devices`,
          };
  const balanced: Plain =
    spread.problem !== undefined
      ? { type: 'Balanced', status: 'False', reason: 'NoRoom', message: spread.problem }
      : {
          type: 'Balanced',
          status: 'True',
          reason: 'Spread',
          message: 'devices spread its jobs by the shares',
        };
  return [
    ...(replicas > 1 && placed !== undefined ? [replicated] : []),
    ...(spread.isAsked ? [balanced] : []),
  ];
}

function nodeConditions(node: ManagedNode, state: string): readonly Plain[] {
  const { reach, failure } = node;
  const reachable: Plain =
    reach.kind === 'here'
      ? {
          type: 'Reachable',
          status: 'True',
          reason: 'Answers',
          message: 'it answers, and is ours to write to',
        }
      : reach.kind === 'unknown'
        ? {
            type: 'Reachable',
            status: 'Unknown',
            reason: 'NotHeardOf',
            message: 'nothing was heard of it yet',
          }
        : reach.kind === 'backup'
          ? { type: 'Reachable', status: 'True', reason: 'TakenOver', message: reach.why }
          : { type: 'Reachable', status: 'False', reason: 'Lost', message: reach.why };
  const why = failure?.diagnostics.map((d) => d.message).join('; ');
  const ready: Plain =
    state === 'in sync'
      ? {
          type: 'Ready',
          status: 'True',
          reason: 'InSync',
          message: 'it holds what it should, read back and equal',
        }
      : why !== undefined
        ? { type: 'Ready', status: 'False', reason: 'NotReconciled', message: `${why}; it keeps what it had` }
        : { type: 'Ready', status: 'False', reason: 'Behind', message: `it is ${state}` };
  return [reachable, ready];
}

const withAll = (
  conditions: StatusOf<'Device'>['conditions'],
  found: readonly Plain[],
  observedGeneration: number,
  now: string,
): StatusOf<'Device'>['conditions'] =>
  found.reduce<StatusOf<'Device'>['conditions']>(
    (all, condition) => [...withCondition(all, { ...condition, observedGeneration }, now)],
    conditions,
  );

function modelsOn({ observed }: ManagedNode): NonNullable<StatusOf<'Device'>['models']> {
  if (observed.on === 'worker')
    return [...observed.models].map(([modelId, { current, versions }]) => ({
      modelId,
      ...(current !== undefined && { current }),
      versions: [...versions].map(([version, digest]) => ({ version, digest, layers: '..' })),
    }));
  return heldModelIds(observed.entities).map((modelId) => {
    const held = heldVersions(observed.entities, modelId);
    const current = held.get(CURRENT)?.version;
    const versions = versionsOn(observed, modelId).map((version) => {
      const { slot, from, to } = held.get(version)!;
      return { version, digest: weightsDigest(weightsIn(observed, slot)), layers: `${from}..${to}` };
    });
    return { modelId, ...(current !== undefined && { current }), versions };
  });
}
