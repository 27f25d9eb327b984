import { createHash } from 'node:crypto';
import {
  deviceTables,
  held,
  hold,
  modelIds,
  models,
  noWeights,
  type TableModel,
  weightsPlace,
  weightsTable,
} from '../backends/common/table-model.ts';
import { canonical, canonicalBytes, entityKey, type Init } from '../p4runtime/index.ts';
import { entityOf } from './forwarding.ts';

type Entity = Init<'Entity'>;

/** Of weights as they are compared, wherever they stand. */
const FIRST_SLOT = 0;

/** What an entry of `models` says. */
export interface HeldVersion {
  readonly version: number;
  readonly slot: number;
  readonly from: number;
  readonly to: number;
  readonly layerCount: number;
  readonly threshold: number;
}

const number = (bytes: Uint8Array | undefined): number =>
  Number(`0x0${Buffer.from(bytes ?? []).toString('hex')}`);

const sharedTables: ReadonlySet<number> = new Set(deviceTables.map((t) => t.id));

/** Of one of the layers. */
export const isWeights = ({ tableEntry }: Entity): boolean =>
  tableEntry !== undefined && !sharedTables.has(tableEntry.tableId ?? 0);

/** Whether an entity that was read says anything: a default action does where it is the weights of a layer, a cell of a meter with rates. */
export function isHeld({ tableEntry, meterEntry }: Entity): boolean {
  if (meterEntry !== undefined) return meterEntry.config !== undefined;
  if (!tableEntry?.isDefaultAction) return true;
  const actionId = tableEntry.action?.action?.actionId ?? noWeights.id;
  return weightsPlace(tableEntry.tableId ?? 0) !== undefined && actionId !== noWeights.id;
}

/** Whether an entity is an entry of this table. */
export const isOf = (table: TableModel, { tableEntry }: Entity): boolean => tableEntry?.tableId === table.id;

/** Values of the exact keys of an entry, in the order of their fields. */
export const exactKeys = ({ tableEntry }: Entity): number[] =>
  [...(tableEntry?.match ?? [])]
    .sort((a, b) => (a.fieldId ?? 0) - (b.fieldId ?? 0))
    .map((m) => number(m.exact?.value));

/** The slot whose weights an entity holds: that of its table, or the first of its keys. */
export const slotOf = (weights: Entity): number =>
  weightsPlace(weights.tableEntry?.tableId ?? 0)?.slot ?? exactKeys(weights)[0]!;

/** The same weights in another slot. */
export function inSlot({ tableEntry }: Entity, slot: number): Entity {
  const place = weightsPlace(tableEntry?.tableId ?? 0);
  if (place !== undefined)
    return { tableEntry: { ...tableEntry, tableId: weightsTable(place.layer, slot, []).id } };
  const match = tableEntry!.match!.map((m) =>
    m.fieldId === SLOT_FIELD ? { ...m, exact: { value: canonicalBytes(slot) } } : m,
  );
  return { tableEntry: { ...tableEntry, match } };
}

/** The slot is the first key of a table that has entries. */
const SLOT_FIELD = 1;

/** That which has a slot, of the parts of a program. */
export function partOf<P extends { readonly slots: readonly number[] }>(
  parts: readonly P[],
  slot: number,
): P {
  const part = parts.find(({ slots }) => slots.includes(slot));
  if (part === undefined) throw new Error(`slot ${slot} is none of the program's`);
  return part;
}

/** Model id and the version that packets name: 0 is the current one. */
export const versionKey = (entity: Entity): readonly [modelId: number, version: number] => {
  const [modelId, version] = exactKeys(entity);
  return [modelId!, version!];
};

/** The slot that an entry of `models` names. */
export const holdSlot = ({ tableEntry }: Entity): number =>
  number(tableEntry?.action?.action?.params?.find((p) => p.paramId === 1)?.value);

/** Models of which a device holds versions. */
export const heldModelIds = (entities: readonly Entity[]): readonly number[] => [
  ...new Set(entities.filter((e) => isOf(models, e)).map((e) => versionKey(e)[0])),
];

/** Versions of a model by what packets name, as the device has them. */
export function heldVersions(entities: readonly Entity[], modelId: number): ReadonlyMap<number, HeldVersion> {
  const found = new Map<number, HeldVersion>();
  for (const entity of entities) {
    if (!isOf(models, entity)) continue;
    const [id, key] = versionKey(entity);
    const params = entity.tableEntry?.action?.action?.params ?? [];
    const of = (n: number) => number(params.find((p) => p.paramId === n)?.value);
    const [slot, version, from, to, layerCount, threshold] = hold.parameters.map((_, i) => of(i + 1));
    if (id === modelId)
      found.set(key, {
        slot: slot!,
        version: version!,
        from: from!,
        to: to!,
        layerCount: layerCount!,
        threshold: threshold!,
      });
  }
  return found;
}

/** The entry by which packets that name `key` find a version. */
export const versionEntity = (modelId: number, key: number, v: HeldVersion): Entity =>
  entityOf({
    table: models,
    keys: [modelId, key],
    action: hold,
    parameters: [v.slot, v.version, v.from, v.to, v.layerCount, v.threshold],
  });

/** The entry of `model_ids` that makes the model known, whatever versions of it are there. */
export const modelIdEntity = (modelId: number): Entity =>
  entityOf({ table: modelIds, keys: [modelId], action: held, parameters: [] });

/** Key of the one write that flips a model. */
export const CURRENT = 0;

/** SHA-256 of the numbers in some entries of weights: the same in either slot. */
export function weightsDigest(entities: readonly Entity[]): string {
  const lines = entities.map((entity) => {
    const { tableEntry } = inSlot(entity, FIRST_SLOT);
    const params = [...(tableEntry?.action?.action?.params ?? [])].sort(
      (a, b) => (a.paramId ?? 0) - (b.paramId ?? 0),
    );
    const values = params.map((p) => Buffer.from(canonical(p.value ?? new Uint8Array(1))).toString('hex'));
    return `${tableEntry?.tableId} ${values.join(' ')}`;
  });
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
}

/** By which an entity is found: the same for two of which a device holds one. */
export const keyOf = (entity: Entity): string => entityKey(entity);
