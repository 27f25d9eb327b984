/** What a running data plane tells of its entries, for the case that the disk has lost them. */
import { isDeepStrictEqual } from 'node:util';
import { type Entry, type KeyValue, tableEntry } from '../backends/common/entries.ts';
import {
  held,
  hold,
  ipv4Lpm,
  modelIds,
  models,
  permit,
  ports,
  refusedRequests,
  shards,
  slotMeter,
  steer,
  type TableModel,
  weightsTable,
  zones,
} from '../backends/common/table-model.ts';
import type { PlacedWeights, ProgramConfig, RequestConfig } from '../backends/xdp/device-config.ts';
import type { BpfMap } from '../bpf/index.ts';
import { firstSlotOf, lpmKey, programOf, shardKey, steerKey } from '../dataplane/abi.ts';
import { askedFor, decodeWord, WORDS, type Word } from '../dataplane/words.ts';
import { type Change, entityKey, type Init, insertion } from '../p4runtime/index.ts';
import type { DataPlane } from './data-plane.ts';
import type { PortState } from './interfaces.ts';
import { decodeHop } from './next-hops.ts';
import { budgetEntity, readBudget } from './slot-budgets.ts';
import { widened } from './table-entry.ts';

type Entity = Init<'Entity'>;

/**
 * The entries that a data plane works by, read from its maps. What the maps do not tell, such as metadata, is taken from what is
 * known of an entry that is otherwise the same.
 * @param known what is left of the writes, in their order
 */
export function kernelState(
  plane: DataPlane,
  { programs }: RequestConfig,
  interfaces: readonly PortState[],
  known: readonly Change[],
): Change[] {
  const before = entitiesOf(known);
  const words = plane.map('models').words();
  try {
    const held = Array.from({ length: WORDS }, (_, i) => decodeWord(words.get(i))).filter(
      (w) => w !== undefined,
    );
    const found: Entity[] = [
      ...programs.flatMap((p) => weightsOf(plane, p, before, held)),
      ...[...versionEntries(programs, held), ...tableEntries(plane, interfaces)].map((e) => ({
        tableEntry: tableEntry(e),
      })),
      ...budgetsIn(plane, before),
      ...digestOf(plane.map('tell_refusals'), before),
    ];
    return found.map((entity) => {
      const old = before.get(entityKey(entity));
      const same = isDeepStrictEqual(actionOf(old), actionOf(entity));
      const isAsWritten = entity.meterEntry === undefined && old !== undefined && same;
      return insertion(isAsWritten ? old : entity);
    });
  } finally {
    words.close();
  }
}

const budgetsIn = (plane: DataPlane, before: ReadonlyMap<string, Entity>): readonly Entity[] =>
  Array.from({ length: slotMeter.size }, (_, slot) => slot).flatMap((slot) => {
    const own = readBudget(plane.map('budgets'), slot);
    if (own === undefined) return [];
    const key = entityKey({ meterEntry: { meterId: slotMeter.id, index: { index: slot } } });
    return [budgetEntity(slot, own, before.get(key))];
  });

/** What stands after some writes, by key. */
export function entitiesOf(changes: readonly Change[]): ReadonlyMap<string, Entity> {
  const entities = new Map<string, Entity>();
  for (const { type, entity } of changes)
    if (type === 'DELETE') entities.delete(entityKey(entity));
    else entities.set(entityKey(entity), entity);
  return entities;
}

function actionOf(entity: Entity | undefined) {
  const action = entity?.tableEntry?.action?.action;
  const params = action?.params?.map(({ paramId, value }) => [
    paramId,
    Buffer.from(value ?? []).toString('hex'),
  ]);
  return [action?.actionId, params];
}

/** Of versions whose layers are those of their program; of others the words do not tell which they are. */
const versionEntries = (programs: readonly ProgramConfig[], words: readonly Word[]): readonly Entry[] =>
  words.flatMap((word) => {
    const program = programs.find((p) => p.index === programOf(word.slot));
    if (program === undefined || word.state === 'otherLayers') return [];
    const { layers, model } = program.manifest;
    const { modelId, modelVersion, slot, threshold } = word;
    return {
      table: models,
      keys: [modelId, askedFor(word)],
      action: hold,
      parameters: [slot, modelVersion, layers.from, layers.to, model.layerCount, threshold],
    };
  });

