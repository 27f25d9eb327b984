import { type Entry, tableEntry } from '../backends/common/entries.ts';
import {
  balance,
  cross,
  drop,
  ipv4Lpm,
  permit,
  ports,
  route,
  shards,
  steer,
  zones,
} from '../backends/common/table-model.ts';
import { type Init, ipv4, mac, P4RuntimeError } from '../p4runtime/index.ts';
import type { DeviceSpec, Hop } from './deployment-schema.ts';

type Entity = Init<'Entity'>;

/** Tables that say where packets go and for whom a device computes; the rest belong to versions of a model. */
export const forwardingTables = [zones, ports, ipv4Lpm, steer, shards] as const;

/** A prefix as number and length; undefined where it is none, or has bits behind its length. */
export function prefixOf(text: string): { readonly value: bigint; readonly prefix: number } | undefined {
  const [address, length, ...rest] = text.split('/');
  const prefix = length === undefined ? 32 : /^\d{1,2}$/.test(length) ? Number(length) : 33;
  if (rest.length > 0 || prefix > 32) return undefined;
  try {
    const value = ipv4(address!);
    return value & ((1n << BigInt(32 - prefix)) - 1n) ? undefined : { value, prefix };
  } catch (error) {
    if (error instanceof P4RuntimeError) return undefined;
    throw error;
  }
}

/** The action of an entry that sends packets on. */
function hopAction({ port, sourceMac, destinationMac }: Hop): Pick<Entry, 'action' | 'parameters'> {
  if (port === undefined) return { action: drop, parameters: [] };
  if (sourceMac === undefined) return { action: cross, parameters: [port] };
  return { action: route, parameters: [mac(sourceMac), mac(destinationMac!), port] };
}

/** Shards of the jobs of a model, and where each goes. */
export interface ShardGroup {
  readonly modelId: number;
  readonly group: number;
  readonly hops: readonly Hop[];
  /** Of each shard the index of its hop. */
  readonly goes: readonly number[];
}

/** Where requests of a model go by their next layer: one way, or that of their shard. */
export type Steering = { readonly modelId: number; readonly nextLayer: number } & (
  | Hop
  | Pick<ShardGroup, 'group'>
);

/** Where a device sends packets, and for whom it computes. */
export type Forwarding = Pick<DeviceSpec, 'zones' | 'ports' | 'routes'> & {
  readonly steering: readonly Steering[];
  /** Default none. */
  readonly balancing?: readonly ShardGroup[];
};

/** The entries of a device by name; a prefix of no bits matches all, which is the absence of a match in P4Runtime. */
export function forwardingEntries(device: Forwarding): Entry[] {
  return [
    ...device.zones.map((zone) => ({ table: zones, keys: [zone], action: permit, parameters: [] })),
    ...device.ports.map(({ ingress, egress }) => ({
      table: ports,
      keys: [ingress],
      action: cross,
      parameters: [egress],
    })),
    ...device.routes.map((r) => ({ table: ipv4Lpm, keys: [prefixOf(r.prefix)!], ...hopAction(r) })),
    ...device.steering.map((s) => ({
      table: steer,
      keys: [s.modelId, s.nextLayer],
      ...('group' in s ? { action: balance, parameters: [s.group] } : hopAction(s)),
    })),
    ...(device.balancing ?? []).flatMap(({ modelId, group, hops, goes }) =>
      goes.map((to, shard) => ({ table: shards, keys: [modelId, group, shard], ...hopAction(hops[to]!) })),
    ),
  ];
}

/** The same as P4Runtime has them. */
export const forwardingEntities = (device: Forwarding): Entity[] => forwardingEntries(device).map(entityOf);

/** An entry as an entity. A prefix of length 0 is left out, as P4Runtime wants "don't care". */
export function entityOf(entry: Entry): Entity {
  const encoded = tableEntry(entry);
  const match = (encoded.match ?? []).filter((m) => m.lpm === undefined || m.lpm.prefixLen !== 0);
  return { tableEntry: { ...encoded, match } };
}
