import { flowOutcomes } from '../../common/flow/outcomes.ts';
import { classCounter, FLOW_CLASSES, flowCounter } from '../../common/flow/tables.ts';
import { Printer } from '../../common/printer.ts';
import type { TnaPlan } from '../plan.ts';
import {
  printCrossings,
  printEgressBlocks,
  printIngressBlocks,
  printOpening,
  printPipeline,
} from '../print-controls.ts';
import { crossingFields, printLayers, printOutputs, workFields } from '../print-layers.ts';
import { crossings } from '../tables.ts';
import type { FlowFront, KeyWord } from './plan.ts';
import { fieldBits, keyPairs, printKeyPair, printOwners, printRegister } from './print-registers.ts';
import type { FunctionTable } from './sources.ts';
import { decide, discard, flowModel, functionModel, mark, treatments } from './tables.ts';

/** What the program includes. */
export const FLOW_HEADERS = 'intransit_tna_flow.p4';

/** TNA P4_16: ingress finds the flow, makes its features and computes; egress computes the rest, and treats by the class. */
export function printTnaFlow(network: TnaPlan, front: FlowFront): string {
  const p = new Printer();
  const { chip, model } = network;
  const { definition: d } = front;
  printOpening(p, `${model.name} of ${d.name} for ${chip.name}: flows classified as they pass.`, chip).line();
  for (const protocol of d.protocols) p.line(`#define FLOW_${protocol.toUpperCase()}`);
  flowOutcomes.forEach(({ name }, i) => {
    p.line(`const bit<8> FLOW_${name.toUpperCase()} = ${i};`);
  });
  p.line();
  // It stands before a declaration, whichever.
  if (chip.egressParsed !== undefined) p.line('@pragma egress_intrinsic_metadata_opt');
  printTypes(p, network, front);
  p.line(`#include "${FLOW_HEADERS}"`).line();
  printIngress(p, network, front);
  printEgress(p, network);
  printPipeline(p);
  return p.toString();
}

function printTypes(p: Printer, network: TnaPlan, front: FlowFront): void {
  p.block('header bridge_t', () => {
    p.line('bit<8> outcome;').line('bit<7> unused;').line('bit<1> version;');
    for (const line of crossingFields(network)) p.line(line);
  }).line();
  p.block('struct ingress_metadata_t', () => {
    for (const [name, bits] of ingressFields(front)) p.line(`bit<${bits}> ${name};`);
    for (const line of workFields(network, 'ingress')) p.line(line);
  });
  // Each in a container of its own: tables of one stage set them.
  for (const i of front.definition.features.keys()) p.line(`@pa_container_size("ingress", "meta.f${i}", 8)`);
  p.block('struct egress_metadata_t', () => {
    p.line('bit<8> class;');
    for (const line of workFields(network, 'egress')) p.line(line);
  });
  p.line('struct owner_t { int<32> id; int<32> seen; }')
    .line('struct pair_t { bit<32> low; bit<32> high; }')
    .line();
}

/** Fields of ingress that are no sums. */
function ingressFields({
  registers,
  tables,
  extrema,
  durations,
  features,
  words,
  slotBits,
}: FlowFront): readonly (readonly [string, number])[] {
  const pairs = Math.ceil(words.length / 2);
  return [
    ['tcp_flags', 8],
    ['tcp_window', 16],
    ['dscp', 8],
    ['ecn', 8],
    ...words.map((w) => [`key_${w}`, 32] as const),
    ['over', 32],
    ['under', 32],
    ['ports_over', 16],
    ['id', 32],
    ['slot', slotBits],
    ['now_low', 32],
    ['now_high', 32],
    ['before', 32],
    ['fresh', 8],
    ...Array.from({ length: pairs }, (_, i) => [`same_${i}`, 8] as const),
    ...extrema.map(({ name }) => [name, 16] as const),
    ...registers.map(({ name, bits }) => [name, bits] as const),
    ...durations.flatMap(({ name }) => [[`${name}_low`, 32] as const, [`${name}_high`, 32] as const]),
    ...tables.flatMap((t) => (t.to === `meta.${t.name}` ? [[t.name, fieldBits(t.bits)] as const] : [])),
    ...features.map((_, i) => [`f${i}`, 8] as const),
  ];
}

