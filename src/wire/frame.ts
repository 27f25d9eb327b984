import { OUTER_BYTES } from './header.ts';

/** Addresses of one Ethernet/IPv4/UDP frame. MACs and IPs as bytes. */
export interface FrameAddresses {
  readonly sourceMac: Uint8Array;
  readonly destinationMac: Uint8Array;
  readonly sourceIp: Uint8Array;
  readonly destinationIp: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

const ETHERTYPE_IPV4 = 0x0800;
const IP_PROTOCOL_UDP = 17;

/** One's complement sum of 16-bit words (RFC 1071), folded; an odd last byte is padded with zero. */
export function onesComplementSum(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** UDP checksum over pseudo-header, header and payload (RFC 768); a sum of 0 is sent as 0xffff. */
export function udpChecksum(sourceIp: Uint8Array, destinationIp: Uint8Array, datagram: Uint8Array): number {
  const pseudo = onesComplementSum(
    sourceIp,
    onesComplementSum(destinationIp, IP_PROTOCOL_UDP + datagram.length),
  );
  return ~onesComplementSum(datagram, pseudo) & 0xffff || 0xffff;
}

/** A whole frame around a UDP payload, both checksums right. */
export function encodeFrame(a: FrameAddresses, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(OUTER_BYTES + payload.length);
  const view = new DataView(frame.buffer);
  frame.set(a.destinationMac, 0);
  frame.set(a.sourceMac, 6);
  view.setUint16(12, ETHERTYPE_IPV4);
  view.setUint8(14, 0x45); // version 4, five words
  view.setUint16(16, 20 + 8 + payload.length);
  view.setUint8(22, 64); // TTL
  view.setUint8(23, IP_PROTOCOL_UDP);
  frame.set(a.sourceIp, 26);
  frame.set(a.destinationIp, 30);
  view.setUint16(24, ~onesComplementSum(frame.subarray(14, 34)) & 0xffff);
  view.setUint16(34, a.sourcePort);
  view.setUint16(36, a.destinationPort);
  view.setUint16(38, 8 + payload.length);
  frame.set(payload, OUTER_BYTES);
  view.setUint16(40, udpChecksum(a.sourceIp, a.destinationIp, frame.subarray(34)));
  return frame;
}

/** The UDP payload by the frame's own length fields; `undefined` where it is no whole UDP/IPv4 frame. */
export function framePayload(frame: Uint8Array): Uint8Array | undefined {
  if (frame.length < OUTER_BYTES) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getUint16(12) !== ETHERTYPE_IPV4 || view.getUint8(14) !== 0x45) return undefined;
  if (view.getUint8(23) !== IP_PROTOCOL_UDP) return undefined;
  const end = 34 + view.getUint16(38);
  return end > frame.length || end < OUTER_BYTES ? undefined : frame.subarray(OUTER_BYTES, end);
}
