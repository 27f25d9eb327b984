import type { Activation } from '../../passes/tables/activation.ts';
import { Printer } from '../common/printer.ts';
import { bridgedLayer, pairsOf, type TnaLayer, type TnaPlan, type TnaTable } from './plan.ts';
import type { Gress, PlacedBlock } from './schedule.ts';
import { choices, crossings, tableModel } from './tables.ts';

/** TNA P4_16: ingress finds the version, computes and forwards; egress computes the rest and makes the answer. */
export function printTna(plan: TnaPlan): string {
  const p = new Printer();
  const { model, options, chip } = plan;
  p.comment('SPDX-License-Identifier: Apache-2.0')
    .comment(
      `Layers ${options.from}..${options.to} of ${model.name} for ${chip.name}. Made by intransit; do not edit.`,
    )
    .line('#include <core.p4>')
    .line(`#include <${chip.include}>`)
    .line('#include "intransit_wire.p4"')
    .line();
  // Metadata that nothing reads would count as parsed, too. It stands before a declaration, whichever.
  if (chip.egressParsed !== undefined) p.line('@pragma egress_intrinsic_metadata_opt');
  printConstants(p, plan);
  printTypes(p, plan);
  p.line('#include "intransit_tna.p4"').line();
  printIngress(p, plan);
  printEgress(p, plan);
  p.line('Pipeline(')
    .line('    IngressParser(), IntransitIngress(), IngressDeparser(),')
    .line('    EgressParser(), IntransitEgress(), EgressDeparser()')
    .line(') pipe;')
    .line('Switch(pipe) main;');
  return p.toString();
}

const HEADER_BYTES = 32;
const UDP_BYTES = 8;

const countOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

function printConstants(p: Printer, plan: TnaPlan): void {
  const { options, input, output, model } = plan;
  const [ins, outs] = [countOf(input.shape), countOf(output.shape)];
  p.line(`const bit<16> INTRANSIT_PORT = ${options.port};`)
    .line(`const bit<8> INTRANSIT_FIRST_LAYER = ${options.from};`)
    .line(`const bit<8> INTRANSIT_NEXT_LAYER = ${options.to};`)
    .line(`const bit<8> INTRANSIT_LAYER_COUNT = ${model.layers.length};`)
    .line(`const bit<16> INTRANSIT_INPUTS = ${ins};`)
    .line(`const bit<16> INTRANSIT_OUTPUTS = ${outs};`)
    .line(`const bit<8> INTRANSIT_INPUT_ELEMENT = INTRANSIT_ELEMENT_${input.element.toUpperCase()};`)
    .line(`const bit<8> INTRANSIT_OUTPUT_ELEMENT = INTRANSIT_ELEMENT_${output.element.toUpperCase()};`)
    .line(`const bit<16> REQUEST_UDP_LENGTH = ${UDP_BYTES + HEADER_BYTES + ins};`)
    .line(`const bit<16> ANSWER_UDP_LENGTH = ${UDP_BYTES + HEADER_BYTES + outs};`)
    .line(`const bit<16> ANSWER_IPV4_LENGTH = ${20 + UDP_BYTES + HEADER_BYTES + outs};`)
    .line(
      `const bit<8> ANSWER_KIND = INTRANSIT_KIND_${options.to === model.layers.length ? 'RESULT' : 'REQUEST'};`,
    )
    .line();
}

/** A word of sums. The finished ones of the last layer of ingress stand in the header that goes on to egress. */
function wordName(plan: TnaPlan, layer: TnaLayer, set: number, word: number): string {
  if (set === 0 && layer === bridged(plan)) return `hdr.bridge.w${word}`;
  return `meta.${field(layer.layer, set, word)}`;
}

const field = (layer: number, set: number, word: number): string => `l${layer}_s${set}_w${word}`;

const bridged = ({ schedule, layers }: TnaPlan): TnaLayer | undefined => bridgedLayer(schedule, layers);

