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
  steer,
  type TableModel,
  weightsTable,
  zones,
} from '../backends/common/table-model.ts';
import type { PlacedWeights, RequestConfig } from '../backends/xdp/device-config.ts';
import { XDP_SLOTS } from '../backends/xdp/p4info.ts';
import type { BpfMap } from '../bpf/index.ts';
import { CURRENT, decodeWord, WORDS } from '../devices/versions.ts';
import { type Change, entityKey, type Init } from '../p4runtime/index.ts';
import type { PortState } from './interfaces.ts';
import type { LoadedProgram } from './loaded-program.ts';
import { widened } from './table-entry.ts';
import { decodeWay } from './ways.ts';

type Entity = Init<'Entity'>;

/**
 * The entries that a program works by, read from its maps. What the maps do not tell, such as metadata, is taken from what is
 * known of an entry that is otherwise the same.
 * @param known what is left of the writes, in their order
 */
export function kernelState(
  program: LoadedProgram,
  config: RequestConfig,
  interfaces: readonly PortState[],
  known: readonly Change[],
): Change[] {
  const before = entitiesOf(known);
  const words = program.map('models').words();
  try {
    const versions = versionEntries(config, (i) => decodeWord(words.get(i)));
    const found: Entity[] = [
      ...(config.weights.length === 0 ? [] : weightsOf(program.map('weights'), config, before, versions)),
      ...[...versions, ...tableEntries(program, interfaces)].map((e) => ({ tableEntry: tableEntry(e) })),
      ...digestOf(program.map('telling'), before),
    ];
    return found.map((entity) => {
      const old = before.get(entityKey(entity));
      const same = isDeepStrictEqual(actionOf(old), actionOf(entity));
      const type = entity.tableEntry?.isDefaultAction ? 'MODIFY' : 'INSERT';
      return { type, entity: old !== undefined && same ? old : entity };
    });
  } finally {
    words.close();
  }
}

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

/** Of versions whose layers are those of the program; of others the words do not tell which they are. */
function versionEntries(
  { manifest }: RequestConfig,
  wordAt: (index: number) => ReturnType<typeof decodeWord>,
): readonly (Entry & { readonly slot: number; readonly isReady: boolean })[] {
  const { layers, model } = manifest;
  return Array.from({ length: WORDS }, (_, i) => i).flatMap((i) => {
    const word = wordAt(i);
    if (word === undefined || word.state === 'otherLayers') return [];
    const { modelId, modelVersion, slot, threshold } = word;
    return {
      table: models,
      keys: [modelId, i === CURRENT ? 0 : modelVersion],
      action: hold,
      parameters: [slot, modelVersion, layers.from, layers.to, model.layerCount, threshold],
      slot,
      isReady: word.state === 'ready',
    };
  });
}

/** All layers of a slot whose version is computed; of another slot those that are known to be what is there. */
function weightsOf(
  map: BpfMap,
  { weights }: RequestConfig,
  before: ReadonlyMap<string, Entity>,
  versions: ReturnType<typeof versionEntries>,
): Entity[] {
  return Array.from({ length: XDP_SLOTS }, (_, slot) => slot).flatMap((slot) => {
    const isReady = versions.some((v) => v.slot === slot && v.isReady);
    const bytes = map.lookup(slot) ?? Buffer.alloc(0);
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

export function weightsEntry(placed: PlacedWeights, slot: number, struct: Buffer): Entry {
  const parameters = placed.arrays.map(({ name, bytes }) => ({ name, bits: 8 * bytes }));
  const table = weightsTable(placed.layer, slot, parameters);
  const values = placed.arrays.map(({ bytes }, i) => {
    const start = offsetOf(placed, i);
    return BigInt(`0x0${struct.toString('hex', start, start + bytes)}`);
  });
  return { table, keys: [], action: table.actions[0]!, parameters: values };
}

function tableEntries(program: LoadedProgram, interfaces: readonly PortState[]): Entry[] {
  const ids = (map: BpfMap, table: TableModel, action: Entry['action']): Entry[] =>
    elements(map).flatMap(([key, value]) =>
      value.every((byte) => byte === 0)
        ? []
        : [{ table, keys: [key.readUInt32LE(0)], action, parameters: [] }],
    );
  return [
    ...ids(program.map('model_ids'), modelIds, held),
    ...ids(program.map('zones'), zones, permit),
    ...ways(program.map('steer'), steer, (key) => [key.readUInt16LE(0), key.readUInt8(2)]),
    ...ways(program.map('ipv4_lpm'), ipv4Lpm, (key) => [
      { value: key.readUInt32BE(4), prefix: key.readUInt32LE(0) },
    ]),
    ...portEntries(program, interfaces),
  ];
}

const ways = (
  map: BpfMap,
  table: TableModel,
  keysOf: (key: Buffer) => readonly KeyValue[] | undefined,
): Entry[] =>
  elements(map).flatMap(([key, value]): Entry[] => {
    const [way, keys] = [decodeWay(value), keysOf(key)];
    return way === undefined || keys === undefined ? [] : [{ table, keys, ...way }];
  });

/** Where the packets of each port go. */
export const portEntries = (program: LoadedProgram, interfaces: readonly PortState[]): Entry[] =>
  ways(program.map('ports'), ports, (key) => {
    const port = interfaces.find((i) => i.ifindex === key.readUInt32LE(0))?.port;
    return port === undefined ? undefined : [port];
  });

const elements = (map: BpfMap): [Buffer, Buffer][] =>
  [...map.keys()].flatMap((key) => {
    const value = map.lookup(key);
    return value === undefined ? [] : [[key, value] as [Buffer, Buffer]];
  });

function digestOf(telling: BpfMap, before: ReadonlyMap<string, Entity>): Entity[] {
  if ((telling.lookup(0)?.readUInt32LE(0) ?? 0) === 0) return [];
  const entity: Entity = {
    digestEntry: {
      digestId: refusedRequests.id,
      config: { maxTimeoutNs: 0n, maxListSize: 0, ackTimeoutNs: 0n },
    },
  };
  return [before.get(entityKey(entity)) ?? entity];
}
