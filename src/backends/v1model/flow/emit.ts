import { endsAreTold } from '../../../features/definition.ts';
import { acceptance } from '../../common/flow/accepts.ts';
import { flowOutcomes } from '../../common/flow/outcomes.ts';
import { clonedEscalation, flowCounter, flowDigest } from '../../common/flow/tables.ts';
import { Printer } from '../../common/printer.ts';
import { INPUT } from '../code.ts';
import { hexId, printLayers, resultFields } from '../print-program.ts';
import { printClasses, printCounts, printModelSlot, printSecret, printTreatment } from './emit-actions.ts';
import { answerText, askDefines, printAnswer, printAsking } from './emit-asking.ts';
import { againLines, printSecondPass } from './emit-end.ts';
import {
  classText,
  featuresText,
  printFlow,
  printOwnActions,
  printPacketActions,
  printPacketFields,
  verdictLines,
  verdictText,
} from './emit-flow.ts';
import { type FlowCode, flowCode } from './flow-code.ts';
import { FLOW, type FlowField } from './p4-printer.ts';
import type { V1modelFlowPlan } from './plan.ts';

/** What the program includes. */
export const FLOW_HEADERS = 'intransit_flow.p4';

/** The P4 program of a plan, without what it includes. @param test whether packets leave behind a report of their flow */
export function printFlowProgram(plan: V1modelFlowPlan, test = false): string {
  const p = new Printer();
  const { definition: d, compute } = plan;
  const code = flowCode(plan);
  const reported = reportedOf(plan);
  printOpening(p, `${compute.model.name} of ${d.name}: flows classified as they pass.`, {
    ...reported,
    test,
    ...(plan.asks && { asks: askDefines(plan) }),
  });
  printHeaders(p, plan, code.fields);
  printDigest(p, reported.features);
  if (test) printReportHeader(p, reported);
  p.line('#include "intransit_flow.p4"').line();
  printLayers(p, compute);
  p.line();
  printIngress(p, plan, code, test);
  printPipeline(p);
  return p.toString();
}

/** What a control of the ingress is given. */
export const PARAMETERS = '(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard)';

/** What a program begins with. */
export function printOpening(
  p: Printer,
  title: string,
  o: Reported & { readonly test: boolean; readonly asks?: readonly string[] },
): void {
  p.comment('SPDX-License-Identifier: Apache-2.0')
    .comment(`${title} Made by intransit; do not edit.`)
    .line('#include <core.p4>')
    .line('#include <v1model.p4>')
    .line();
  if (o.test) p.line('#define INTRANSIT_FLOW_TEST').line();
  if (o.atEnd)
    p.line('#define INTRANSIT_FLOW_AT_END')
      .line(`#define INTRANSIT_FLOW_FEATURE_BITS ${8 * o.features}`)
      .line();
  if (o.asks !== undefined) {
    for (const line of o.asks) p.line(line);
    p.line();
  }
  flowOutcomes.forEach(({ name }, i) => {
    p.line(`const bit<8> INTRANSIT_FLOW_${name.toUpperCase()} = ${i};`);
  });
  p.line(`#define INTRANSIT_ID_NO_WEIGHTS ${hexId(0x01_000008)}`).line();
}

/** What a program ends with. */
export function printPipeline(p: Printer): void {
  p.line()
    .line('V1Switch(')
    .indent(() => {
      p.line('FlowParser(), FlowNoChecksum(), FlowIngress(), FlowEgress(), FlowNoChecksum(), FlowDeparser()');
    });
  p.line(') main;');
}

/** A header: BMv2 has those of whole bytes. */
export function printFields(p: Printer, name: string, fields: readonly FlowField[]): void {
  p.block(`header ${name}`, () => {
    for (const field of fields) p.line(`bit<${field.width}> ${field.name};`);
    const rest = fields.reduce((sum, { width }) => sum + width, 0) % 8;
    if (rest > 0) p.line(`bit<${8 - rest}> unused;`);
  }).line();
}

function printHeaders(p: Printer, plan: V1modelFlowPlan, fields: readonly FlowField[]): void {
  const { lowered } = plan.compute;
  printFields(p, 'activations_t', lowered.input);
  printFields(p, 'result_t', resultFields(lowered));
  printFields(p, 'scratch_t', [{ name: 'slot', width: 16 }, ...lowered.code.scratch]);
  printFields(p, 'flow_t', fields);
}

/** The struct of `flow_verdict`, in the order of its model's fields. */
export function printDigest(p: Printer, features: number): void {
  p.comment('What the controller is told of flows that become a class.');
  p.block(`struct ${flowDigest(1, 0).name}`, () => {
    for (const f of flowDigest(features, 0).fields) p.line(`bit<${f.bits}> ${f.name};`);
  }).line();
}

