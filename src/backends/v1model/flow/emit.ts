import { endsAreTold, type Occasion } from '../../../features/definition.ts';
import { acceptance } from '../../common/flow/accepts.ts';
import { flowOutcomes } from '../../common/flow/outcomes.ts';
import { clonedEscalation, flowCounter, flowDigest } from '../../common/flow/tables.ts';
import { Printer } from '../../common/printer.ts';
import { INPUT } from '../code.ts';
import { hexId, printLayers } from '../print-program.ts';
import { printActions, printTreatment } from './emit-actions.ts';
import {
  answerLines,
  answerText,
  askDefines,
  isOwn,
  printAnswer,
  printAsking,
  printQuestion,
} from './emit-asking.ts';
import { againLines, finishingLines, printEnding, recallLines } from './emit-end.ts';
import { type FlowCode, flowCode } from './flow-code.ts';
import { FLOW, type FlowField } from './p4-printer.ts';
import { fieldLines, ipLines, keyLines, transportLines } from './packet-lines.ts';
import { type PlaceField, type V1modelFlowPlan, VERDICT_BITS, widthOf } from './plan.ts';
import { countEvent, isTaken, printInference, printUpdate, sliceOf } from './steps.ts';

/** What the program includes. */
export const FLOW_HEADERS = 'intransit_flow.p4';

/** The P4 program of a plan, without what it includes. @param test whether packets leave behind a report of their flow */
export function printFlowProgram(plan: V1modelFlowPlan, test = false): string {
  const p = new Printer();
  const { definition: d, compute } = plan;
  const code = flowCode(plan);
  p.comment('SPDX-License-Identifier: Apache-2.0')
    .comment(
      `${compute.model.name} of ${d.name}: flows classified as they pass. Made by intransit; do not edit.`,
    )
    .line('#include <core.p4>')
    .line('#include <v1model.p4>')
    .line();
  if (test) p.line('#define INTRANSIT_FLOW_TEST').line();
  if (endsAreTold(d))
    p.line('#define INTRANSIT_FLOW_AT_END')
      .line(`#define INTRANSIT_FLOW_FEATURE_BITS ${8 * d.features.length}`)
      .line();
  if (plan.asks) {
    for (const line of askDefines(plan)) p.line(line);
    p.line();
  }
  flowOutcomes.forEach(({ name }, i) => {
    p.line(`const bit<8> INTRANSIT_FLOW_${name.toUpperCase()} = ${i};`);
  });
  p.line();
  printHeaders(p, plan, code.fields, test);
  p.line('#include "intransit_flow.p4"').line();
  p.line(`#define INTRANSIT_ID_NO_WEIGHTS ${hexId(0x01_000008)}`).line();
  printLayers(p, compute);
  p.line();
  printIngress(p, plan, code, test);
  p.line()
    .line('V1Switch(')
    .indent(() => {
      p.line('FlowParser(), FlowNoChecksum(), FlowIngress(), FlowEgress(), FlowNoChecksum(), FlowDeparser()');
    });
  p.line(') main;');
  return p.toString();
}

function printHeaders(p: Printer, plan: V1modelFlowPlan, fields: readonly FlowField[], test: boolean): void {
  const { lowered } = plan.compute;
  const list = (all: readonly FlowField[]) => {
    for (const { name, width } of all) p.line(`bit<${width}> ${name};`);
    // BMv2 has headers of whole bytes.
    const rest = all.reduce((sum, { width }) => sum + width, 0) % 8;
    if (rest > 0) p.line(`bit<${8 - rest}> unused;`);
  };
  p.block('header activations_t', () => list(lowered.input)).line();
  p.block('header result_t', () =>
    list(lowered.output.map(({ width }, i) => ({ name: `part${i}`, width }))),
  ).line();
  p.block('header scratch_t', () => list([{ name: 'slot', width: 16 }, ...lowered.code.scratch])).line();
  p.block('header flow_t', () => list(fields)).line();
  p.comment('What the controller is told of flows that become a class.');
  p.block(`struct ${flowDigest(1, 0).name}`, () => {
    for (const f of flowDigest(plan.definition.features.length, 0).fields)
      p.line(`bit<${f.bits}> ${f.name};`);
  }).line();
  if (!test) return;
  p.comment('What a test is told, in front of the frame.');
  p.block('header report_t', () =>
    list([
      { name: 'time', width: 48 },
      { name: 'outcome', width: 8 },
      { name: 'known', width: 8 },
      { name: 'margin', width: 8 },
      { name: 'class', width: 8 },
      ...lowered.input,
      ...(endsAreTold(plan.definition)
        ? [
            { name: 'gone_known', width: 8 },
            { name: 'gone_class', width: 8 },
            { name: 'gone_margin', width: 8 },
            { name: 'gone_features', width: 8 * plan.definition.features.length },
          ]
        : []),
    ]),
  ).line();
}

