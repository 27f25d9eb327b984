import type { KeyField } from '../../../features/definition-schema.ts';
import { FLOW } from './p4-printer.ts';
import { keyFieldBits, type V1modelFlowPlan } from './plan.ts';

/** Statements that take out of a packet's headers what flows are told apart by and features are made of. */

/** @param again whether packets may go through twice: they have the time of their arrival */
export const fieldLines = (again: boolean): string[] => [
  again
    ? `${FLOW}.now = (bit<64>)(standard.instance_type == INTRANSIT_FLOW_RESUBMITTED ? meta.time : standard.ingress_global_timestamp);`
    : `${FLOW}.now = (bit<64>)standard.ingress_global_timestamp;`,
  `${FLOW}.frame_length = (bit<64>)standard.packet_length;`,
  `${FLOW}.vlan_id = hdr.vlan[0].isValid() ? (bit<64>)hdr.vlan[0].id : 64w0;`,
  `${FLOW}.ip_header = (bit<64>)meta.ip_header;`,
  `${FLOW}.ip_protocol = (bit<64>)meta.protocol;`,
];

/** Statements that copy the fields of a parsed IP header into the header of the flow's work. */
export const ipLines = (version: 'ipv4' | 'ipv6'): string[] => [
  `${FLOW}.ip_version = ${version === 'ipv4' ? 4 : 6};`,
  `${FLOW}.ip_length = ${version === 'ipv4' ? '(bit<64>)hdr.ipv4.length' : '(bit<64>)hdr.ipv6.payload_length + 40'};`,
  `${FLOW}.ip_service = (bit<64>)hdr.${version}.service;`,
  `${FLOW}.ip_ttl = (bit<64>)hdr.${version}.ttl;`,
  `${FLOW}.source = (bit<128>)hdr.${version}.source;`,
  `${FLOW}.destination = (bit<128>)hdr.${version}.destination;`,
];

/** The same of the header behind it; fields that the protocol lacks become 0. */
export function transportLines(kind: 'tcp' | 'udp' | 'icmp'): string[] {
  const of = (name: string, field: string, kinds: readonly string[]) =>
    `${FLOW}.${name} = ${kinds.includes(kind) ? `(bit<64>)hdr.${kind}.${field}` : '0'};`;
  return [
    of('port_source', 'source', ['tcp', 'udp']),
    of('port_destination', 'destination', ['tcp', 'udp']),
    of('tcp_flags', 'flags', ['tcp']),
    of('tcp_window', 'window', ['tcp']),
    of('icmp_type', 'type', ['icmp']),
    of('icmp_code', 'code', ['icmp']),
  ];
}

const OTHER_END: Partial<Record<KeyField, KeyField>> = {
  'ip.source': 'ip.destination',
  'ip.destination': 'ip.source',
  'port.source': 'port.destination',
  'port.destination': 'port.source',
};

/** The key, the lower end first where both ways are one flow. */
export function keyLines(plan: V1modelFlowPlan): string[] {
  const { definition: d } = plan;
  const { fields, bothWays } = d.key;
  const text = (field: KeyField): string => {
    const bits = keyFieldBits(d, field);
    if (field === 'ip.dscp') return `(bit<6>)(${FLOW}.ip_service >> 2)`;
    const name =
      field.startsWith('ip.') && field !== 'ip.protocol' ? field.slice(3) : field.replace('.', '_');
    return `(bit<${bits}>)${FLOW}.${name}`;
  };
  const parts = fields.map((field) => {
    const other = bothWays ? OTHER_END[field] : undefined;
    return other === undefined ? text(field) : `(${FLOW}.swapped == 1 ? ${text(other)} : ${text(field)})`;
  });
  if (d.ipVersions.length > 1) parts.push(`(${FLOW}.ip_version == 6 ? 1w1 : 1w0)`);
  const ends = (end: string) => `(${FLOW}.${end} ++ ${FLOW}.port_${end}[15:0])`;
  return [
    `${FLOW}.swapped = ${bothWays ? `(${ends('destination')} < ${ends('source')} ? 1w1 : 1w0)` : '0'};`,
    `${FLOW}.setValid();`,
    `${FLOW}.match = 1w1 ++ ${parts.map((part) => `(${part})`).join(' ++ ')};`,
    `${FLOW}.setValid();`,
  ];
}
