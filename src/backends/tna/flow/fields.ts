import type { FeatureDefinition } from '../../../features/definition.ts';
import { mapParts, type Typed } from '../../../features/expression/index.ts';
import type { FieldName } from '../../../features/fields.ts';

/** A number that the parser of a program has found, or that ingress has made of such. */
export interface Found {
  /** P4 of it. */
  readonly text: string;
  readonly bits: number;
}

/** What the parser of the fixed part finds in IPv4, TCP and UDP. */
const FOUND: Partial<Record<FieldName, Found>> = {
  'ip.length': { text: 'hdr.ipv4.total_length', bits: 16 },
  'ip.dscp': { text: 'meta.dscp', bits: 8 },
  'ip.ecn': { text: 'meta.ecn', bits: 8 },
  'ip.ttl': { text: 'hdr.ipv4.ttl', bits: 8 },
  'ip.protocol': { text: 'hdr.ipv4.protocol', bits: 8 },
  'port.source': { text: 'hdr.ports.source', bits: 16 },
  'port.destination': { text: 'hdr.ports.destination', bits: 16 },
  'tcp.flags': { text: 'meta.tcp_flags', bits: 8 },
  'tcp.window': { text: 'meta.tcp_window', bits: 16 },
};

/** Fields that are the same for all packets that such a program classifies: IPv4 without options or tags, TCP or UDP. */
const SAME: Partial<Record<FieldName, number>> = {
  'vlan.id': 0,
  'ip.version': 4,
  'ip.header': 20,
  'is.icmp': 0,
  'icmp.type': 0,
  'icmp.code': 0,
};

const PROTOCOLS: Partial<Record<FieldName, number>> = { 'is.tcp': 6, 'is.udp': 17 };

/** Where a field of the packet is found, if it is. */
export const foundField = (name: FieldName): Found | undefined => FOUND[name];

/** Why a field is not there, with what helps; undefined where it is. */
export function fieldRefusal(name: FieldName): string | undefined {
  if (FOUND[name] !== undefined) return undefined;
  if (name === 'direction' || name === 'port.client' || name === 'port.server')
    return `${name} is of who began the flow, which is not kept: use key: five-tuple-one-way, where every packet is the client's`;
  if (name === 'frame.length')
    return 'frame.length is not known in ingress, where features are made: use ip.length';
  if (name === 'payload.length')
    return 'payload.length is a difference that the parser does not take: use ip.length';
  if (name.startsWith('payload.')) return 'payload bytes: the parser reads headers alone';
  return `${name} is not parsed`;
}

/** The expression with what this target knows of fields put in: constants, protocols by their numbers, and one-way flows. */
export function knownFields(e: Typed, definition: FeatureDefinition): Typed {
  return e.kind === 'field'
    ? knownField(e, definition)
    : mapParts(e, (inner) => knownFields(inner, definition));
}

function knownField(e: Typed & { readonly kind: 'field' }, { key }: FeatureDefinition): Typed {
  const constant = SAME[e.name] ?? (e.name === 'direction' && !key.bothWays ? 0 : undefined);
  if (constant !== undefined) return { kind: 'constant', value: constant, type: e.type };
  const protocol = PROTOCOLS[e.name];
  if (protocol !== undefined) {
    const left: Typed = { kind: 'field', name: 'ip.protocol', type: { kind: 'integer', most: 255 } };
    const right: Typed = { kind: 'constant', value: protocol, type: { kind: 'integer', most: protocol } };
    return { kind: 'operator', operator: '==', left, right, type: e.type };
  }
  if (key.bothWays) return e;
  if (e.name === 'port.client') return { ...e, name: 'port.source' };
  return e.name === 'port.server' ? { ...e, name: 'port.destination' } : e;
}