// Long: the text of a control, in its order.
function printIngress(p: Printer, plan: V1modelFlowPlan, code: FlowCode, test: boolean): void {
  const { definition: d, place } = plan;
  const action = (name: string, lines: readonly string[]) => {
    p.line('@hidden');
    p.block(`action ${name}()`, () => {
      for (const line of lines) p.line(line);
    }).line();
  };
  const all: PlaceField = { low: 0, width: place.width };
  const putBack = [
    `${FLOW}.bucket = (${FLOW}.second == 0 ? ${sliceOf(all, `${FLOW}.bucket`, place.width)} ++ ${FLOW}.place : ${FLOW}.place ++ ${sliceOf(all, `${FLOW}.bucket`)});`,
  ];
  const bucket = (field: PlaceField, second: 0 | 1) => sliceOf(field, `${FLOW}.bucket`, second * place.width);
  p.block(
    'control FlowIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard)',
    () => {
      p.line(`@id(${hexId(flowCounter.id)})`).line(`@name(".${flowCounter.name}")`);
      p.line(`counter(${flowCounter.size}, CounterType.packets) ${flowCounter.name};`);
      p.line(`register<bit<${2 * place.width}>>(${plan.buckets}) flows;`);
      p.line('FlowPacket() packet;').line('IntransitLayers() layers;').line('bit<8> outcome;').line();
      printActions(p, plan);
      if (plan.asks) printAsking(p);
      action('fields', fieldLines(endsAreTold(d)));
      action('use_ipv4', ipLines('ipv4'));
      action('use_ipv6', ipLines('ipv6'));
      action('use_tcp', transportLines('tcp'));
      action('use_udp', transportLines('udp'));
      action('use_icmp', transportLines('icmp'));
      action('find_key', keyLines(plan));
      action('take_first', [`${FLOW}.place = ${bucket(all, 0)};`, `${FLOW}.second = 0;`]);
      action('take_second', [`${FLOW}.place = ${bucket(all, 1)};`, `${FLOW}.second = 1;`]);
      action('begin', [
        `${FLOW}.packets = 0;`,
        `${FLOW}.verdict = 0;`,
        `${FLOW}.begun = ${FLOW}.now[47:0];`,
        `${FLOW}.reply = 0;`,
        ...(endsAreTold(d) ? [`${FLOW}.finished = 0;`] : []),
        ...(plan.asks ? [`${FLOW}.larger = 0;`] : []),
        `${FLOW}.setValid();`,
        ...code.initial,
      ]);
      action('go_on', [
        `${FLOW}.packets = (bit<64>)${sliceOf(place.packets)};`,
        `${FLOW}.verdict = ${sliceOf(place.verdict)};`,
        `${FLOW}.begun = ${sliceOf(place.begun)};`,
        `${FLOW}.reply = (bit<64>)(${FLOW}.swapped ^ ${sliceOf(place.swapped)});`,
        // Whether its client is the higher end stays what it was.
        `${FLOW}.swapped = ${sliceOf(place.swapped)};`,
        ...(place.finished ? [`${FLOW}.finished = ${sliceOf(place.finished)};`] : []),
        ...(place.larger ? [`${FLOW}.larger = ${sliceOf(place.larger)};`] : []),
        ...code.load,
      ]);
      action('update', [
        `${FLOW}.packets = (${FLOW}.packets == 0xffffffff ? 64w0xffffffff : ${FLOW}.packets + 1);`,
        ...code.update,
        ...(endsAreTold(d) ? finishingLines(d) : []),
      ]);
      action('compute_features', code.features);
      action('take_verdict', [
        // A flow that becomes a class, or another than it had.
        `${FLOW}.told = ((${FLOW}.verdict[16:16] == 0 || ${FLOW}.verdict[15:8] != ${classText(plan)}) ? 1w1 : 1w0);`,
        `${FLOW}.verdict = 1w1 ++ ${verdictText(plan)};`,
      ]);
      action('store', [`${FLOW}.place = ${placeText(plan)};`, `${FLOW}.setValid();`, ...putBack]);
      if (plan.asks) action('keep_answer', answerLines(plan, putBack));
      if (endsAreTold(d)) {
        action(
          'stay',
          d.state.map((_, i) => `${FLOW}.a${i} = ${FLOW}.b${i};`),
        );
        action('recall', [`${FLOW}.gone = 1;`, `${FLOW}.verdict = 0;`, ...recallLines(plan)]);
        action('leave', [`${FLOW}.place = 0;`, ...putBack]);
      }
      p.block('apply', () => {
        p.line('packet.apply(hdr, meta, standard, outcome);').line(`${FLOW}.outcome = outcome;`);
        p.line(`${FLOW}.verdict = 0;`).line(`${FLOW}.told = 0;`);
        if (endsAreTold(d)) {
          p.line(`${FLOW}.gone = 0;`);
          p.block('if (standard.instance_type == INTRANSIT_FLOW_RESUBMITTED)', () =>
            p.line('standard.ingress_port = meta.port;'),
          );
        }
        const features = featuresText(plan);
        const flow = () => printFlow(p, plan, bucket);
        const isWhole = `${FLOW}.outcome == INTRANSIT_FLOW_CLASSIFIED`;
        if (plan.asks) {
          p.line(`${FLOW}.asks = 0;`)
            .line(`${FLOW}.is_answer = 0;`)
            .line(`${clonedEscalation.name}.apply();`);
          p.block(
            `if (${isWhole} && ${answerText()})`,
            () => printAnswer(p, plan),
            `} else if (${isWhole}) {`,
          );
          p.indent(flow).line('}');
        } else p.block(`if (${isWhole})`, flow);
        const last = () => {
          p.line(`${flowCounter.name}.count((bit<32>)${FLOW}.outcome);`);
          if (test) printReport(p, plan);
        };
        if (endsAreTold(d)) p.block(`if (${FLOW}.gone == 0)`, last);
        else last();
        const treat = () =>
          printTreatment(p, features, endsAreTold(d) ? againLines(test ? features : undefined) : undefined);
        if (!plan.asks) {
          treat();
          return;
        }
        p.block(`if (${FLOW}.is_answer == 1)`, () => p.line('mark_to_drop(standard);'), '} else {');
        p.indent(() => {
          treat();
          // Of one packet one clone is made: a copy for its class gives way.
          p.block(`if (${FLOW}.asks == 1)`, () =>
            p.line(
              'clone_preserving_field_list(CloneType.I2E, (bit<32>)meta.ask_session, INTRANSIT_FLOW_QUESTION);',
            ),
          );
        }).line('}');
      });
    },
  );
}

