import { entityKey } from './entity-key.ts';
import type { Init } from './proto/messages.ts';
import { v1Codec } from './proto/registry.ts';
import { canonical } from './values.ts';

type Entity = Init<'Entity'>;

const entityCodec = v1Codec('Entity');

const byId = <T>(items: readonly T[] | undefined, id: (item: T) => number): readonly T[] =>
  [...(items ?? [])].sort((a, b) => id(a) - id(b));

function action(a: Init<'Action'> | undefined): Init<'Action'> | undefined {
  if (a === undefined) return undefined;
  const params = byId(a.params, (p) => p.paramId ?? 0);
  return { ...a, params: params.map((p) => ({ ...p, value: canonical(p.value ?? new Uint8Array(0)) })) };
}

function match(m: Init<'FieldMatch'>): Init<'FieldMatch'> {
  const short = (bytes: Uint8Array | undefined) => canonical(bytes ?? new Uint8Array(0));
  if (m.exact) return { fieldId: m.fieldId, exact: { value: short(m.exact.value) } };
  if (m.optional) return { fieldId: m.fieldId, optional: { value: short(m.optional.value) } };
  if (m.lpm) return { fieldId: m.fieldId, lpm: { ...m.lpm, value: short(m.lpm.value) } };
  if (m.ternary)
    return { fieldId: m.fieldId, ternary: { value: short(m.ternary.value), mask: short(m.ternary.mask) } };
  if (m.range) return { fieldId: m.fieldId, range: { low: short(m.range.low), high: short(m.range.high) } };
  return m;
}

function tableAction(a: Init<'TableAction'>): Init<'TableAction'> {
  if (a.action) return { action: action(a.action) };
  const set = a.actionProfileActionSet;
  if (set === undefined) return a;
  const actions = (set.actionProfileActions ?? []).map((m) => ({ ...m, action: action(m.action) }));
  // A one-shot is a multiset: the order says nothing.
  const key = (m: Init<'ActionProfileAction'>) =>
    Buffer.from(v1Codec('ActionProfileAction').encode(m)).toString('hex');
  actions.sort((x, y) => (key(x) < key(y) ? -1 : 1));
  return { actionProfileActionSet: { ...set, actionProfileActions: actions } };
}

/** The entity as far as it was written: without counts and ages, lists in one order, byte strings as short as they go. */
function normalForm(entity: Entity): Entity {
  const { tableEntry: t, actionProfileMember: m, actionProfileGroup: g } = entity;
  if (t) {
    const { counterData: _, timeSinceLastHit: __, meterCounterData: ___, isConst: ____, ...written } = t;
    return {
      tableEntry: {
        ...written,
        match: byId(t.match, (f) => f.fieldId ?? 0).map(match),
        ...(t.action !== undefined && { action: tableAction(t.action) }),
      },
    };
  }
  if (m) return { actionProfileMember: { ...m, action: action(m.action) } };
  if (g) return { actionProfileGroup: { ...g, members: byId(g.members, (x) => x.memberId ?? 0) } };
  const replication = entity.packetReplicationEngineEntry;
  const sort = (replicas: readonly Init<'Replica'>[] | undefined) =>
    [...(replicas ?? [])].sort((a, b) => (replicaKey(a) < replicaKey(b) ? -1 : 1));
  if (replication?.multicastGroupEntry) {
    const group = replication.multicastGroupEntry;
    return {
      packetReplicationEngineEntry: { multicastGroupEntry: { ...group, replicas: sort(group.replicas) } },
    };
  }
  if (replication?.cloneSessionEntry) {
    const session = replication.cloneSessionEntry;
    return {
      packetReplicationEngineEntry: { cloneSessionEntry: { ...session, replicas: sort(session.replicas) } },
    };
  }
  return entity;
}

const replicaKey = (r: Init<'Replica'>): string =>
  `${r.port === undefined ? r.egressPort : Buffer.from(canonical(r.port)).toString('hex')} ${r.instance ?? 0}`;

/** Entities by key. */
export const entitiesByKey = (entities: Iterable<Entity>): ReadonlyMap<string, Entity> => {
  const byKey = new Map<string, Entity>();
  for (const entity of entities) byKey.set(entityKey(entity), entity);
  return byKey;
};

const contentsOf = (entity: Entity): Buffer => Buffer.from(entityCodec.encode(normalForm(entity)));

/** Whether two entities say the same, whatever the order of their lists and the length of their byte strings. @pre their keys are equal */
export const isSameEntity = (a: Entity, b: Entity): boolean =>
  a === b || (isSamePlainEntry(a.tableEntry, b.tableEntry) ?? contentsOf(a).equals(contentsOf(b)));

/** The same of table entries that say no more than their action, as most do; undefined of others. Thousands are compared each time that a device is read. */
function isSamePlainEntry(
  a: Init<'TableEntry'> | undefined,
  b: Init<'TableEntry'> | undefined,
): boolean | undefined {
  const [own, other] = [a?.action?.action, b?.action?.action];
  if (a === undefined || b === undefined || own === undefined || other === undefined) return undefined;
  if (!PLAIN.every((field) => isEmpty(a[field]) && isEmpty(b[field]))) return undefined;
  const [params = [], others = []] = [own.params, other.params];
  if (own.actionId !== other.actionId || params.length !== others.length) return false;
  if (!params.every((p, i) => p.paramId === others[i]!.paramId)) return undefined;
  return params.every((p, i) => isSameNumber(p.value ?? NO_BYTES, others[i]!.value ?? NO_BYTES));
}

/** Fields that few entries have. Those of the key are equal, and counts are not compared. */
const PLAIN = ['controllerMetadata', 'meterConfig', 'idleTimeoutNs', 'metadata'] as const;
const NO_BYTES = new Uint8Array(0);

const isEmpty = (value: Init<'TableEntry'>[(typeof PLAIN)[number]]): boolean =>
  !value || (value instanceof Uint8Array && value.length === 0);

/** Leading zeros do not count. */
function isSameNumber(a: Uint8Array, b: Uint8Array): boolean {
  const [from, other] = [leadingZeros(a), leadingZeros(b)];
  if (a.length - from !== b.length - other) return false;
  for (let i = from; i < a.length; i++) if (a[i] !== b[i - from + other]) return false;
  return true;
}

function leadingZeros(bytes: Uint8Array): number {
  let count = 0;
  while (count < bytes.length - 1 && bytes[count] === 0) count++;
  return count;
}
