import type { Printer } from '../common/printer.ts';
import type { Chip } from './chips.ts';
import { crossings } from './tables.ts';
import type { Gress } from './units.ts';

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

/** What a program begins with. */
export const printOpening = (p: Printer, title: string, chip: Chip): Printer =>
  p
    .comment('SPDX-License-Identifier: Apache-2.0')
    .comment(`${title} Made by intransit; do not edit.`)
    .line('#include <core.p4>')
    .line(`#include <${chip.include}>`);

/** @param body prints the parser's declarations and states */
function printParser(p: Printer, gress: Gress, body: () => void): void {
  p.block(
    `parser ${BLOCK[gress]}Parser(packet_in packet, out headers_t hdr, out ${gress}_metadata_t meta, out ${gress}_intrinsic_metadata_t standard)`,
    body,
  ).line();
}

/** The control of all match-action stages of a gress. @param body prints what stands in it beside `pass`, which does nothing */
function printControl(p: Printer, gress: Gress, body: () => void): void {
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

/**
 * Parser, control and deparser of the ingress, which hands on all headers.
 * @param frame the parser of the packet's headers
 * @param given what it is given
 * @param control prints what stands in the control
 */
export function printIngressBlocks(p: Printer, frame: string, given: string, control: () => void): void {
  printParser(p, 'ingress', () => {
    p.line(`${frame}() frame;`);
    p.block('state start', () => {
      p.line('packet.extract(standard);')
        .line('packet.advance(PORT_METADATA_SIZE);')
        .line('hdr.bridge.setValid();')
        .line(`frame.apply(${given});`)
        .line('transition accept;');
    });
  });
  printControl(p, 'ingress', control);
  printDeparser(p, 'ingress', () => p.block('apply', () => p.line('packet.emit(hdr);')));
}

/** What programs have of their own in the egress. */
export interface EgressBlocks {
  /** Prints the parser's declarations and states. */
  readonly parser: () => void;
  /** Prints what stands in the control. */
  readonly control: () => void;
  /** The header whose being there says that IPv4 has another checksum. */
  readonly changed: string;
  /** Fields of IPv4 of that byte. */
  readonly typeOfService: readonly string[];
  /** Headers of the packet. */
  readonly emitted: readonly string[];
}

/** Parser, control and deparser of the egress, which sums the IPv4 header where it was changed. */
export function printEgressBlocks(p: Printer, blocks: EgressBlocks): void {
  const { parser, control, changed, typeOfService, emitted } = blocks;
  printParser(p, 'egress', parser);
  printControl(p, 'egress', control);
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
