import type { Printer } from '../common/printer.ts';
import type { Gress } from './schedule.ts';
import { crossings } from './tables.ts';

/** What programs of requests and of flows have in common around the network: parsers, controls and deparsers, and where packets go. */

const BLOCK = { ingress: 'Ingress', egress: 'Egress' } as const satisfies Record<Gress, string>;

/** What each control may read and write beside headers and its own metadata. */
const CONTROL_PARAMETERS = {
  ingress: [
    'in ingress_intrinsic_metadata_t standard',
    'in ingress_intrinsic_metadata_from_parser_t from_parser',
    'inout ingress_intrinsic_metadata_for_deparser_t for_deparser',
    'inout ingress_intrinsic_metadata_for_tm_t for_tm',
  ],
  egress: [
    'in egress_intrinsic_metadata_t standard',
    'in egress_intrinsic_metadata_from_parser_t from_parser',
    'inout egress_intrinsic_metadata_for_deparser_t for_deparser',
    'inout egress_intrinsic_metadata_for_output_port_t for_port',
  ],
} as const satisfies Record<Gress, readonly string[]>;

/** @param body prints the parser's declarations and states */
export function printParser(p: Printer, gress: Gress, body: () => void): void {
  p.block(
    `parser ${BLOCK[gress]}Parser(packet_in packet, out headers_t hdr, out ${gress}_metadata_t meta, out ${gress}_intrinsic_metadata_t standard)`,
    body,
  ).line();
}

/** The control of all match-action stages of a gress. @param body prints what stands in it beside `pass`, which does nothing */
export function printControl(p: Printer, gress: Gress, body: () => void): void {
  const parameters = ['inout headers_t hdr', `inout ${gress}_metadata_t meta`, ...CONTROL_PARAMETERS[gress]];
  p.line(`control Intransit${BLOCK[gress]}(`).indent(() => {
    for (const [i, parameter] of parameters.entries())
      p.line(i < parameters.length - 1 ? `${parameter},` : parameter);
  });
  p.line(') {')
    .indent(() => {
      p.line('action pass() { }');
      body();
    })
    .line('}')
    .line();
}

/** The table of where packets of a port go. */
export function printCrossings(p: Printer): void {
  p.block('action cross(PortId_t port)', () => p.line('for_tm.ucast_egress_port = port;'));
  p.block(`table ${crossings.name}`, () => {
    p.line('key = { standard.ingress_port: exact @name("ingress_port"); }');
    p.line('actions = { cross; pass; }')
      .line('const default_action = pass();')
      .line(`size = ${crossings.size};`);
  }).line();
}

const printDeparser = (p: Printer, gress: Gress, body: () => void): Printer =>
  p
    .block(
      `control ${BLOCK[gress]}Deparser(packet_out packet, inout headers_t hdr, in ${gress}_metadata_t meta, in ${gress}_intrinsic_metadata_for_deparser_t for_deparser)`,
      body,
    )
    .line();

/** Ingress hands on all headers. */
export const printIngressDeparser = (p: Printer): Printer =>
  printDeparser(p, 'ingress', () => p.block('apply', () => p.line('packet.emit(hdr);')));

/**
 * @param changed the header whose being there says that IPv4 has another checksum
 * @param typeOfService fields of IPv4 of that byte
 * @param emitted headers of the packet
 */
export function printEgressDeparser(
  p: Printer,
  changed: string,
  typeOfService: readonly string[],
  emitted: readonly string[],
): void {
  const fields = [
    ...['version', 'ihl', ...typeOfService, 'total_length', 'identification', 'flags', 'fragment', 'ttl'],
    ...['protocol', 'source', 'destination'],
  ];
  const summed = fields.map((name) => `hdr.ipv4.${name}`).join(', ');
  printDeparser(p, 'egress', () => {
    p.line('Checksum() sum;');
    p.block('apply', () => {
      p.block(`if (hdr.${changed}.isValid())`, () =>
        p.line(`hdr.ipv4.checksum = sum.update({ ${summed} });`),
      );
      for (const header of emitted) p.line(`packet.emit(hdr.${header});`);
    });
  });
}

/** What a program ends with. */
export const printPipeline = (p: Printer): Printer =>
  p
    .line('Pipeline(')
    .line('    IngressParser(), IntransitIngress(), IngressDeparser(),')
    .line('    EgressParser(), IntransitEgress(), EgressDeparser()')
    .line(') pipe;')
    .line('Switch(pipe) main;');
