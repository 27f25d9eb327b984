/** What a packet gives to expressions: headers, direction and time. All are whole numbers from 0 to `most`. */
export interface FieldDefinition {
  readonly most: number;
  readonly describe: string;
}

/** Payload bytes of one packet that an expression can name. */
export const PAYLOAD_BYTES = 32;

/**
 * Fields by name; the one definition for the reference, the targets and the documentation. A field of a header that the
 * packet lacks is 0.
 */
export const fields = {
  'frame.length': { most: 65_549, describe: 'Bytes of the frame from the Ethernet header on, as sent' },
  'vlan.id': { most: 4095, describe: 'Outermost VLAN id, 0 without a tag' },
  'ip.version': { most: 6, describe: '4 or 6' },
  'ip.length': {
    most: 65_575,
    describe: 'IPv4: total length; IPv6: 40 and the payload length. Bytes',
  },
  'ip.header': { most: 65_535, describe: 'Bytes of the IP header with options or extension headers' },
  'ip.dscp': { most: 63, describe: 'Differentiated services code point' },
  'ip.ecn': { most: 3, describe: 'Explicit congestion notification' },
  'ip.ttl': { most: 255, describe: 'IPv4: time to live; IPv6: hop limit' },
  'ip.protocol': { most: 255, describe: 'Protocol behind the IP header and its extensions' },
  'is.tcp': { most: 1, describe: '1 for TCP' },
  'is.udp': { most: 1, describe: '1 for UDP' },
  'is.icmp': { most: 1, describe: '1 for ICMP and ICMPv6' },
  'port.source': { most: 65_535, describe: 'TCP or UDP source port, 0 for ICMP' },
  'port.destination': { most: 65_535, describe: 'TCP or UDP destination port, 0 for ICMP' },
  'port.client': { most: 65_535, describe: "Port of the sender of the flow's first packet" },
  'port.server': { most: 65_535, describe: "Port of the receiver of the flow's first packet" },
  'tcp.flags': { most: 255, describe: 'FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128' },
  'tcp.window': { most: 65_535, describe: 'Window as sent, not scaled' },
  'icmp.type': { most: 255, describe: 'ICMP type' },
  'icmp.code': { most: 255, describe: 'ICMP code' },
  'payload.length': { most: 65_535, describe: 'Bytes behind the TCP, UDP or ICMP header, by the IP length' },
  direction: { most: 1, describe: "0 as the flow's first packet, 1 the other way" },
  ...payloadFields(),
} as const satisfies Record<string, FieldDefinition>;

/** As expressions write it. */
export type FieldName = keyof typeof fields | PayloadName;

/** The greatest value that a packet may have there. */
export const mostOfField = (name: FieldName): number =>
  (fields as Readonly<Record<string, FieldDefinition>>)[name]!.most;

/** Whether an expression's name is one of a packet's fields, not of a state variable. */
export const isField = (name: string): name is FieldName => Object.hasOwn(fields, name);

/** The values of one packet. */
export type FieldValues = Readonly<Record<FieldName, number>>;

/** A byte of what follows the transport header, counted from 0. */
export type PayloadName = `payload.byte${number}`;

function payloadFields(): Readonly<Record<PayloadName, FieldDefinition>> {
  const entries = Array.from({ length: PAYLOAD_BYTES }, (_, i): [PayloadName, FieldDefinition] => [
    `payload.byte${i}`,
    { most: 255, describe: `Byte ${i} of the payload, 0 where it is shorter` },
  ]);
  return Object.fromEntries(entries) as Record<PayloadName, FieldDefinition>;
}
