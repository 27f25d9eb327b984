import { endsAreTold, type Occasion } from '../../../features/definition.ts';
import type { Printer } from '../../common/printer.ts';
import { resultField } from '../print-program.ts';
import { answerLines, isOwn, printQuestion } from './emit-asking.ts';
import { finishingLines, printEnding, recallLines } from './emit-end.ts';
import type { FlowCode } from './flow-code.ts';
import { FLOW } from './p4-printer.ts';
import { fieldLines, ipLines, keyLines, transportLines } from './packet-lines.ts';
import { type PlaceField, type V1modelFlowPlan, VERDICT_BITS, widthOf } from './plan.ts';
import { countEvent, isTaken, printInference, printUpdate, sliceOf } from './steps.ts';

/** What one model does with a packet: it finds the packet's flow, brings its state up to date, and classifies it where it is due. */

const printAction = (p: Printer, name: string, lines: readonly string[]): void => {
  p.line('@hidden');
  p.block(`action ${name}()`, () => {
    for (const line of lines) p.line(line);
  }).line();
};

/** Actions that take out of a packet what all models read. @param again whether packets may go through twice */
export function printPacketActions(p: Printer, again: boolean): void {
  printAction(p, 'fields', fieldLines(again));
  printAction(p, 'use_ipv4', ipLines('ipv4'));
  printAction(p, 'use_ipv6', ipLines('ipv6'));
  printAction(p, 'use_tcp', transportLines('tcp'));
  printAction(p, 'use_udp', transportLines('udp'));
  printAction(p, 'use_icmp', transportLines('icmp'));
}

/** Calls them. */
export function printPacketFields(p: Printer): void {
  p.line('fields();');
  p.block('if (hdr.ipv4.isValid())', () => p.line('use_ipv4();'), '} else {');
  p.indent(() => p.line('use_ipv6();')).line('}');
  p.block('if (hdr.tcp.isValid())', () => p.line('use_tcp();'), '} else if (hdr.udp.isValid()) {');
  p.indent(() => p.line('use_udp();')).line('} else {');
  p.indent(() => p.line('use_icmp();')).line('}');
}

/** A field of one of the two places of a bucket. */
const bucketOf = ({ place }: V1modelFlowPlan, field: PlaceField, second: 0 | 1): string =>
  sliceOf(field, `${FLOW}.bucket`, second * place.width);

/**
 * The actions of a model.
 * @param code what they do with state and features
 * @param take statements that take a verdict out of the result
 */
// Long: actions in their order.
export function printOwnActions(
  p: Printer,
  plan: V1modelFlowPlan,
  code: FlowCode,
  take: readonly string[],
): void {
  const { definition: d, place } = plan;
  const action = (name: string, lines: readonly string[]) => printAction(p, name, lines);
  const all: PlaceField = { low: 0, width: place.width };
  const putBack = [
    `${FLOW}.bucket = (${FLOW}.second == 0 ? ${bucketOf(plan, all, 1)} ++ ${FLOW}.place : ${FLOW}.place ++ ${bucketOf(plan, all, 0)});`,
  ];
  action('find_key', keyLines(plan));
  action('take_first', [`${FLOW}.place = ${bucketOf(plan, all, 0)};`, `${FLOW}.second = 0;`]);
  action('take_second', [`${FLOW}.place = ${bucketOf(plan, all, 1)};`, `${FLOW}.second = 1;`]);
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
  action('take_verdict', take);
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
}

/** Actions of a model that classifies packets by themselves. */
export function printPacketModelActions(p: Printer, code: FlowCode, take: readonly string[]): void {
  printAction(p, 'compute_features', code.features);
  printAction(p, 'take_verdict', take);
}

/** Statements that give a flow its verdict. @param ofClass P4 of its class @param whole P4 of class and margin */
export const verdictLines = (ofClass: string, whole: string): readonly string[] => [
  // A flow that becomes a class, or another than it had.
  `${FLOW}.told = ((${FLOW}.verdict[16:16] == 0 || ${FLOW}.verdict[15:8] != ${ofClass}) ? 1w1 : 1w0);`,
  `${FLOW}.verdict = 1w1 ++ ${whole};`,
];

/** What is done with a packet that the model is for. */
// Long: the text of a control, in its order.
export function printFlow(p: Printer, plan: V1modelFlowPlan): void {
  const { definition: d, place } = plan;
  const bucket = (field: PlaceField, second: 0 | 1) => bucketOf(plan, field, second);
  const seen = (text: string) => `(${FLOW}.now - (bit<64>)${text})`;
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
}

/** Class and margin, as the result has them. */
export const verdictText = ({ compute }: V1modelFlowPlan): string =>
  compute.lowered.output.map((_, i) => resultField(i)).join(' ++ ');

/** The class of a result, which comes first. */
export function classText({ compute }: V1modelFlowPlan): string {
  const [first] = compute.lowered.output;
  const field = resultField(0);
  return first!.width === 8 ? field : `${field}[${first!.width - 1}:${first!.width - 8}]`;
}

/** The features as one number, the first highest. */
export const featuresText = ({ definition }: V1modelFlowPlan): string =>
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
