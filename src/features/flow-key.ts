import type { FeatureDefinition } from './definition.ts';
import type { KeyField } from './definition-schema.ts';
import type { ParsedPacket } from './packet.ts';

/** A packet's flow, and which way it goes there. */
export interface KeyOfPacket {
  /** The same text for all packets of a flow. */
  readonly text: string;
  /** Whether source and destination changed places for the key: the packet goes from its higher end to its lower. */
  readonly swapped: boolean;
}

const OTHER_END: Partial<Record<KeyField, KeyField>> = {
  'ip.source': 'ip.destination',
  'ip.destination': 'ip.source',
  'port.source': 'port.destination',
  'port.destination': 'port.source',
};

/**
 * The key of a packet: its fields in the definition's order; where both ways are one flow, with the lower end first.
 * Ends compare by address, then by port, as bytes.
 */
export function keyOfPacket(definition: FeatureDefinition, packet: ParsedPacket): KeyOfPacket {
  const { fields, bothWays } = definition.key;
  const swapped = bothWays && isHigher(packet);
  const parts = fields.map((field) => partOf((swapped ? OTHER_END[field] : undefined) ?? field, packet));
  return { text: `${packet.fields['ip.version']} ${parts.join(' ')}`, swapped };
}

function isHigher({ source, destination, fields }: ParsedPacket): boolean {
  for (let i = 0; i < source.length; i++)
    if (source[i] !== destination[i]) return source[i]! > destination[i]!;
  return fields['port.source'] > fields['port.destination'];
}

function partOf(field: KeyField, packet: ParsedPacket): string {
  if (field === 'ip.source') return hex(packet.source);
  if (field === 'ip.destination') return hex(packet.destination);
  return String(packet.fields[field]);
}

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
