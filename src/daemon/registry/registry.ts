import { type Aggregation, DampedScores, encodeScore, type Metric } from '../cats/index.ts';
import {
  API_VERSION,
  type ConditionInput,
  fault,
  isKind,
  keyOf,
  Refused,
  type SpecOf,
  type StatusOf,
  type StoredObject,
  withCondition,
} from '../manifests/index.ts';
import type { Objects, StatusChange } from '../objects/index.ts';
import { type EventInput, StoreUnavailable } from '../store/index.ts';
import { Gathering } from './gathering.ts';
import { REGISTERED_LABEL, type Registered, type Registration } from './schema.ts';

/** Of the part of the daemon that nodes announce themselves to. */
export interface RegistryOptions {
  /** PEM files of this machine with which doors of TLS at nodes are dialled. */
  readonly nodeTls?: { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined;
  readonly aggregation?: Aggregation;
  /** Whether this controller leads: it alone says who is lost. */
  readonly isLeading: () => boolean;
  /** How long a node that was lost stays an object, ms; default 60,000. */
  readonly goneMs?: number;
  /** How often leases are looked at, ms; default 1,000. */
  readonly sweepMs?: number;
}

/** Who announces a node. */
export interface Announcer {
  readonly actor: string;
  /** On this machine: then sockets may be named. */
  readonly isLocal: boolean;
}

type Node = StoredObject<'Device' | 'Worker'>;

const ACTOR = 'registry';
const GONE_MS = 60_000;
const SWEEP_MS = 1000;
/** Objects are read again after so long even where the number of leases is the same, ms. */
const LOOK_MS = 5000;

/**
 * Nodes that announce themselves: each has a lease, and is an object for as long as it prolongs it, and a time beyond. What an operator has
 * written of a node stays as it is written; only its status tells of the announcement.
 */
export class Registry {
  readonly #objects: Objects;
  readonly #options: RegistryOptions;
  /** What was announced last, by object: the same is not written again. */
  readonly #known = new Map<string, { readonly text: string; readonly scores: DampedScores; term: number }>();
  readonly #timer: NodeJS.Timeout;
  readonly #applying = new Gathering<{ readonly documents: readonly object[]; readonly actor: string }>(
    async (items) => {
      for (const actor of new Set(items.map((i) => i.actor))) {
        const own = items.filter((i) => i.actor === actor);
        await this.#objects.apply(
          own.flatMap((i) => i.documents),
          { actor },
        );
      }
    },
  );
  readonly #telling = new Gathering<{
    readonly change: StatusChange;
    readonly events: readonly EventInput[];
  }>((items) =>
    this.#objects.setStatus(
      items.map((i) => i.change),
      { events: items.flatMap((i) => i.events) },
    ),
  );
  /** When this controller began to lead: leases of before are given time to be prolonged. */
  #leadingSince: number | undefined;
  #sweeping: Promise<void> | undefined;
  #heldBefore = -1;
  /** Whether no object was announced when all were looked at last: then leases alone tell of one that is. */
  #isNone = false;
  #lookAgain = 0;

  constructor(objects: Objects, options: RegistryOptions) {
    this.#objects = objects;
    this.#options = options;
    this.#timer = setInterval(() => {
      this.#sweeping ??= this.sweep().finally(() => {
        this.#sweeping = undefined;
      });
    }, options.sweepMs ?? SWEEP_MS);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sweeping;
  }

  /**
   * Takes an announcement, the first or a heartbeat.
   * @throws Refused where the name is somebody else's, or what it names is not to be believed of it
   */
  async register(given: Registration, by: Announcer): Promise<Registered> {
    const key = `${given.kind}/${given.name}`;
    this.#refuseForeign(given, by);
    const term = await this.#lease(key, given);
    const { instance: _, metrics, capability, ...announced } = given;
    const text = JSON.stringify([announced, given.instance, { ...capability, load: 0 }, by.actor]);
    const known = this.#known.get(key);
    const scores = known?.scores ?? new DampedScores(this.#options.aggregation ?? 'worst-of');
    const moved = scores.update(metrics);
    let action: Registered['action'] = 'renewed';
    if (known?.text !== text || known.term !== term) action = await this.#write(given, by, key);
    if (action !== 'renewed' || moved !== undefined) await this.#tell(given, by, scores.scores());
    this.#known.set(key, { text, scores, term });
    const { name, kind, leaseMs } = given;
    return { name, kind, action, leaseMs, heartbeatMs: Math.floor(leaseMs / 3), scores: scores.scores() };
  }

  /** Ends an announcement at once: what it made goes. @throws Refused where another instance has the name */
  async leave(kind: Node['kind'], name: string, instance: string): Promise<void> {
    const lease = leaseOf(`${kind}/${name}`);
    const held = await this.#objects.store.leases.holder(lease);
    if (held !== undefined && held.holder !== instance) refuseTaken(`${kind}/${name}`);
    if (held !== undefined) await this.#objects.store.leases.release({ lease, term: held.term });
    this.#known.delete(`${kind}/${name}`);
    const node = await this.#node(kind, name);
    if (node === undefined) return;
    if (node.status.registration?.instance === instance)
      await this.#remove(node, 'Left', 'it said that it leaves');
  }

  /** Says of nodes whose leases have ended that they are lost, and removes those that have been for long. */
  async sweep(): Promise<void> {
    if (!this.#options.isLeading()) {
      this.#leadingSince = undefined;
      return;
    }
    const now = Date.now();
    this.#leadingSince ??= now;
    try {
      const held = await this.#objects.store.leases.held(NODES);
      if (held.size === this.#heldBefore && (this.#isNone || now < this.#lookAgain)) return;
      this.#heldBefore = held.size;
      this.#lookAgain = now + Math.min(LOOK_MS, this.#options.goneMs ?? LOOK_MS);
      const nodes = await this.#registered();
      this.#isNone = nodes.length === 0 && held.size === 0;
      const there = new Set(nodes.map(keyOf));
      // Of what an operator has deleted: its next heartbeat makes it anew.
      for (const key of this.#known.keys()) if (!there.has(key)) this.#known.delete(key);
      for (const node of nodes) if (!held.has(leaseOf(keyOf(node)))) await this.#look(node, now);
    } catch (error) {
      if (!(error instanceof StoreUnavailable) && !(error instanceof Refused)) throw error;
    }
  }

  async #look(node: Node, now: number): Promise<void> {
    const { registration } = node.status;
    // A controller that began a moment ago has not been asked yet.
    if (registration === undefined || now - this.#leadingSince! < registration.leaseMs) return;
    if (registration.lostAt === undefined) return this.#lost(node, now);
    const goneMs = this.#options.goneMs ?? GONE_MS;
    if (now - Date.parse(registration.lostAt) < goneMs || !isOwn(node)) return;
    await this.#remove(node, 'Gone', `it was not heard of for ${Math.round(goneMs / 1000)} s`);
  }

  async #lost(node: Node, now: number): Promise<void> {
    this.#known.delete(keyOf(node));
    const time = new Date(now).toISOString();
    const message = 'its lease has ended: it was not heard of any more';
    await this.#setStatus(
      node,
      (status) => ({
        ...status,
        ...(status.registration && { registration: { ...status.registration, lostAt: time } }),
        conditions: withOne(
          status,
          { type: 'Registered', status: 'False', reason: 'LeaseLost', message },
          node,
          time,
        ),
      }),
      [eventOf(node, 'Warning', 'LeaseLost', message)],
    );
  }

  /** With the links that came with it. What others refer to stays, and says so. */
  async #remove(node: Node, reason: string, message: string): Promise<void> {
    const { name } = node.metadata;
    this.#known.delete(keyOf(node));
    const { objects } = await this.#objects.list();
    const links = objects.filter(
      (o): o is StoredObject<'Link'> =>
        isKind(o, 'Link') && isOwn(o) && (o.spec.from.node === name || o.spec.to.node === name),
    );
    const names = [...links, ...(isOwn(node) ? [node] : [])].map((o) => ({
      kind: o.kind,
      name: o.metadata.name,
    }));
    try {
      if (names.length > 0) await this.#objects.delete(names, { actor: ACTOR });
      await this.#objects.log([eventOf(node, 'Normal', reason, message)]);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const kept = {
        type: 'Registered',
        status: 'False',
        reason,
        message: `${message}; kept: ${error.message}`,
      } as const;
      const now = new Date().toISOString();
      await this.#setStatus(
        node,
        (status) => ({ ...status, conditions: withOne(status, kept, node, now) }),
        [],
      );
    }
  }

  /** @returns the term of its lease. @throws Refused where another instance has it */
  async #lease(key: string, { instance, leaseMs }: Registration): Promise<number> {
    const { leases } = this.#objects.store;
    const lease = leaseOf(key);
    const held = await leases.holder(lease);
    if (held?.holder === instance && (await leases.renew({ lease, term: held.term }))) return held.term;
    const begun =
      held === undefined || held.holder === instance
        ? await leases.acquire(lease, instance, leaseMs, true)
        : undefined;
    return begun?.term ?? refuseTaken(key);
  }

  /** The object and its links, as far as they are not as announced. */
  async #write(given: Registration, by: Announcer, key: string): Promise<Registered['action']> {
    const before = await this.#node(given.kind, given.name);
    const owner = before?.status.registration?.actor;
    if (owner !== undefined && owner !== by.actor)
      throw new Refused('Conflict', [
        fault('registration', {
          node: key,
          reason: `it was announced by ${owner}`,
          remedy: 'announce it under another name, or delete that object',
        }),
      ]);
    if (before !== undefined && !isOwn(before)) return 'configured';
    const labels = { ...given.labels, [REGISTERED_LABEL]: 'true' };
    const documents = [
      {
        apiVersion: API_VERSION,
        kind: given.kind,
        metadata: { name: given.name, labels },
        spec: this.#spec(given),
      },
      ...given.links.map((link) => linkOf(given.name, link)),
    ];
    await this.#applying.add({ documents, actor: by.actor });
    return before === undefined ? 'created' : 'configured';
  }

  #spec({ kind, spec }: Registration): object {
    const { tls: isTls, serverName, ...rest } = spec;
    if (!isTls) return rest;
    const { nodeTls } = this.#options;
    if (nodeTls === undefined)
      throw new Refused('Invalid', [
        fault('registration', {
          node: kind,
          reason: 'its door asks for TLS, and this controller has no certificate for doors of nodes',
          remedy: 'start the controller with --node-tls-ca, --node-tls-cert and --node-tls-key',
        }),
      ]);
    return { ...rest, tls: { ...nodeTls, ...(serverName !== undefined && { serverName }) } };
  }

  async #tell(given: Registration, by: Announcer, scores: readonly Metric[]): Promise<void> {
    const node = await this.#node(given.kind, given.name);
    if (node === undefined) return;
    const now = new Date().toISOString();
    const { instance, leaseMs, capability, metrics } = given;
    const told = [...metrics, ...scores.map((s) => ({ ...s, wire: encodeScore(s) }))];
    const before = node.status.registration;
    const isSame = before?.instance === instance && before.lostAt === undefined;
    const registration = { actor: by.actor, instance, leaseMs, since: isSame ? before.since : now };
    const condition = {
      type: 'Registered',
      status: 'True',
      reason: 'LeaseHeld',
      message: `announced by ${by.actor}`,
    } as const;
    const event = eventOf(node, 'Normal', 'Registered', `${condition.message}, instance ${instance}`);
    await this.#setStatus(
      node,
      (status) => ({
        ...status,
        registration,
        capability,
        load: loadOf(status, capability, metrics),
        metrics: told,
        conditions: withOne(status, condition, node, now),
      }),
      isSame ? [] : [event],
    );
  }

  async #setStatus(
    node: Node,
    change: (status: StatusOf<'Device'>) => StatusOf<'Device'>,
    events: readonly EventInput[],
  ): Promise<void> {
    const { kind, metadata } = node;
    const one = { kind, name: metadata.name, change: ({ status }: Node) => change(status) };
    await this.#telling.add({ change: one as unknown as StatusChange, events });
  }

  async #node(kind: Node['kind'], name: string): Promise<Node | undefined> {
    return this.#objects.get(kind, name);
  }

  async #registered(): Promise<readonly Node[]> {
    const { objects } = await this.#objects.list();
    return objects.filter(
      (o): o is Node => (isKind(o, 'Device') || isKind(o, 'Worker')) && o.status.registration !== undefined,
    );
  }

  /** Sockets are of this machine: a node elsewhere must not have the controller dial them. */
  #refuseForeign({ kind, name, spec }: Registration, { isLocal }: Announcer): void {
    const dialled = 'control' in spec ? spec.control : spec.address;
    if (isLocal || !dialled.startsWith('unix:')) return;
    throw new Refused('Invalid', [
      fault('registration', {
        node: `${kind}/${name}`,
        reason: `${dialled} is a socket, and it announces itself from another machine`,
        remedy: 'name HOST:PORT, at which the controller reaches it',
      }),
    ]);
  }
}

