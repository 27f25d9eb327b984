import { isDeepStrictEqual } from 'node:util';
import { modelIds, models, shards, steer } from '../../backends/common/table-model.ts';
import { modelDigest } from '../../import/json/digest.ts';
import { type Budget, budgetEntity, budgetIn, budgetSlot, hasBudgets } from '../budget.ts';
import { flowWrites } from '../flow-program.ts';
import { forwardingTables } from '../forwarding.ts';
import {
  CURRENT,
  type HeldVersion,
  heldModelIds,
  isOf,
  isWeights,
  keyOf,
  modelIdEntity,
  slotOf,
  versionEntity,
  versionKey,
} from '../versions.ts';
import type { ModelVersion } from './desired.ts';
import {
  type Entity,
  heldOn,
  type KnownProgram,
  modelOn,
  type ObservedDevice,
  type ObservedWorker,
  slotsInUse,
} from './observed.ts';
import { weightsAt } from './slots.ts';
import { updatesOf, type Write } from './updates.ts';

/** What a step does to a device or worker. Each may be done twice: what is so already is not written. */
export type Effect =
  /** Another program; all entries go. */
  | { readonly do: 'push'; readonly known: KnownProgram }
  /** Weights in a slot of a device; a version that is not current makes room there. */
  | {
      readonly do: 'load';
      readonly modelId: number;
      readonly version: ModelVersion;
      /** Absent for workers. */
      readonly slot?: number;
    }
  /** Packets that name the version find it, and are computed within its budget. */
  | {
      readonly do: 'know';
      readonly modelId: number;
      readonly version: number;
      readonly held: Omit<HeldVersion, 'version'>;
      /** Absent where it has none. */
      readonly budget?: Budget;
    }
  /** One write: requests that name no version are computed by this one from now on, or by none. */
  | {
      readonly do: 'point';
      readonly modelId: number;
      readonly version: number | undefined;
      /** How a device knew it, for going back; absent: as it knows the version by its number. */
      readonly held?: HeldVersion;
    }
  /** Zones, ports, routes and steering. */
  | {
      readonly do: 'forward';
      readonly entities: readonly Entity[];
      /** Models whose steering is ours; absent where all forwarding is. What others may need stays. */
      readonly own?: readonly number[];
    }
  /** A device that classifies flows: all that it is to hold, but the weights of its program. */
  | { readonly do: 'classify'; readonly entities: readonly Entity[] }
  /** Versions go, and weights that no version uses. */
  | { readonly do: 'withdraw'; readonly gone: Gone };

/** Which versions go. */
export type Gone =
  /** One, unless it is current. */
  | { readonly what: 'version'; readonly modelId: number; readonly version: number }
  /** All but the current ones of these models and those that stay; of devices whole other models too. */
  | {
      readonly what: 'others';
      readonly stay: ReadonlyMap<number, 'all' | readonly number[]>;
      /** Models that go where they are none of those; absent: all. */
      readonly models?: readonly number[];
    };

/**
 * What an effect writes to a device as it was observed, in this order; a packet that is between two tables of the device must
 * have left it between two writes. A push is none: it is a call of its own.
 * @throws DiagnosticError `envelope-exceeded` where weights do not fit the program
 */
export function writesOf(effect: Exclude<Effect, { do: 'push' }>, device: ObservedDevice): readonly Write[] {
  switch (effect.do) {
    case 'load':
      return loadWrites(effect, device);
    case 'know': {
      const { modelId, version, held } = effect;
      const wanted = [versionEntity(modelId, version, { ...held, version }), modelIdEntity(modelId)];
      const keys = new Set(wanted.map(keyOf));
      return [{ part: (e) => keys.has(keyOf(e)), wanted }, ...budgetWrites(effect, device)];
    }
    case 'point': {
      const { modelId, version } = effect;
      const known = version === undefined ? undefined : (effect.held ?? heldOn(device, modelId, version));
      if (version !== undefined && known === undefined)
        throw new Error(`${device.name} does not hold version ${version}: install it first`);
      const wanted = known === undefined ? [] : [versionEntity(modelId, CURRENT, known)];
      return [{ part: (e) => isOf(models, e) && isVersion(e, modelId, CURRENT), wanted }];
    }
    case 'forward':
      return forwardWrites(effect, device);
    case 'classify': {
      const { known } = device;
      if (known === undefined) throw new Error(`the program of ${device.name} is not known`);
      return flowWrites(known, device.entities, effect.entities);
    }
    case 'withdraw':
      return forgetWrites(device, goneFrom(effect.gone, device));
  }
}