// Long: the text of a control, in its order.
function printFlow(
  p: Printer,
  plan: V1modelFlowPlan,
  bucket: (f: PlaceField, second: 0 | 1) => string,
): void {
  const { definition: d, place } = plan;
  const seen = (text: string) => `(${FLOW}.now - (bit<64>)${text})`;
  p.line('fields();');
  p.block('if (hdr.ipv4.isValid())', () => p.line('use_ipv4();'), '} else {');
  p.indent(() => p.line('use_ipv6();')).line('}');
  p.block('if (hdr.tcp.isValid())', () => p.line('use_tcp();'), '} else if (hdr.udp.isValid()) {');
  p.indent(() => p.line('use_udp();')).line('} else {');
  p.indent(() => p.line('use_icmp();')).line('}');
  p.block(
    `if (!(${acceptance(d, `${FLOW}.`)}))`,
    () => p.line(`${FLOW}.outcome = INTRANSIT_FLOW_FOREIGN;`),
    '} else {',
  );
  p.indent(() => {
    p.line('find_key();').line('flow_secret.apply();');
    p.block('@atomic', () => {
      p.line(`flows.read(${FLOW}.bucket, ${FLOW}.index);`);
      p.line(`${FLOW}.fresh = 0;`);
      p.block(
        `if (${bucket(place.match, 0)} == ${FLOW}.match)`,
        () => p.line('take_first();'),
        `} else if (${bucket(place.match, 1)} == ${FLOW}.match) {`,
      );
      p.indent(() => p.line('take_second();')).line('} else {');
      p.indent(() => {
        p.line(`${FLOW}.fresh = 1;`);
        p.block(
          `if (${bucket(place.seen, 0)} <= ${bucket(place.seen, 1)})`,
          () => p.line('take_first();'),
          '} else {',
        );
        p.indent(() => p.line('take_second();')).line('}');
        p.block(`if (${isTaken(plan)})`, () => {
          p.block(
            `if (${seen(sliceOf(place.seen))} <= ${d.table.keep})`,
            () => p.line(`${FLOW}.outcome = INTRANSIT_FLOW_COLLIDED;`),
            '} else {',
          );
          p.indent(() => countEvent(p, 'evicted')).line('}');
        });
      }).line('}');
      p.block(`if (${FLOW}.outcome == INTRANSIT_FLOW_CLASSIFIED)`, () => {
        for (const [limit, from] of [
          [d.idleTimeout, place.seen],
          [d.activeTimeout, place.begun],
        ] as const)
          if (Number.isFinite(limit))
            p.block(`if (${FLOW}.fresh == 0 && ${seen(sliceOf(from))} > ${limit})`, () =>
              p.line(`${FLOW}.fresh = 1;`),
            );
        if (endsAreTold(d)) {
          printEnding(p, plan);
          p.line(`flows.write(${FLOW}.index, ${FLOW}.bucket);`);
          return;
        }
        printUpdate(p);
        p.block(
          plan.asks ? `if ((${dueText(d.occasion)}) && ${isOwn})` : `if (${dueText(d.occasion)})`,
          () => printInference(p, plan.asks ? () => printQuestion(p, featuresText(plan)) : undefined),
          `} else if (${FLOW}.verdict[${VERDICT_BITS - 1}:${VERDICT_BITS - 1}] == 1) {`,
        );
        p.indent(() => p.line(`${FLOW}.outcome = INTRANSIT_FLOW_CACHED;`)).line('} else {');
        p.indent(() => p.line(`${FLOW}.outcome = INTRANSIT_FLOW_EARLY;`)).line('}');
        p.line('store();').line(`flows.write(${FLOW}.index, ${FLOW}.bucket);`);
      });
    });
  }).line('}');
}

