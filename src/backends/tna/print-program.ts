import { Printer } from '../common/printer.ts';
import type { TnaPlan } from './plan.ts';
import {
  printCrossings,
  printEgressBlocks,
  printIngressBlocks,
  printOpening,
  printPipeline,
} from './print-controls.ts';
import { crossingFields, printLayers, printOutputs, workFields } from './print-layers.ts';
import { choices, crossings } from './tables.ts';

/** TNA P4_16: ingress finds the version, computes and forwards; egress computes the rest and makes the answer. */
export function printTna(plan: TnaPlan): string {
  const p = new Printer();
  const { model, options, chip } = plan;
  printOpening(p, `Layers ${options.from}..${options.to} of ${model.name} for ${chip.name}.`, chip)
    .line('#include "intransit_wire.p4"')
    .line();
  // Metadata that nothing reads would count as parsed, too. It stands before a declaration, whichever.
  if (chip.egressParsed !== undefined) p.line('@pragma egress_intrinsic_metadata_opt');
  printConstants(p, plan);
  printTypes(p, plan);
  p.line('#include "intransit_tna.p4"').line();
  printIngress(p, plan);
  printEgress(p, plan);
  printPipeline(p);
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

function printTypes(p: Printer, plan: TnaPlan): void {
  const bytes = (name: string, prefix: string, count: number) =>
    p
      .block(`header ${name}`, () => {
        for (let i = 0; i < count; i++) p.line(`bit<8> ${prefix}${i};`);
      })
      .line();
  p.block('header bridge_t', () => {
    p.line('bit<6> unused;').line('bit<1> computing;').line('bit<1> version;').line('bit<16> model_version;');
    for (const line of crossingFields(plan)) p.line(line);
  }).line();
  bytes('activations_t', 'e', countOf(plan.input.shape));
  bytes('result_t', 'r', countOf(plan.output.shape));
  for (const gress of ['ingress', 'egress'] as const) {
    p.block(`struct ${gress}_metadata_t`, () => {
      for (const line of workFields(plan, gress)) p.line(line);
    }).line();
  }
}

// Long: the text of a control, in its order.
function printIngress(p: Printer, plan: TnaPlan): void {
  printIngressBlocks(p, 'IntransitFrame', 'packet, hdr', () => {
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
    printCrossings(p);
    const applied = printLayers(p, plan, 'ingress');
    p.block('apply', () => {
      p.line(`${crossings.name}.apply();`);
      p.block('if (hdr.activations.isValid())', () => {
        p.line(`${choices.name}.apply();`);
        for (const line of applied) p.line(line);
      });
    });
  });
}

function printEgress(p: Printer, plan: TnaPlan): void {
  const parser = () => {
    p.line('IntransitFrame() frame;');
    p.block('state start', () => {
      p.line('packet.extract(standard);').line('packet.extract(hdr.bridge);');
      p.line('frame.apply(packet, hdr);').line('transition accept;');
    });
  };
  const control = () => {
    p.line();
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
  };
  printEgressBlocks(p, {
    parser,
    control,
    changed: 'result',
    typeOfService: ['tos'],
    emitted: ['ethernet', 'ipv4', 'udp', 'intransit', 'activations', 'result'],
  });
}