/** The budget of a slot is read where something names the slot: so it comes after its version, which is not current yet. */
function budgetWrites(
  { held: { slot }, budget }: Extract<Effect, { do: 'know' }>,
  { known }: ObservedDevice,
): readonly Write[] {
  if (known === undefined || !hasBudgets(known.program)) return [];
  return [{ part: (e) => budgetSlot(e) === slot, wanted: budget ? [budgetEntity(slot, budget)] : [] }];
}

/** Whether an effect gives a version another budget than that which its slot has. */
export const changesBudget = ({ entities }: ObservedDevice, effect: Effect): boolean =>
  effect.do === 'know' && !isDeepStrictEqual(budgetIn(entities, effect.held.slot), effect.budget);

function loadWrites(
  { modelId, version: v, slot }: Extract<Effect, { do: 'load' }>,
  device: ObservedDevice,
): readonly Write[] {
  const { known } = device;
  if (known === undefined || slot === undefined)
    throw new Error(`the program of ${device.name} is not known`);
  const wanted = weightsAt(known, v.model, slot);
  const load = { part: (e: Entity) => isWeights(e) && slotOf(e) === slot, wanted };
  const others = (slotsInUse(device).get(slot) ?? []).filter((e) => {
    const [id, key] = versionKey(e);
    return id !== modelId || (key !== v.version && key !== CURRENT);
  });
  if (others.length === 0) return [load];
  if (others.some((e) => versionKey(e)[1] === CURRENT))
    throw new Error(`slot ${slot} of ${device.name} holds a current version`);
  const keys = new Set(others.map(keyOf));
  return [...forgetWrites(device, (e) => keys.has(keyOf(e))), load];
}

/** Shards are there before requests are balanced over them, and until none is any more. */
function forwardWrites(effect: Extract<Effect, { do: 'forward' }>, device: ObservedDevice): readonly Write[] {
  const wanted = effect.entities;
  const own = ownForwarding(effect, device);
  const isShard = (e: Entity) => isOf(shards, e);
  const keys = new Set(wanted.filter(isShard).map(keyOf));
  return [
    { part: (e) => isShard(e) && keys.has(keyOf(e)), wanted },
    { part: (e) => own(e) && !isShard(e), wanted },
    { part: (e) => own(e) && isShard(e), wanted },
  ];
}

/** Entries of forwarding that are ours: all, but where models of others are there only those that we know of. */
function ownForwarding(
  { entities, own }: Extract<Effect, { do: 'forward' }>,
  device: ObservedDevice,
): (entity: Entity) => boolean {
  const isForwarding = (e: Entity) => forwardingTables.some((table) => isOf(table, e));
  if (own === undefined) return isForwarding;
  const keys = new Set(entities.map(keyOf));
  const shared = heldModelIds(device.entities).some((id) => !own.includes(id));
  return (e) =>
    isForwarding(e) &&
    (keys.has(keyOf(e)) || (isOf(steer, e) || isOf(shards, e) ? own.includes(versionKey(e)[0]) : !shared));
}

/** Names go first; what they referred to when no packet can be between the two tables any more. */
function forgetWrites(device: ObservedDevice, doomed: (entity: Entity) => boolean): readonly Write[] {
  const named = device.entities.filter((e) => isOf(models, e) && !doomed(e));
  const ids = new Set(named.map((e) => versionKey(e)[0]));
  const there = new Set(device.entities.map(keyOf));
  const own = [...ids].map(modelIdEntity).filter((e) => there.has(keyOf(e)));
  const used = new Set(slotsInUse({ ...device, entities: named }).keys());
  const isUnused = (e: Entity): boolean => {
    const slot = isWeights(e) ? slotOf(e) : budgetSlot(e);
    return slot !== undefined && !used.has(slot);
  };
  return [
    { part: (e) => isOf(models, e) || isOf(modelIds, e), wanted: [...named, ...own] },
    { part: isUnused, wanted: [] },
  ];
}