function printTypes(p: Printer, plan: TnaPlan): void {
  const bytes = (name: string, prefix: string, count: number) =>
    p
      .block(`header ${name}`, () => {
        for (let i = 0; i < count; i++) p.line(`bit<8> ${prefix}${i};`);
      })
      .line();
  const last = bridged(plan);
  p.block('header bridge_t', () => {
    p.line('bit<6> unused;').line('bit<1> computing;').line('bit<1> version;').line('bit<16> model_version;');
    for (let w = 0; w < (last?.words ?? 0); w++) p.line(`bit<${last!.wordBits}> w${w};`);
  }).line();
  bytes('activations_t', 'e', countOf(plan.input.shape));
  bytes('result_t', 'r', countOf(plan.output.shape));
  for (const gress of ['ingress', 'egress'] as const) {
    p.block(`struct ${gress}_metadata_t`, () => {
      for (const [i, layer] of plan.layers.entries()) {
        const block = plan.schedule.blocks[i]!;
        if (block.gress !== gress) continue;
        for (let set = layer === last ? 1 : 0; set < block.sets; set++)
          for (let w = 0; w < layer.words; w++)
            p.line(`bit<${layer.wordBits}> ${field(layer.layer, set, w)};`);
      }
      if (gress !== 'egress' || plan.program.verdict === undefined) return;
      if (plan.program.comparedSums === undefined)
        for (const element of plan.outputs.keys()) p.line(`bit<16> o${element};`);
      if (plan.layers.at(-1)?.differences !== true)
        for (const [i, j] of pairsOf(plan.outputs.length)) p.line(`bit<16> d${i}_${j};`);
    }).line();
  }
}

/** P4 of what a table matches. */
function keyText(plan: TnaPlan, { source }: Activation): string {
  if (source!.kind === 'byte') return `hdr.activations.e${source!.element}`;
  const layer = plan.layers.find((l) => l.layer === source!.layer)!;
  const name = wordName(plan, layer, 0, Math.floor(source!.output / layer.lanes));
  if (layer.lanes === 1) return name;
  const low = (source!.output % layer.lanes) * layer.bits;
  return `${name}[${low + layer.bits - 1}:${low}]`;
}

function printTable(p: Printer, plan: TnaPlan, table: TnaTable, body: readonly string[]): void {
  const { name, keys, actions, size } = tableModel(plan, table);
  const [action] = actions;
  const parameters = action!.parameters.map((q) => `bit<${q.bits}> ${q.name}`).join(', ');
  p.block(`action ${action!.name}(${parameters})`, () => {
    for (const line of body) p.line(line);
  });
  p.block(`table ${name}`, () => {
    p.block('key =', () => {
      p.line('hdr.bridge.version: exact @name("version");');
      for (const [k, key] of table.keys.entries())
        p.line(
          `${keyText(plan, key)}: ${table.isTernary ? 'ternary' : 'exact'} @name("${keys[k + 1]!.name}");`,
        );
    });
    // A table of one action, with an entry for each value of its key, needs no memory to match: the key is the address.
    const zeros = action!.parameters.map(() => '0').join(', ');
    if (table.isTernary)
      p.line(`actions = { ${action!.name}; pass; }`).line('const default_action = pass();');
    else p.line(`actions = { ${action!.name}; }`).line(`const default_action = ${action!.name}(${zeros});`);
    p.line(`size = ${size};`);
  }).line();
}

/** Actions and tables of one layer, and how its sets are added up. @returns what is applied */
function printLayer(p: Printer, plan: TnaPlan, layer: TnaLayer, block: PlacedBlock): string[] {
  const stageOf = new Map(plan.schedule.placed.map((s) => [s.name, s.stage]));
  const order = layer.tables.map((_, t) => t);
  const nameOf = (t: number) => tableModel(plan, layer.tables[t]!).name;
  order.sort((a, b) => (stageOf.get(nameOf(a)) ?? 0) - (stageOf.get(nameOf(b)) ?? 0) || a - b);
  for (const t of order) {
    const set = block.setOf[t]!;
    const isFirst = block.firsts.includes(t);
    printTable(
      p,
      plan,
      layer.tables[t]!,
      Array.from({ length: layer.words }, (_, w) => {
        const to = wordName(plan, layer, set, w);
        return `${to} = ${isFirst ? '' : `${to} + `}w${w};`;
      }),
    );
  }
  const applied = order.map((t) => `${nameOf(t)}.apply();`);
  for (let width = block.sets; width > 1; width = Math.ceil(width / 2)) {
    const half = Math.ceil(width / 2);
    p.block(`action join_${layer.layer}_${width}()`, () => {
      for (let set = 0; set + half < width; set++)
        for (let w = 0; w < layer.words; w++) {
          const to = wordName(plan, layer, set, w);
          p.line(`${to} = ${to} + ${wordName(plan, layer, set + half, w)};`);
        }
    }).line();
    applied.push(`join_${layer.layer}_${width}();`);
  }
  return applied;
}

