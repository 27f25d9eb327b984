import { models } from '../../backends/common/table-model.ts';
import type { Model } from '../../model/model.ts';
import type { Init } from '../../p4runtime/index.ts';
import type { LayerRange } from '../planned-layers.ts';
import type { DeviceProgram } from '../program.ts';
import { CURRENT, type HeldVersion, heldVersions, holdSlot, isOf, isWeights, slotOf } from '../versions.ts';

/** As P4Runtime reads and writes it. */
export type Entity = Init<'Entity'>;

/** Layers of a model, for whose shapes and lane widths a program was made, and how many slots it has for them. */
export interface ProgramShape extends LayerRange {
  readonly base: Model;
  readonly slots: number;
}

/** A program, and the model for whose shapes and lane widths it was made. */
export interface KnownProgram {
  /** Of several shapes that of the first. */
  readonly base: Model;
  readonly program: DeviceProgram;
  /** Where it computes several: all of them, in order. */
  readonly shapes?: readonly ProgramShape[];
}

/** A device as it was read. */
export interface ObservedDevice {
  readonly on: 'device';
  readonly name: string;
  /** Of the program that runs: `none` before the first, `other` for one without. */
  readonly cookie: bigint | 'none' | 'other';
  /** What runs, where it is one of those that were looked for. */
  readonly known: KnownProgram | undefined;
  /** The device's part of its pipeline config, where programs can run beside each other and another may have to. */
  readonly running?: Uint8Array;
  /** Table entries, and default actions that hold weights; none where the program is unknown and runs alone. */
  readonly entities: readonly Entity[];
}

/** A worker as its control door tells of it. */
export interface ObservedWorker {
  readonly on: 'worker';
  readonly name: string;
  /** By model id. */
  readonly models: ReadonlyMap<number, ObservedModel>;
}

interface ObservedModel {
  readonly current: number | undefined;
  /** Digest of each version. */
  readonly versions: ReadonlyMap<number, string>;
}

/** Whatever holds versions of models. */
export type Observed = ObservedDevice | ObservedWorker;

const NOTHING: ObservedModel = { current: undefined, versions: new Map() };

/** What a worker holds of a model. */
export const modelOn = (worker: ObservedWorker, modelId: number): ObservedModel =>
  worker.models.get(modelId) ?? NOTHING;

/** Versions of a model that a device or worker holds, without the one that requests find that name none. */
export function versionsOn(observed: Observed, modelId: number): readonly number[] {
  if (observed.on === 'worker') return [...modelOn(observed, modelId).versions.keys()];
  return [...heldVersions(observed.entities, modelId).keys()].filter((key) => key !== CURRENT);
}

/** The version of requests that name none. */
export const currentOn = (observed: Observed, modelId: number): number | undefined =>
  observed.on === 'worker'
    ? modelOn(observed, modelId).current
    : heldVersions(observed.entities, modelId).get(CURRENT)?.version;

/** How the device knows a version. */
export const heldOn = (
  { entities }: ObservedDevice,
  modelId: number,
  version: number,
): HeldVersion | undefined => heldVersions(entities, modelId).get(version);

/** Weights that a slot of the device holds. */
export const weightsIn = ({ entities }: ObservedDevice, slot: number): Entity[] =>
  entities.filter((e) => isWeights(e) && slotOf(e) === slot);

/** Slots by what names them; a slot that is named by no entry is free, whatever it holds. */
export function slotsInUse({ entities }: ObservedDevice): ReadonlyMap<number, readonly Entity[]> {
  const used = new Map<number, Entity[]>();
  for (const entity of entities) {
    if (!isOf(models, entity)) continue;
    const slot = holdSlot(entity);
    used.set(slot, [...(used.get(slot) ?? []), entity]);
  }
  return used;
}

/** Whether a slot of the device holds weights, or is named by a version. */
export const isInUse = ({ entities }: ObservedDevice, slot: number): boolean =>
  entities.some((e) => (isWeights(e) ? slotOf(e) === slot : isOf(models, e) && holdSlot(e) === slot));