function goneFrom(gone: Gone, device: ObservedDevice): (entity: Entity) => boolean {
  if (gone.what === 'version') {
    const { modelId, version } = gone;
    const isCurrent = heldOn(device, modelId, CURRENT)?.version === version;
    return (e) => !isCurrent && isVersion(e, modelId, version);
  }
  return (e) => {
    const [id, key] = versionKey(e);
    const stay = gone.stay.get(id);
    if (stay === undefined) return gone.models?.includes(id) ?? true;
    return key !== CURRENT && stay !== 'all' && !stay.includes(key);
  };
}

/** Whether the entry of `models` is that of a version of a model. */
export function isVersion(entity: Entity, modelId: number, version: number): boolean {
  const [id, key] = versionKey(entity);
  return id === modelId && key === version;
}

/** The device once the effect is done. @throws as `writesOf` */
export function deviceAfter(device: ObservedDevice, effect: Effect): ObservedDevice {
  if (effect.do === 'push')
    return {
      on: 'device',
      name: device.name,
      cookie: effect.known.program.cookie,
      known: effect.known,
      entities: effect.known.program.joins ? device.entities : [],
    };
  let { entities } = device;
  for (const { part, wanted } of writesOf(effect, device))
    entities = [...entities.filter((e) => !part(e)), ...wanted.filter(part)];
  return { ...device, entities };
}

/** Versions that an effect takes off a worker. */
export function goneFromWorker(gone: Gone, modelId: number, worker: ObservedWorker): readonly number[] {
  const { current, versions } = modelOn(worker, modelId);
  const doomed = (version: number): boolean => {
    if (gone.what === 'version') return gone.modelId === modelId && gone.version === version;
    const stay = gone.stay.get(modelId);
    // Other models on a worker are other deployments'.
    return stay !== undefined && stay !== 'all' && !stay.includes(version);
  };
  return [...versions.keys()].filter((version) => version !== current && doomed(version));
}

/** The worker once the effect is done. */
export function workerAfter(worker: ObservedWorker, effect: Effect): ObservedWorker {
  const change = (modelId: number, model: Partial<ReturnType<typeof modelOn>>): ObservedWorker => ({
    ...worker,
    models: new Map([...worker.models, [modelId, { ...modelOn(worker, modelId), ...model }]]),
  });
  switch (effect.do) {
    case 'load': {
      const { modelId, version: v } = effect;
      const { versions } = modelOn(worker, modelId);
      return change(modelId, { versions: new Map([...versions, [v.version, modelDigest(v.model)]]) });
    }
    case 'point':
      return change(effect.modelId, { current: effect.version });
    case 'withdraw': {
      const models = [...worker.models].map(([id, model]) => {
        const gone = goneFromWorker(effect.gone, id, worker);
        const versions = new Map([...model.versions].filter(([version]) => !gone.includes(version)));
        return [id, { ...model, versions }] as const;
      });
      return { ...worker, models: new Map(models) };
    }
    case 'push':
    case 'know':
    case 'forward':
    case 'classify':
      return worker;
  }
}

/** Whether an effect would change anything. @throws as `writesOf` */
export function changes(observed: ObservedDevice | ObservedWorker, effect: Effect): boolean {
  if (observed.on === 'device') return effect.do === 'push' || deviceUpdates(observed, effect) > 0;
  switch (effect.do) {
    case 'load': {
      const held = modelOn(observed, effect.modelId).versions.get(effect.version.version);
      return held !== modelDigest(effect.version.model);
    }
    case 'point':
      return modelOn(observed, effect.modelId).current !== effect.version;
    case 'withdraw':
      return [...observed.models.keys()].some((id) => goneFromWorker(effect.gone, id, observed).length > 0);
    case 'push':
    case 'know':
    case 'forward':
    case 'classify':
      return false;
  }
}

/** How many updates an effect makes on a device. */
function deviceUpdates(device: ObservedDevice, effect: Exclude<Effect, { do: 'push' }>): number {
  return writesOf(effect, device).reduce((sum, write) => sum + updatesOf(device.entities, write).length, 0);
}