// Long: the text of a control, in its order.
function printIngress(p: Printer, plan: V1modelFlowPlan, code: FlowCode, test: boolean): void {
  const { definition: d, place } = plan;
  p.block(`control FlowIngress${PARAMETERS}`, () => {
    printCounts(p);
    p.line(`register<bit<${2 * place.width}>>(${plan.buckets}) flows;`);
    p.line('FlowPacket() packet;').line('IntransitLayers() layers;').line('bit<8> outcome;').line();
    printClasses(p);
    printModelSlot(p);
    printSecret(p, plan);
    if (plan.asks) printAsking(p);
    printPacketActions(p, endsAreTold(d));
    printOwnActions(p, plan, code, verdictLines(classText(plan), verdictText(plan)));
    p.block('apply', () => {
      p.line('packet.apply(hdr, meta, standard, outcome);').line(`${FLOW}.outcome = outcome;`);
      p.line(`${FLOW}.verdict = 0;`).line(`${FLOW}.told = 0;`);
      if (endsAreTold(d)) {
        p.line(`${FLOW}.gone = 0;`);
        printSecondPass(p);
      }
      const features = featuresText(plan);
      const flow = () => {
        printPacketFields(p);
        p.block(
          `if (!(${acceptance(d, `${FLOW}.`)}))`,
          () => p.line(`${FLOW}.outcome = INTRANSIT_FLOW_FOREIGN;`),
          '} else {',
        );
        p.indent(() => printFlow(p, plan)).line('}');
      };
      const isWhole = `${FLOW}.outcome == INTRANSIT_FLOW_CLASSIFIED`;
      if (plan.asks) {
        p.line(`${FLOW}.asks = 0;`).line(`${FLOW}.is_answer = 0;`).line(`${clonedEscalation.name}.apply();`);
        p.block(`if (${isWhole} && ${answerText()})`, () => printAnswer(p, plan), `} else if (${isWhole}) {`);
        p.indent(flow).line('}');
      } else p.block(`if (${isWhole})`, flow);
      const last = () => {
        p.line(`${flowCounter.name}.count((bit<32>)${FLOW}.outcome);`);
        if (test) printReport(p, reportedOf(plan));
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
  });
}

/** What a test is told of a packet, beyond time, outcome and verdict. */
export interface Reported {
  /** Of a flow: how many features it has at most. */
  readonly features: number;
  /** Fields of the report, and the statements that fill them. */
  readonly fields: readonly FlowField[];
  readonly lines: readonly string[];
  /** Whether packets may go through twice, and tell of flows that they found over. */
  readonly atEnd: boolean;
  /** Whether packets whose flow has found no place may have a verdict. */
  readonly collided: boolean;
}

/** The features where they were computed. */
const reportedOf = ({ definition, compute: { lowered } }: V1modelFlowPlan): Reported => ({
  features: definition.features.length,
  fields: lowered.input,
  lines: [
    `if (${INPUT}.isValid()) {`,
    ...lowered.input.map(({ name }) => `    hdr.report.${name} = ${INPUT}.${name};`),
    '}',
  ],
  atEnd: endsAreTold(definition),
  collided: false,
});

/** The header in which a test build hands outcome, verdict and features back; filled in by `printReport`. */
export function printReportHeader(p: Printer, { fields, features, atEnd }: Reported): void {
  p.comment('What a test is told, in front of the frame.');
  const gone = [
    { name: 'gone_known', width: 8 },
    { name: 'gone_class', width: 8 },
    { name: 'gone_margin', width: 8 },
    { name: 'gone_features', width: 8 * features },
  ];
  printFields(p, 'report_t', [
    { name: 'time', width: 48 },
    ...['outcome', 'known', 'margin', 'class'].map((name) => ({ name, width: 8 })),
    { name: 'place', width: 40 },
    ...fields,
    ...(atEnd ? gone : []),
  ]);
}

/** Tells the time, the outcome, the verdict, the place of the flow if there is one, and what more there is. */
export function printReport(p: Printer, reported: Reported): void {
  p.line('hdr.report.setValid();').line('hdr.report.time = standard.ingress_global_timestamp;');
  p.line(`hdr.report.outcome = ${FLOW}.outcome;`);
  p.line('hdr.report.known = 0;').line('hdr.report.margin = 0;').line('hdr.report.class = 0;');
  p.line(`hdr.report.place = ${FLOW}.index ++ 7w0 ++ ${FLOW}.second;`);
  const others = [...(reported.atEnd ? ['LATE'] : []), ...(reported.collided ? ['COLLIDED'] : [])];
  const also = others.map((name) => ` || ${FLOW}.outcome == INTRANSIT_FLOW_${name}`).join('');
  p.block(`if (${FLOW}.outcome <= INTRANSIT_FLOW_EARLY${also})`, () => {
    p.line(`hdr.report.known = (bit<8>)${FLOW}.verdict[16:16];`);
    p.line(`hdr.report.class = ${FLOW}.verdict[15:8];`).line(`hdr.report.margin = ${FLOW}.verdict[7:0];`);
  });
  for (const line of reported.lines) p.line(line);
  if (!reported.atEnd) return;
  // Of a first pass nothing is left where there was none.
  p.line('hdr.report.gone_known = (bit<8>)meta.gone_verdict[16:16];');
  p.line('hdr.report.gone_class = meta.gone_verdict[15:8];');
  p.line('hdr.report.gone_margin = meta.gone_verdict[7:0];');
  p.line('hdr.report.gone_features = meta.gone_features;');
  p.block('if (standard.instance_type == INTRANSIT_FLOW_RESUBMITTED)', () =>
    p.line('hdr.report.time = meta.time;'),
  );
}