function printLayers(p: Printer, plan: TnaPlan, gress: Gress): string[] {
  return plan.layers.flatMap((layer, i) => {
    const block = plan.schedule.blocks[i]!;
    return block.gress === gress ? printLayer(p, plan, layer, block) : [];
  });
}

const PASS = 'action pass() { }';

// Long: the text of a control, in its order.
function printIngress(p: Printer, plan: TnaPlan): void {
  p.block(
    'parser IngressParser(packet_in packet, out headers_t hdr, out ingress_metadata_t meta, out ingress_intrinsic_metadata_t standard)',
    () => {
      p.line('IntransitFrame() frame;');
      p.block('state start', () => {
        p.line('packet.extract(standard);')
          .line('packet.advance(PORT_METADATA_SIZE);')
          .line('hdr.bridge.setValid();')
          .line('frame.apply(packet, hdr);')
          .line('transition accept;');
      });
    },
  ).line();
  p.line('control IntransitIngress(').indent(() =>
    p
      .line('inout headers_t hdr,')
      .line('inout ingress_metadata_t meta,')
      .line('in ingress_intrinsic_metadata_t standard,')
      .line('in ingress_intrinsic_metadata_from_parser_t from_parser,')
      .line('inout ingress_intrinsic_metadata_for_deparser_t for_deparser,')
      .line('inout ingress_intrinsic_metadata_for_tm_t for_tm'),
  );
  p.line(') {').indent(() => {
    p.line(PASS);
    p.block('action choose(bit<1> version, bit<16> model_version)', () =>
      p
        .line('hdr.bridge.version = version;')
        .line('hdr.bridge.model_version = model_version;')
        .line('hdr.bridge.computing = 1;'),
    );
    p.block(`table ${choices.name}`, () => {
      p.line(
        'key = { hdr.intransit.model_id: exact @name("model_id"); hdr.intransit.model_version: exact @name("model_version"); }',
      );
      p.line('actions = { choose; pass; }')
        .line('const default_action = pass();')
        .line(`size = ${choices.size};`);
    });
    p.block('action cross(PortId_t port)', () => p.line('for_tm.ucast_egress_port = port;'));
    p.block(`table ${crossings.name}`, () => {
      p.line('key = { standard.ingress_port: exact @name("ingress_port"); }');
      p.line('actions = { cross; pass; }')
        .line('const default_action = pass();')
        .line(`size = ${crossings.size};`);
    }).line();
    const applied = printLayers(p, plan, 'ingress');
    p.block('apply', () => {
      p.line(`${crossings.name}.apply();`);
      p.block('if (hdr.activations.isValid())', () => {
        p.line(`${choices.name}.apply();`);
        for (const line of applied) p.line(line);
      });
    });
  });
  p.line('}').line();
  p.block(
    'control IngressDeparser(packet_out packet, inout headers_t hdr, in ingress_metadata_t meta, in ingress_intrinsic_metadata_for_deparser_t for_deparser)',
    () => p.block('apply', () => p.line('packet.emit(hdr);')),
  ).line();
}