/** Tells the time, the outcome and the verdict; and the features where they were computed. */
function printReport(p: Printer, plan: V1modelFlowPlan): void {
  p.line('hdr.report.setValid();').line('hdr.report.time = standard.ingress_global_timestamp;');
  p.line(`hdr.report.outcome = ${FLOW}.outcome;`);
  p.line('hdr.report.known = 0;').line('hdr.report.margin = 0;').line('hdr.report.class = 0;');
  const late = endsAreTold(plan.definition) ? ` || ${FLOW}.outcome == INTRANSIT_FLOW_LATE` : '';
  p.block(`if (${FLOW}.outcome <= INTRANSIT_FLOW_EARLY${late})`, () => {
    p.line(`hdr.report.known = (bit<8>)${FLOW}.verdict[16:16];`);
    p.line(`hdr.report.class = ${FLOW}.verdict[15:8];`).line(`hdr.report.margin = ${FLOW}.verdict[7:0];`);
  });
  p.block(`if (${INPUT}.isValid())`, () => {
    for (const { name } of plan.compute.lowered.input) p.line(`hdr.report.${name} = ${INPUT}.${name};`);
  });
  if (!endsAreTold(plan.definition)) return;
  // Of a first pass nothing is left where there was none.
  p.line('hdr.report.gone_known = (bit<8>)meta.gone_verdict[16:16];');
  p.line('hdr.report.gone_class = meta.gone_verdict[15:8];');
  p.line('hdr.report.gone_margin = meta.gone_verdict[7:0];');
  p.line('hdr.report.gone_features = meta.gone_features;');
  p.block('if (standard.instance_type == INTRANSIT_FLOW_RESUBMITTED)', () =>
    p.line('hdr.report.time = meta.time;'),
  );
}

/** Class and margin, as the result has them. */
function verdictText({ compute }: V1modelFlowPlan): string {
  return compute.lowered.output.map((_, i) => `hdr.result.part${i}`).join(' ++ ');
}

/** The class of a result, which comes first. */
function classText({ compute }: V1modelFlowPlan): string {
  const [first] = compute.lowered.output;
  return first!.width === 8
    ? 'hdr.result.part0'
    : `hdr.result.part0[${first!.width - 1}:${first!.width - 8}]`;
}

/** The features as one number, the first highest. */
const featuresText = ({ definition }: V1modelFlowPlan): string =>
  definition.features.map((_, i) => `${FLOW}.x${i}[7:0]`).join(' ++ ');

/** A place from its parts, the highest first. */
function placeText({ definition: d, place }: V1modelFlowPlan): string {
  const parts: [PlaceField, string][] = [
    [place.match, `${FLOW}.match`],
    [place.seen, `${FLOW}.now[47:0]`],
    [place.begun, `${FLOW}.begun`],
    [place.packets, `${FLOW}.packets[31:0]`],
    [place.swapped, `${FLOW}.swapped`],
    [place.verdict, `${FLOW}.verdict`],
    ...(place.larger ? [[place.larger, `${FLOW}.larger`] as [PlaceField, string]] : []),
    ...(place.finished ? [[place.finished, `${FLOW}.finished`] as [PlaceField, string]] : []),
    ...d.state.map((s, i): [PlaceField, string] => [place.state[i]!, `${FLOW}.a${i}[${widthOf(s) - 1}:0]`]),
  ];
  return parts
    .sort(([a], [b]) => b.low - a.low)
    .map(([, text]) => text)
    .join(' ++ ');
}

function dueText(occasion: Occasion): string {
  const n = `${FLOW}.packets`;
  switch (occasion.kind) {
    case 'every-packet':
      return 'true';
    case 'powers-of-two':
      return `${n} & (${n} - 1) == 0`;
    case 'packets':
      return occasion.numbers.map((k) => `${n} == ${k}`).join(' || ');
    case 'end':
      throw new Error("a flow's end is found by its flags and times");
  }
}
