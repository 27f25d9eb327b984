import type { Frame, LinkType } from '../capture/index.ts';
import { type FieldValues, PAYLOAD_BYTES, type PayloadName } from './fields.ts';

/** An IP packet whose headers were all there. */
export interface ParsedPacket {
  /** Without the directions, which only the flow knows: they are 0 and the ports of the packet. */
  readonly fields: FieldValues;
  /** 4 or 16 bytes. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

/** Why a frame has no flow: no IP; a fragment; IP within IP or GRE; headers that contradict themselves or are cut. */
export type Unparsed = 'foreign' | 'fragment' | 'tunnel' | 'damaged';

const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd, vlan: [0x8100, 0x88a8, 0x9100] } as const;
/** Stacked tags that are walked. */
export const MOST_TAGS = 4;
/** IPv6 extension headers that are walked. */
export const MOST_EXTENSIONS = 8;

const TCP = 6;
const UDP = 17;
const ICMP = [1, 58];
/** IPv4, IPv6, GRE: a packet within the packet. */
const TUNNELS = [4, 41, 47];
const FRAGMENT = 44;
const AUTHENTICATION = 51;
/** Hop-by-hop, routing, destination options, mobility, HIP, shim6: length in eight bytes, less the first eight. */
const EXTENSIONS = [0, 43, 60, 135, 139, 140];

/** Headers of a frame to fields. Never throws: whatever a frame holds, it is parsed or has its reason. */
export function parsePacket(frame: Pick<Frame, 'link' | 'data' | 'length'>): ParsedPacket | Unparsed {
  const { data } = frame;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const start = linkHeader(frame.link, view);
  if (typeof start === 'string') return start;
  const outer = {
    vlan: start.vlan,
    room: frame.length - start.at,
    frameLength: frame.length + (frame.link === 'ethernet' ? 0 : 14 - start.at),
  };
  const version = start.at < data.length ? data[start.at]! >> 4 : 0;
  if (start.type === ETHERTYPE.ipv4 || (start.type === undefined && version === 4))
    return ipv4(view, start.at, outer);
  if (start.type === ETHERTYPE.ipv6 || (start.type === undefined && version === 6))
    return ipv6(view, start.at, outer);
  return 'foreign';
}

interface Outer {
  /** Bytes from the network header to the frame's end, as sent: no packet is longer. */
  readonly room: number;
  readonly vlan: number;
  readonly frameLength: number;
}

/** Where the network header begins, and its Ethernet type where the link tells it. */
function linkHeader(link: LinkType, view: DataView): { at: number; type?: number; vlan: number } | Unparsed {
  const has = (bytes: number) => view.byteLength >= bytes;
  switch (link) {
    case 'raw':
      return { at: 0, vlan: 0 };
    case 'loopback':
      return has(4) ? { at: 4, vlan: 0 } : 'damaged';
    case 'linux-sll':
      return has(16) ? tags(view, 14) : 'damaged';
    case 'linux-sll2':
      return has(20) ? { at: 20, type: view.getUint16(0), vlan: 0 } : 'damaged';
    case 'ethernet':
      return has(14) ? tags(view, 12) : 'damaged';
  }
}

/** Where what a link carries begins, and its Ethernet type where the link says it. Not of Ethernet. */
export function linkStart(
  link: Exclude<LinkType, 'ethernet'>,
  data: Uint8Array,
): { at: number; type?: number } | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  // Tags that follow the header are left for whoever reads on.
  if (link === 'linux-sll') return data.length < 16 ? undefined : { at: 16, type: view.getUint16(14) };
  const start = linkHeader(link, view);
  return typeof start === 'string' ? undefined : start;
}

/** Walks the VLAN tags; `at` is where the first type stands. */
function tags(view: DataView, at: number): { at: number; type: number; vlan: number } | Unparsed {
  let vlan = 0;
  for (let count = 0; ; count++) {
    if (at + 2 > view.byteLength) return 'damaged';
    const type = view.getUint16(at);
    if (!(ETHERTYPE.vlan as readonly number[]).includes(type)) return { at: at + 2, type, vlan };
    if (count === MOST_TAGS) return 'foreign';
    if (at + 4 > view.byteLength) return 'damaged';
    if (count === 0) vlan = view.getUint16(at + 2) & 0xfff;
    at += 4;
  }
}

