import { ipv4Lpm, modelIds, ports, shards, steer, zones } from '../backends/common/table-model.ts';
import type { BpfMap, MapElement } from '../bpf/index.ts';
import { lpmKey, shardKey, steerKey } from '../dataplane/abi.ts';
import type { DataPlane, MapName } from './data-plane.ts';
import type { PortState } from './interfaces.ts';
import { hopOf, NO_HOP } from './next-hops.ts';
import type { PlainEntry } from './table-entry.ts';

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

const YES = u32(1);
const NO = u32(0);

/** What a map should hold, by key in hexadecimal. */
type Image = Map<string, MapElement>;

/** Tables that are maps of their own: model ids, zones, next hops. */
export class ForwardingTables {
  readonly #plane: DataPlane;
  readonly #inside: <T>(run: () => T) => T;
  readonly #images: ReadonlyMap<MapName, Image>;
  /** What the table `ports` says, by ingress port. */
  readonly #ports = new Map<number, Buffer>();
  #interfaces: readonly PortState[] = [];

  /**
   * @param inside runs a function where the interfaces are
   * @param maps that the program has beside `ports` and `tx`
   */
  constructor(
    plane: DataPlane,
    inside: <T>(run: () => T) => T,
    maps: readonly MapName[] = ['model_ids', 'zones', 'steer', 'shards', 'ipv4_lpm'],
  ) {
    this.#plane = plane;
    this.#inside = inside;
    this.#images = new Map(maps.map((name) => [name, new Map()]));
  }

  static has(tableId: number): boolean {
    return tableId === ports.id || MAP_OF.has(tableId);
  }

  /** Sets or removes an entry. @param live false keeps it for `fill` */
  set(entry: PlainEntry, present: boolean, live: boolean): void {
    if (entry.tableId === ports.id) {
      const port = entry.key(0).value;
      if (present) this.#ports.set(port, hopOf(entry));
      else this.#ports.delete(port);
      if (live) this.setInterfaces(this.#interfaces);
      return;
    }
    const { map, element } = MAP_OF.get(entry.tableId)!;
    const { key, value } = element(entry, present);
    const image = this.#images.get(map)!;
    // First the kernel, which may refuse.
    if (live) put(this.#plane.map(map), key, present ? value : undefined);
    if (present) image.set(key.toString('hex'), { key, value });
    else image.delete(key.toString('hex'));
  }

  /** Brings all maps in line; what is right is left alone. @returns how many elements were not */
  fill(interfaces: readonly PortState[]): number {
    let changed = 0;
    for (const [name, image] of this.#images) changed += bringInLine(this.#plane.map(name), image);
    return changed + this.setInterfaces(interfaces);
  }

  /** Tells the program which interface is which port. @returns how many elements changed */
  setInterfaces(interfaces: readonly PortState[]): number {
    this.#interfaces = interfaces;
    const present = interfaces.filter((i) => i.ifindex !== 0);
    const hops: Image = new Map();
    const devices: Image = new Map();
    for (const { ifindex, port } of present) {
      const key = u32(ifindex);
      hops.set(key.toString('hex'), { key, value: this.#ports.get(port) ?? NO_HOP });
      devices.set(u32(port).toString('hex'), { key: u32(port), value: key });
    }
    const changed = this.#inside(() => bringInLine(this.#plane.map('tx'), devices));
    return changed + bringInLine(this.#plane.map('ports'), hops);
  }
}

interface TableMap {
  readonly map: MapName;
  readonly element: (entry: PlainEntry, present: boolean) => MapElement;
}

const MAP_OF: ReadonlyMap<number, TableMap> = new Map<number, TableMap>([
  [modelIds.id, { map: 'model_ids', element: (e) => ({ key: u32(e.key(0).value), value: YES }) }],
  [zones.id, { map: 'zones', element: (e) => ({ key: u32(e.key(0).value), value: YES }) }],
  [
    steer.id,
    {
      map: 'steer',
      element(e, present) {
        const key = steerKey.encode({ model_id: e.key(0).value, next_layer: e.key(1).value });
        return { key, value: present ? hopOf(e) : NO_HOP };
      },
    },
  ],
  [
    shards.id,
    {
      map: 'shards',
      element(e, present) {
        const [modelId, group, shard] = [0, 1, 2].map((i) => e.key(i).value);
        const key = shardKey.encode({ model_id: modelId!, group: group!, shard: shard! });
        return { key, value: present ? hopOf(e) : NO_HOP };
      },
    },
  ],
  [
    ipv4Lpm.id,
    {
      map: 'ipv4_lpm',
      element(e, present) {
        const { value, prefix } = e.key(0);
        const key = lpmKey.encode({ prefix, destination: value });
        return { key, value: present ? hopOf(e) : NO_HOP };
      },
    },
  ],
]);

/** Kernel's numbers of types whose elements are all there, all the time: zero is absent. */
const ARRAY = 2;

function put(map: BpfMap, key: Buffer, value: Buffer | undefined): void {
  if (value !== undefined) map.update(key, value);
  else if (map.info.type === ARRAY) map.update(key, NO);
  else map.delete(key);
}

function bringInLine(map: BpfMap, image: Image): number {
  let changed = 0;
  const isArray = map.info.type === ARRAY;
  const right = new Set<string>();
  for (const { key, value } of map.elements()) {
    const name = key.toString('hex');
    const wanted = image.get(name);
    if (wanted?.value.equals(value)) right.add(name);
    if (wanted !== undefined || (isArray && value.equals(NO))) continue;
    put(map, key, undefined);
    changed++;
  }
  for (const [name, { key, value }] of image) {
    if (right.has(name)) continue;
    map.update(key, value);
    changed++;
  }
  return changed;
}
