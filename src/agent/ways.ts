import { cross, drop, route } from '../backends/common/table-model.ts';
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