function ipv4(view: DataView, at: number, outer: Outer): ParsedPacket | Unparsed {
  if (at + 20 > view.byteLength) return 'damaged';
  const first = view.getUint8(at);
  const header = (first & 15) * 4;
  const length = view.getUint16(at + 2);
  if (first >> 4 !== 4 || header < 20 || length < header || length > outer.room) return 'damaged';
  if (at + header > view.byteLength) return 'damaged';
  // More fragments, or an offset.
  if (view.getUint16(at + 6) & 0x3fff) return 'fragment';
  return transport(view, at + header, length - header, view.getUint8(at + 9), {
    ...outer,
    version: 4,
    length,
    header,
    service: view.getUint8(at + 1),
    ttl: view.getUint8(at + 8),
    source: bytesOf(view, at + 12, 4),
    destination: bytesOf(view, at + 16, 4),
  });
}

function ipv6(view: DataView, at: number, outer: Outer): ParsedPacket | Unparsed {
  if (at + 40 > view.byteLength || view.getUint8(at) >> 4 !== 6) return 'damaged';
  const length = 40 + view.getUint16(at + 4);
  if (length > outer.room) return 'damaged';
  let next = view.getUint8(at + 6);
  let header = 40;
  for (let count = 0; EXTENSIONS.includes(next) || next === AUTHENTICATION; count++) {
    if (count === MOST_EXTENSIONS) return 'foreign';
    if (at + header + 2 > view.byteLength) return 'damaged';
    const units = view.getUint8(at + header + 1);
    const size = next === AUTHENTICATION ? (units + 2) * 4 : (units + 1) * 8;
    next = view.getUint8(at + header);
    header += size;
    if (header > length || at + header > view.byteLength) return 'damaged';
  }
  if (next === FRAGMENT) return 'fragment';
  return transport(view, at + header, length - header, next, {
    ...outer,
    version: 6,
    length,
    header,
    service: (view.getUint16(at) >> 4) & 0xff,
    ttl: view.getUint8(at + 7),
    source: bytesOf(view, at + 8, 16),
    destination: bytesOf(view, at + 24, 16),
  });
}

interface Network extends Outer {
  readonly version: 4 | 6;
  readonly length: number;
  readonly header: number;
  /** Traffic class: DSCP and ECN. */
  readonly service: number;
  readonly ttl: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

/** @param room bytes behind the IP header, by its length field */
function transport(
  view: DataView,
  at: number,
  room: number,
  protocol: number,
  ip: Network,
): ParsedPacket | Unparsed {
  if (TUNNELS.includes(protocol)) return 'tunnel';
  const fixed = protocol === TCP ? 20 : protocol === UDP ? 8 : ICMP.includes(protocol) ? 4 : undefined;
  if (fixed === undefined) return 'foreign';
  if (room < fixed || at + fixed > view.byteLength) return 'damaged';
  const isTcp = protocol === TCP;
  const header = isTcp ? (view.getUint8(at + 12) >> 4) * 4 : fixed;
  if (header < fixed || header > room) return 'damaged';
  const isIcmp = ICMP.includes(protocol);
  const [source, destination] = isIcmp ? [0, 0] : [view.getUint16(at), view.getUint16(at + 2)];
  const payload = room - header;
  return {
    source: ip.source,
    destination: ip.destination,
    fields: {
      'frame.length': ip.frameLength,
      'vlan.id': ip.vlan,
      'ip.version': ip.version,
      'ip.length': ip.length,
      'ip.header': ip.header,
      'ip.dscp': ip.service >> 2,
      'ip.ecn': ip.service & 3,
      'ip.ttl': ip.ttl,
      'ip.protocol': protocol,
      'is.tcp': isTcp ? 1 : 0,
      'is.udp': protocol === UDP ? 1 : 0,
      'is.icmp': isIcmp ? 1 : 0,
      'port.source': source,
      'port.destination': destination,
      'port.client': source,
      'port.server': destination,
      'tcp.flags': isTcp ? view.getUint8(at + 13) : 0,
      'tcp.window': isTcp ? view.getUint16(at + 14) : 0,
      'icmp.type': isIcmp ? view.getUint8(at) : 0,
      'icmp.code': isIcmp ? view.getUint8(at + 1) : 0,
      'payload.length': payload,
      direction: 0,
      ...payloadBytes(view, at + header, payload),
    },
  };
}

/** The transport of a packet, as definitions name it. */
export const transportOf = (f: FieldValues): 'tcp' | 'udp' | 'icmp' =>
  f['is.tcp'] ? 'tcp' : f['is.udp'] ? 'udp' : 'icmp';

type PayloadBytes = Readonly<Record<PayloadName, number>>;

function payloadBytes(view: DataView, at: number, length: number): PayloadBytes {
  const bytes: Record<PayloadName, number> = {};
  const end = Math.min(view.byteLength, at + length);
  for (let i = 0; i < PAYLOAD_BYTES; i++)
    bytes[`payload.byte${i}`] = at + i < end ? view.getUint8(at + i) : 0;
  return bytes;
}

const bytesOf = (view: DataView, at: number, length: number): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset + at, length);