/** Names of leases of nodes begin so. */
const NODES = 'node/';
const leaseOf = (key: string): string => `${NODES}${key}`;

/** Whether an announcement made this object, rather than an operator. */
export const isOwn = ({ metadata }: StoredObject): boolean => metadata.labels?.[REGISTERED_LABEL] === 'true';

const refuseTaken = (key: string): never => {
  throw new Refused('Conflict', [
    fault('registration', {
      node: key,
      reason: 'another instance has this name, and its lease has not ended',
      remedy: 'announce it under another name, or wait until that one is gone',
    }),
  ]);
};

function linkOf(name: string, link: Registration['links'][number]): object {
  const { node, port, latencyUs, mac, peerMac } = link;
  const spec: Partial<SpecOf<'Link'>> = {
    from: { node, port, ...(peerMac && { mac: peerMac }) },
    to: { node: name, ...(mac && { mac }) },
    latencyUs,
  };
  return {
    apiVersion: API_VERSION,
    kind: 'Link',
    metadata: {
      name: `${node}-${port}-${name}`.slice(0, 63).replace(/[-.]+$/, ''),
      labels: { [REGISTERED_LABEL]: 'true' },
    },
    spec,
  };
}

const withOne = (
  { conditions }: StatusOf<'Device'>,
  condition: Omit<ConditionInput, 'observedGeneration'>,
  node: Node,
  now: string,
) => [...withCondition(conditions, { ...condition, observedGeneration: node.metadata.generation }, now)];

const eventOf = (
  { kind, metadata: { name } }: Node,
  type: EventInput['type'],
  reason: string,
  message: string,
): EventInput => ({ actor: ACTOR, type, reason, message, object: { kind, name } });

function loadOf(
  { load }: StatusOf<'Device'>,
  { load: utilisation, couldHold }: Registration['capability'],
  metrics: readonly Metric[],
): NonNullable<StatusOf<'Device'>['load']> {
  const rate = metrics.find((m) => m.metric_type === 'service_rate')?.value;
  return {
    ...load,
    utilisation,
    ...(rate !== undefined && { computedPerSecond: rate }),
    ...(couldHold.slots !== undefined && { slotsFree: couldHold.slots }),
    memoryFreeBytes: couldHold.memoryBytes,
  };
}