function printEgress(p: Printer, plan: TnaPlan): void {
  p.block(
    'parser EgressParser(packet_in packet, out headers_t hdr, out egress_metadata_t meta, out egress_intrinsic_metadata_t standard)',
    () => {
      p.line('IntransitFrame() frame;');
      p.block('state start', () => {
        p.line('packet.extract(standard);').line('packet.extract(hdr.bridge);');
        p.line('frame.apply(packet, hdr);').line('transition accept;');
      });
    },
  ).line();
  p.line('control IntransitEgress(').indent(() =>
    p
      .line('inout headers_t hdr,')
      .line('inout egress_metadata_t meta,')
      .line('in egress_intrinsic_metadata_t standard,')
      .line('in egress_intrinsic_metadata_from_parser_t from_parser,')
      .line('inout egress_intrinsic_metadata_for_deparser_t for_deparser,')
      .line('inout egress_intrinsic_metadata_for_output_port_t for_port'),
  );
  p.line(') {').indent(() => {
    p.line(PASS).line();
    const applied = printLayers(p, plan, 'egress');
    applied.push(...printOutputs(p, plan));
    p.block('action answer()', () => {
      p.line('hdr.activations.setInvalid();')
        .line('hdr.result.setValid();')
        .line('hdr.intransit.kind = ANSWER_KIND;')
        .line('hdr.intransit.next_layer = INTRANSIT_NEXT_LAYER;')
        .line('hdr.intransit.model_version = hdr.bridge.model_version;')
        .line('hdr.intransit.element_type = INTRANSIT_OUTPUT_ELEMENT;')
        .line('hdr.intransit.element_count = INTRANSIT_OUTPUTS;')
        .line('hdr.udp.length = ANSWER_UDP_LENGTH;')
        .line('hdr.udp.checksum = 0;')
        .line('hdr.ipv4.total_length = ANSWER_IPV4_LENGTH;');
    }).line();
    p.block('apply', () =>
      p.block('if (hdr.bridge.computing == 1 && hdr.activations.isValid())', () => {
        for (const line of applied) p.line(line);
        p.line('answer();');
      }),
    );
  });
  p.line('}').line();
  const fields =
    'hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.tos, hdr.ipv4.total_length, hdr.ipv4.identification, hdr.ipv4.flags, ' +
    'hdr.ipv4.fragment, hdr.ipv4.ttl, hdr.ipv4.protocol, hdr.ipv4.source, hdr.ipv4.destination';
  p.block(
    'control EgressDeparser(packet_out packet, inout headers_t hdr, in egress_metadata_t meta, in egress_intrinsic_metadata_for_deparser_t for_deparser)',
    () => {
      p.line('Checksum() sum;');
      p.block('apply', () => {
        p.block('if (hdr.result.isValid())', () => p.line(`hdr.ipv4.checksum = sum.update({ ${fields} });`));
        for (const h of ['ethernet', 'ipv4', 'udp', 'intransit', 'activations', 'result'])
          p.line(`packet.emit(hdr.${h});`);
      });
    },
  ).line();
}

/** One table an element of the output; with a verdict, comparisons by pairs, and a table of their signs that knows the class. */
function printOutputs(p: Printer, plan: TnaPlan): string[] {
  const { verdict } = plan.program;
  const applied: string[] = [];
  for (const table of plan.program.comparedSums === undefined ? plan.outputs : []) {
    if (table.result.kind !== 'output') continue;
    const { element } = table.result;
    const to = verdict === undefined ? `hdr.result.r${element}` : `meta.o${element}`;
    const [constant] = table.rows[0]!.values;
    if (table.keys[0]!.source === undefined) {
      applied.push(`${to} = ${constant};`);
      continue;
    }
    printTable(p, plan, table, [`${to} = ${verdict === undefined ? 'value' : '(bit<16>)value'};`]);
    applied.push(`${tableModel(plan, table).name}.apply();`);
  }
  if (verdict === undefined) return applied;
  const pairs = pairsOf(plan.outputs.length);
  if (pairs.length === 0) return [...applied, 'hdr.result.r0 = 0;', 'hdr.result.r1 = 255;'];
  const last = plan.layers.at(-1)!;
  const comparedName = (i: number) =>
    plan.program.comparedSums === undefined ? `meta.o${i}` : wordName(plan, last, 0, i);
  if (!last.differences) {
    p.block('action compare()', () => {
      for (const [i, j] of pairs) p.line(`meta.d${i}_${j} = ${comparedName(i)} - ${comparedName(j)};`);
    });
    applied.push('compare();');
  }
  p.block('action tell(bit<8> number)', () => p.line('hdr.result.r0 = number;').line('hdr.result.r1 = 255;'));
  p.block('table classes', () => {
    p.block('key =', () => {
      for (const [k, [i, j]] of pairs.entries())
        p.line(`${last.differences ? wordName(plan, last, 0, k) : `meta.d${i}_${j}`}[15:15]: ternary;`);
    });
    p.line('actions = { tell; pass; }')
      .line('const default_action = pass();')
      .line(`size = ${plan.outputs.length};`);
    p.block('const entries =', () => {
      for (const t of plan.outputs.keys()) {
        // A negative difference says that the second is larger; of equals the first is the class.
        const signs = pairs.map(([i, j]) => (i === t ? '0' : j === t ? '1' : '_'));
        p.line(`(${signs.join(', ')}): tell(${t});`);
      }
    });
  }).line();
  return [...applied, 'classes.apply();'];
}
