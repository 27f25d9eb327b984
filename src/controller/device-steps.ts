import { setTimeout as sleep } from 'node:timers/promises';
import { modelIds, models } from '../backends/common/table-model.ts';
import type { Init } from '../p4runtime/index.ts';
import type { DeviceTask, ModelVersion } from './device-task.ts';
import { forwardingTables } from './forwarding.ts';
import {
  CURRENT,
  type HeldVersion,
  isOf,
  isWeights,
  keyOf,
  modelIdEntity,
  slotOf,
  versionEntity,
  versionKey,
  weightsDigest,
} from './versions.ts';

type Entity = Init<'Entity'>;

/** What became of a step on one device. */
export interface Done {
  readonly outcome: 'done' | 'unchanged';
  readonly detail: string;
}

/** How long a packet may be between two tables of one device. */
const INSIDE_MS = 100;

const done = (updates: number, detail: string): Done => ({
  outcome: updates > 0 ? 'done' : 'unchanged',
  detail,
});

/** The weights of a version in a slot that no version uses; where both are used, one that is not current makes room. */
export async function installWeights(task: DeviceTask, { model, version }: ModelVersion): Promise<Done> {
  let slot = task.slotFor(version);
  if (slot === undefined) {
    const room = task.roomyVersion()!;
    const keys = new Set(room.entities.map(keyOf));
    await forget(task, (e) => keys.has(keyOf(e)));
    slot = room.slot;
  }
  const wanted = task.weights(model, slot);
  const updates = await task.session.make('weights', wanted, (e) => isWeights(e) && slotOf(e) === slot);
  const digest = weightsDigest(task.weightsIn(slot)).slice(0, 12);
  return done(updates.length, `version ${version} in slot ${slot}, read back, digest ${digest}`);
}

/** The entries by which packets that name the version find it. */
export async function makeKnown(task: DeviceTask, v: ModelVersion): Promise<Done> {
  // Weights alone do not take a slot: it is still the one that was chosen for them.
  const slot = task.slotFor(v.version)!;
  const wanted = [versionEntity(task.modelId, v.version, task.heldAs(v, slot)), modelIdEntity(task.modelId)];
  const keys = new Set(wanted.map(keyOf));
  const updates = await task.session.make('version', wanted, (e) => keys.has(keyOf(e)));
  return done(updates.length, `version ${v.version}`);
}

/** One write: requests that name no version are computed by this one from now on, or by none. */
export async function pointTo(task: DeviceTask, held: HeldVersion | undefined): Promise<Done> {
  const wanted = held === undefined ? [] : [versionEntity(task.modelId, CURRENT, held)];
  const isCurrent = (e: Entity) => isOf(models, e) && isVersion(task, e, CURRENT);
  const updates = await task.session.make('current', wanted, isCurrent);
  return done(updates.length, `version ${held?.version ?? 'none'}`);
}

/** Zones, ports, routes and steering. */
export async function forward(task: DeviceTask): Promise<Done> {
  const wanted = task.forwarding();
  const updates = await task.session.make('forwarding', wanted, (e) =>
    forwardingTables.some((table) => isOf(table, e)),
  );
  return done(updates.length, `${wanted.length} entries, ${updates.length} changed`);
}

export async function removeWhere(task: DeviceTask, doomed: (entity: Entity) => boolean): Promise<Done> {
  const count = await forget(task, doomed);
  return done(count, count === 0 ? 'nothing to remove' : `${count} entries`);
}

/** Whether the entry of `models` is that of a version of this deployment's model. */
export function isVersion({ modelId }: DeviceTask, entity: Entity, version: number): boolean {
  const [id, key] = versionKey(entity);
  return id === modelId && key === version;
}

/** Entries of `models` first; what they referred to when no packet can be between the two tables any more. */
export async function forget(task: DeviceTask, doomed: (entity: Entity) => boolean): Promise<number> {
  const { session, modelId } = task;
  const stay = session.entities.filter((e) => isOf(models, e) && !doomed(e));
  const own = stay.some((e) => versionKey(e)[0] === modelId) ? [modelIdEntity(modelId)] : [];
  const there = new Set(session.entities.map(keyOf));
  const first = await session.make(
    'remove',
    [...stay, ...own.filter((e) => there.has(keyOf(e)))],
    (e) => isOf(models, e) || isOf(modelIds, e),
  );
  const used = task.slotsInUse();
  const isUnused = (e: Entity) => isWeights(e) && !used.has(slotOf(e));
  if (first.length > 0 && session.changes([], isUnused).length > 0) await sleep(INSIDE_MS);
  const second = await session.make('remove', [], isUnused);
  return first.length + second.length;
}
