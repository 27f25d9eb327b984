import type { XdpPlan } from '../../src/backends/xdp/plan.ts';
import { elementCount } from '../../src/model/tensor.ts';
import {
  encodeFrame,
  encodePacket,
  type FrameAddresses,
  fieldOffset,
  type HeaderFieldName,
  headerFields,
  OUTER_BYTES,
  type RequestOptions,
  requestPacket,
} from '../../src/wire/index.ts';
import { type Random, randomRows } from './random.ts';

export const addresses: FrameAddresses = {
  sourceMac: Uint8Array.of(2, 0, 0, 0, 0, 0xa1),
  destinationMac: Uint8Array.of(2, 0, 0, 0, 0, 0xb2),
  sourceIp: Uint8Array.of(198, 51, 100, 7),
  destinationIp: Uint8Array.of(203, 0, 113, 200),
  sourcePort: 40_001,
  destinationPort: 18_858,
};

/** A request of the plan's shape as a whole frame, both checksums right. */
export function requestFrame(
  plan: XdpPlan,
  row: Uint8Array,
  change: Partial<RequestOptions> = {},
): Uint8Array {
  const packet = requestPacket(row, {
    modelId: plan.options.modelId,
    modelVersion: plan.options.modelVersion,
    layerCount: plan.model.layers.length,
    nextLayer: plan.options.from,
    element: plan.input.element,
    jobId: 0x0123456789abcdefn,
    sequence: 0xdeadbeef,
    ...change,
  });
  return encodeFrame({ ...addresses, destinationPort: plan.options.port }, encodePacket(packet));
}

export const randomRequest = (r: Random, plan: XdpPlan): Uint8Array =>
  requestFrame(plan, randomRows(r, 1, elementCount(plan.input.shape)));

/** The frame with one field of our header set; checksums are left as they were. */
export function withField(frame: Uint8Array, name: HeaderFieldName, value: number): Uint8Array {
  const copy = Uint8Array.from(frame);
  const bytes = headerFields.find((f) => f.name === name)!.bits / 8;
  for (let i = 0; i < bytes; i++)
    copy[OUTER_BYTES + fieldOffset(name) + i] = Math.floor(value / 2 ** (8 * (bytes - 1 - i)));
  return copy;
}

export function withBytes(frame: Uint8Array, at: number, ...bytes: number[]): Uint8Array {
  const copy = Uint8Array.from(frame);
  copy.set(bytes, at);
  return copy;
}

/** The frame with bytes behind it. */
export function padded(frame: Uint8Array, count: number, value = 0): Uint8Array {
  const copy = new Uint8Array(frame.length + count).fill(value);
  copy.set(frame);
  return copy;
}

/** RFC 1071 by another way than the code under test: digits of base 65535. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0n;
  for (const part of parts)
    for (let i = 0; i < part.length; i += 2) sum += (BigInt(part[i]!) << 8n) + BigInt(part[i + 1] ?? 0);
  const rest = Number(sum % 0xffffn);
  return 0xffff - (rest === 0 && sum > 0n ? 0xffff : rest);
}

/** What a sender's UDP checksum may say. */
export type UdpSum = 'right' | 'absent' | 'partial';

/**
 * The frame with another UDP checksum: one that fits what is in it, none, or that of the pseudo-header alone, as Linux leaves
 * it in packets whose sum it wants an interface to finish.
 */
export function withUdpSum(frame: Uint8Array, sum: UdpSum): Uint8Array {
  const copy = withBytes(frame, 40, 0, 0);
  if (sum === 'absent') return copy;
  const length = new DataView(copy.buffer).getUint16(38);
  const pseudo = [copy.subarray(26, 34), Uint8Array.of(0, 17, length >> 8, length & 0xff)];
  const value =
    sum === 'partial'
      ? 0xffff - internetChecksum(...pseudo)
      : internetChecksum(...pseudo, copy.subarray(34, 34 + length)) || 0xffff;
  return withBytes(copy, 40, value >> 8, value & 0xff);
}

/** What the checksums of an IPv4/UDP frame come to: 0 is right; `udp` is undefined where the sender left it out. */
export function checksums(frame: Uint8Array): { ip: number; udp: number | undefined } {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const length = view.getUint16(38);
  const pseudo = Uint8Array.of(0, 17, length >> 8, length & 0xff);
  const udp = internetChecksum(frame.subarray(26, 34), pseudo, frame.subarray(34, 34 + length));
  return {
    ip: internetChecksum(frame.subarray(14, 34)),
    udp: view.getUint16(40) === 0 ? undefined : udp,
  };
}
