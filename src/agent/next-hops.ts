import { type ActionModel, balance, cross, drop, route } from '../backends/common/table-model.ts';
import { nextHop, nextHopKinds } from '../dataplane/abi.ts';
import { toBigInt } from '../p4runtime/values.ts';
import type { PlainEntry } from './table-entry.ts';

/** A port whose packets go up to the host unless another table has a next hop for them. */
export const NO_HOP: Buffer = nextHop.encode({ kind: nextHopKinds.none });

/** An entry's action and parameters, as `hopOf` has encoded them; undefined for none. */
export function decodeHop(
  bytes: Buffer,
): { readonly action: ActionModel; readonly parameters: readonly (number | bigint)[] } | undefined {
  const hop = nextHop.decode(bytes);
  switch (Number(hop.kind)) {
    case nextHopKinds.cross:
      return { action: cross, parameters: [hop.port] };
    case nextHopKinds.route:
      return { action: route, parameters: [hop.source_mac, hop.destination_mac, hop.port] };
    case nextHopKinds.drop:
      return { action: drop, parameters: [] };
    case nextHopKinds.balance:
      return { action: balance, parameters: [hop.group] };
    default:
      return undefined;
  }
}

/** The action of an entry of `ports`, `steer`, `shards` or `ipv4_lpm` as `struct intransit_next_hop`. */
export function hopOf(entry: PlainEntry): Buffer {
  switch (entry.actionId) {
    case route.id:
      return nextHop.encode({
        kind: nextHopKinds.route,
        source_mac: toBigInt(entry.parameterBytes(0)),
        destination_mac: toBigInt(entry.parameterBytes(1)),
        port: entry.parameter(2),
      });
    case cross.id:
      return nextHop.encode({ kind: nextHopKinds.cross, port: entry.parameter(0) });
    case drop.id:
      return nextHop.encode({ kind: nextHopKinds.drop });
    case balance.id:
      return nextHop.encode({ kind: nextHopKinds.balance, group: entry.parameter(0) });
    default:
      throw new Error(`action ${entry.actionId} forwards nothing`);
  }
}
