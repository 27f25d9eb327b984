import { type ActionModel, cross, drop, route } from '../backends/common/table-model.ts';
import { type PlainEntry, widened } from './table-entry.ts';

/** `enum intransit_way_kind` of ebpf/intransit_xdp.h. */
const wayKinds = { none: 0, cross: 1, route: 2, drop: 3 } as const;
const WAY_BYTES = 16;

/** `struct intransit_way`: what becomes of a packet that is forwarded. */
function encodeWay(
  kind: keyof typeof wayKinds,
  port = 0,
  sourceMac?: Uint8Array,
  destinationMac?: Uint8Array,
): Buffer {
  const bytes = Buffer.alloc(WAY_BYTES);
  bytes.writeUInt8(wayKinds[kind]);
  bytes.writeUInt16LE(port, 2);
  if (sourceMac !== undefined) bytes.set(widened(sourceMac, 6), 4);
  if (destinationMac !== undefined) bytes.set(widened(destinationMac, 6), 10);
  return bytes;
}

/** A port whose packets go up to the host unless another table has a way for them. */
export const NO_WAY = encodeWay('none');

/** An entry's action and parameters, as `encodeWay` has them; undefined for no way. */
export function decodeWay(
  way: Buffer,
): { readonly action: ActionModel; readonly parameters: readonly (number | bigint)[] } | undefined {
  const port = way.readUInt16LE(2);
  const mac = (at: number) => BigInt(`0x${way.toString('hex', at, at + 6)}`);
  switch (way.readUInt8(0)) {
    case wayKinds.cross:
      return { action: cross, parameters: [port] };
    case wayKinds.route:
      return { action: route, parameters: [mac(4), mac(10), port] };
    case wayKinds.drop:
      return { action: drop, parameters: [] };
    default:
      return undefined;
  }
}

export function wayOf(entry: PlainEntry): Buffer {
  switch (entry.actionId) {
    case route.id:
      return encodeWay('route', entry.parameter(2), entry.parameterBytes(0), entry.parameterBytes(1));
    case cross.id:
      return encodeWay('cross', entry.parameter(0));
    case drop.id:
      return encodeWay('drop');
    default:
      throw new Error(`action ${entry.actionId} forwards nothing`);
  }
}