/** The words of the key as the packet has them, or with its ends changed over. */
function keyLines({ words, definition: { key } }: FlowFront, swapped: boolean): string[] {
  const [source, destination] = swapped
    ? (['destination', 'source'] as const)
    : (['source', 'destination'] as const);
  const port = (field: 'port.source' | 'port.destination', text: string) =>
    key.fields.includes(field) ? `hdr.ports.${text}` : '0';
  const lines: Record<KeyWord, readonly string[]> = {
    source: [`meta.key_source = hdr.ipv4.${source};`],
    destination: [`meta.key_destination = hdr.ipv4.${destination};`],
    ports: [
      `meta.key_ports[31:16] = ${port('port.source', source)};`,
      `meta.key_ports[15:0] = ${port('port.destination', destination)};`,
    ],
    protocol: swapped ? [] : ['meta.key_protocol = (bit<32>)hdr.ipv4.protocol;'],
  };
  return words.flatMap((word) => lines[word]);
}

function printPreparation(p: Printer, front: FlowFront): void {
  const { definition, extrema, features, durations, words, slotBits } = front;
  p.block('action prepare()', () => {
    for (const line of keyLines(front, false)) p.line(line);
    p.line('meta.now_low = standard.ingress_mac_tstamp[31:0];')
      .line('meta.now_high = standard.ingress_mac_tstamp[47:16];')
      .line('meta.dscp = (bit<8>)hdr.ipv4.dscp;')
      .line('meta.ecn = (bit<8>)hdr.ipv4.ecn;')
      .line('meta.fresh = 0;');
    for (const pair of keyPairs(front).keys()) p.line(`meta.same_${pair} = 0;`);
    for (const { name, operator, left, right } of extrema)
      p.line(`meta.${name} = ${operator}(${left}, ${right});`);
    if (!definition.key.bothWays) return;
    p.line('meta.over = hdr.ipv4.source |-| hdr.ipv4.destination;')
      .line('meta.under = hdr.ipv4.destination |-| hdr.ipv4.source;')
      .line('meta.ports_over = hdr.ports.source |-| hdr.ports.destination;');
  });
  p.block('action set_constants()', () => {
    for (const [i, feature] of features.entries())
      if (feature.kind === 'constant') p.line(`meta.f${i} = ${feature.value};`);
  });
  if (definition.key.bothWays) {
    p.block('action swap()', () => {
      for (const line of keyLines(front, true)) p.line(line);
    });
    p.comment('Ends compare by address, then by port; the lower one comes first.');
    p.block('table order', () => {
      p.line('key = { meta.over: ternary; meta.under: ternary; meta.ports_over: ternary; }')
        .line('actions = { swap; pass; }')
        .line('const default_action = swap();')
        .line('size = 4;');
      p.block('const entries =', () =>
        p.line('(0, 0, 0): pass();').line('(0, 0, _): swap();').line('(0, _, _): pass();'),
      );
    });
  }
  const key = `{ ${words.map((w) => `meta.key_${w}`).join(', ')} }`;
  p.line('Hash<bit<32>>(HashAlgorithm_t.CRC32) id_hash;')
    .line(`Hash<bit<${slotBits}>>(HashAlgorithm_t.CRC16) slot_hash;`)
    .line(`action find_id() { meta.id = id_hash.get(${key}); }`)
    .line(`action find_slot() { meta.slot = slot_hash.get(${key}); }`);
  for (const { name, register } of durations)
    p.block(`action ${name}()`, () =>
      p
        .line(`meta.${name}_low = meta.now_low - meta.${register}_low;`)
        .line(`meta.${name}_high = meta.now_high - meta.${register}_high;`),
    );
  p.line();
}

function printFunction(p: Printer, tables: readonly FunctionTable[], t: FunctionTable): void {
  const { name, keys, actions, size } = functionModel(tables, t);
  const [set] = actions;
  p.line(`action ${set!.name}(bit<${set!.parameters[0]!.bits}> value) { ${t.to} = value; }`);
  p.block(`table ${name}`, () => {
    const texts = [...(t.beyond === undefined ? [] : [`${t.beyond}[31:16]`]), t.key.text];
    p.line(`key = { ${texts.map((text, k) => `${text}: ternary @name("${keys[k]!.name}");`).join(' ')} }`);
    p.line(`actions = { ${set!.name}; pass; }`)
      .line(
        `const default_action = ${t.beyond === undefined ? 'pass()' : `${set!.name}(${t.pieces.levels.at(-1)})`};`,
      )
      .line(`size = ${size};`);
  }).line();
}