/** All layers of a slot whose version is computed; of another slot those that are known to be what is there. */
function weightsOf(
  plane: DataPlane,
  { index, slots, weights }: ProgramConfig,
  before: ReadonlyMap<string, Entity>,
  words: readonly Word[],
): Entity[] {
  const map = plane.weights(index);
  if (map === undefined) return [];
  return Array.from({ length: slots }, (_, at) => at).flatMap((at) => {
    const slot = firstSlotOf(index) + at;
    const isReady = words.some((w) => w.slot === slot && w.state === 'ready');
    const bytes = map.lookup(at) ?? Buffer.alloc(0);
    return weights.flatMap((placed) => {
      const entity = { tableEntry: tableEntry(weightsEntry(placed, slot, bytes)) };
      const old = before.get(entityKey(entity))?.tableEntry?.action?.action?.params;
      const isKnown =
        old !== undefined &&
        placed.arrays.every((array, i) => {
          const start = offsetOf(placed, i);
          return widened(old[i]?.value ?? new Uint8Array(0), array.bytes).equals(
            bytes.subarray(start, start + array.bytes),
          );
        });
      return isReady || isKnown ? [entity] : [];
    });
  });
}

const offsetOf = ({ offset, arrays }: PlacedWeights, index: number): number =>
  arrays.slice(0, index).reduce((at, a) => at + a.bytes, offset);

/** The write that would have put these bytes of a slot there. @param struct all weights of the slot, as the map has them */
export function weightsEntry(placed: PlacedWeights, slot: number, struct: Buffer): Entry {
  const parameters = placed.arrays.map(({ name, bytes }) => ({ name, bits: 8 * bytes }));
  const table = weightsTable(placed.layer, slot, parameters);
  const values = placed.arrays.map(({ bytes }, i) => {
    const start = offsetOf(placed, i);
    return BigInt(`0x0${struct.toString('hex', start, start + bytes)}`);
  });
  return { table, keys: [], action: table.actions[0]!, parameters: values };
}

function tableEntries(plane: DataPlane, interfaces: readonly PortState[]): Entry[] {
  const ids = (map: BpfMap, table: TableModel, action: Entry['action']): Entry[] =>
    map
      .elements()
      .flatMap(({ key, value }) =>
        value.every((byte) => byte === 0)
          ? []
          : [{ table, keys: [key.readUInt32LE(0)], action, parameters: [] }],
      );
  return [
    ...ids(plane.map('model_ids'), modelIds, held),
    ...ids(plane.map('zones'), zones, permit),
    ...hops(plane.map('steer'), steer, (key) => {
      const { model_id: modelId, next_layer: nextLayer } = steerKey.decode(key);
      return [modelId, nextLayer];
    }),
    ...hops(plane.map('shards'), shards, (key) => {
      const { model_id: modelId, group, shard } = shardKey.decode(key);
      return [modelId, group, shard];
    }),
    ...hops(plane.map('ipv4_lpm'), ipv4Lpm, (key) => {
      const { destination, prefix } = lpmKey.decode(key);
      return [{ value: destination, prefix: Number(prefix) }];
    }),
    ...portEntries(plane, interfaces),
  ];
}

const hops = (
  map: BpfMap,
  table: TableModel,
  keysOf: (key: Buffer) => readonly KeyValue[] | undefined,
): Entry[] =>
  map.elements().flatMap(({ key, value }): Entry[] => {
    const [hop, keys] = [decodeHop(value), keysOf(key)];
    return hop === undefined || keys === undefined ? [] : [{ table, keys, ...hop }];
  });

/** Where the packets of each port go. */
export const portEntries = (plane: DataPlane, interfaces: readonly PortState[]): Entry[] =>
  hops(plane.map('ports'), ports, (key) => {
    const port = interfaces.find((i) => i.ifindex === key.readUInt32LE(0))?.port;
    return port === undefined ? undefined : [port];
  });

function digestOf(tellRefusals: BpfMap, before: ReadonlyMap<string, Entity>): Entity[] {
  if ((tellRefusals.lookup(0)?.readUInt32LE(0) ?? 0) === 0) return [];
  const entity: Entity = {
    digestEntry: {
      digestId: refusedRequests.id,
      config: { maxTimeoutNs: 0n, maxListSize: 0, ackTimeoutNs: 0n },
    },
  };
  return [before.get(entityKey(entity)) ?? entity];
}