/** What is applied before the network, in the order of its stages. */
function appliedFront(front: FlowFront): string[] {
  const { tables, registers, durations, placed } = front;
  const stageOf = (name: string) => placed.find((s) => s.name === name)!.stage;
  const items = [
    ...tables.map(({ name }) => ({ stage: stageOf(name), text: `${name}.apply();` })),
    ...registers.map(({ name }) => ({ stage: stageOf(name), text: `${name}_steps.apply();` })),
    ...durations.map(({ name }) => ({ stage: stageOf(name), text: `${name}();` })),
  ];
  return items.sort((a, b) => a.stage - b.stage).map(({ text }) => text);
}

// Long: the text of a control, in its order.
function printIngress(p: Printer, network: TnaPlan, front: FlowFront): void {
  printIngressBlocks(p, 'IntransitFlowFrame', 'packet, hdr, meta', () => {
    printCrossings(p);
    p.line(`action ${decide.name}(bit<1> version) { hdr.bridge.version = version; }`);
    p.block(`table ${flowModel.name}`, () =>
      p.line(`actions = { ${decide.name}; }`).line(`default_action = ${decide.name}(0);`).line('size = 1;'),
    ).line();
    printPreparation(p, front);
    printOwners(p, front);
    for (const [pair, words] of keyPairs(front).entries()) printKeyPair(p, front, pair, words);
    for (const t of front.tables) printFunction(p, front.tables, t);
    for (const r of front.registers) printRegister(p, front, r);
    const applied = printLayers(p, network, 'ingress');
    p.block('apply', () => {
      p.line(`${crossings.name}.apply();`);
      p.block('if (hdr.bridge.outcome == FLOW_CLASSIFIED)', () => {
        p.line(`${flowModel.name}.apply();`).line('prepare();');
        if (front.features.some((f) => f.kind === 'constant')) p.line('set_constants();');
        if (front.definition.key.bothWays) p.line('order.apply();');
        p.line('find_id();').line('find_slot();');
        p.line('meta.before = (bit<32>)claim.execute(meta.slot);');
        p.line('if (meta.before == meta.id) { tell_known(); } else if (meta.before != 0) { tell_fresh(); }');
        for (const pair of keyPairs(front).keys()) p.line(`key_${pair}_steps.apply();`);
        for (const line of appliedFront(front)) p.line(line);
        const own = keyPairs(front).map((_, pair) => `meta.same_${pair} == 1`);
        p.block(
          `if (${own.join(' && ')})`,
          () => {
            for (const line of applied) p.line(line);
          },
          '} else {',
        );
        p.indent(() => p.line('hdr.bridge.outcome = FLOW_COLLIDED;')).line('}');
      });
    });
  });
}

// Long: the text of a control, in its order.
function printEgress(p: Printer, network: TnaPlan): void {
  const parser = () => {
    p.block('state start', () =>
      p
        .line('packet.extract(standard);')
        .line('packet.extract(hdr.bridge);')
        .line('packet.extract(hdr.ethernet);')
        .line('transition select(hdr.bridge.outcome) { FLOW_CLASSIFIED: ipv4; default: accept; }'),
    );
    p.block('state ipv4', () => p.line('packet.extract(hdr.ipv4);').line('transition accept;'));
  };
  const control = () => {
    const applied = [...printLayers(p, network, 'egress'), ...printOutputs(p, network)];
    p.block(`action ${mark.name}(bit<6> dscp)`, () =>
      p.line('hdr.ipv4.dscp = dscp;').line('hdr.marked.setValid();'),
    );
    p.line(`action ${discard.name}() { for_deparser.drop_ctl = 1; }`);
    p.block(`table ${treatments.name}`, () =>
      p
        .line('key = { meta.class: exact @name("class"); }')
        .line(`actions = { ${mark.name}; ${discard.name}; pass; }`)
        .line('const default_action = pass();')
        .line(`size = ${treatments.size};`),
    );
    p.line(`Counter<bit<32>, bit<8>>(${FLOW_CLASSES}, CounterType_t.PACKETS_AND_BYTES) ${classCounter.name};`)
      .line(`Counter<bit<32>, bit<8>>(${flowCounter.size}, CounterType_t.PACKETS) ${flowCounter.name};`)
      .line();
    p.block('apply', () => {
      p.block('if (hdr.bridge.outcome == FLOW_CLASSIFIED)', () => {
        for (const line of applied) p.line(line);
        p.line(`${treatments.name}.apply();`).line(`${classCounter.name}.count(meta.class);`);
      });
      p.line(`${flowCounter.name}.count(hdr.bridge.outcome);`);
    });
  };
  printEgressBlocks(p, {
    parser,
    control,
    changed: 'marked',
    typeOfService: ['dscp', 'ecn'],
    emitted: ['ethernet', 'ipv4'],
  });
}
