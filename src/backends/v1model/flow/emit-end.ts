import type { FeatureDefinition } from '../../../features/definition.ts';
import type { Printer } from '../../common/printer.ts';
import { FLOW } from './p4-printer.ts';
import { keyFieldBits, type V1modelFlowPlan } from './plan.ts';
import { countEvent, isTaken, printInference, printUpdate, sliceOf } from './steps.ts';

/**
 * Flows that are classified at their ends. A packet that finds another flow over, or its own by a timeout, goes through the
 * switch twice: with the first pass that flow is classified of its state, and its place is free; the second finds it so.
 */

/** Both directions have said that they have sent all. */
const FINISHED = 3;

/** Fields that such a program has beside the others. */
export const endFields = [
  { name: 'gone', width: 1 },
  { name: 'due', width: 1 },
  { name: 'finished', width: 2 },
] as const;

/** Statements of `update` that follow the flags of TCP. */
export const finishingLines = ({ tcpClose }: FeatureDefinition): readonly string[] =>
  tcpClose
    ? [
        `${FLOW}.finished = ${FLOW}.finished | (${FLOW}.tcp_flags & 4 != 0 ? 2w3 : (${FLOW}.tcp_flags & 1 == 0 ? 2w0 : (${FLOW}.reply == 0 ? 2w1 : 2w2)));`,
      ]
    : [];

/** Takes the flow out of its place as it is: its key says who it is between. */
export function recallLines(plan: V1modelFlowPlan): readonly string[] {
  const { definition: d, place } = plan;
  let at = d.ipVersions.length > 1 ? 1 : 0;
  const parts = new Map<string, string>();
  for (const field of [...d.key.fields].reverse()) {
    const width = keyFieldBits(d, field);
    parts.set(field, sliceOf({ low: place.match.low + at, width }));
    at += width;
  }
  const of = (field: string, bits: number) => {
    const text = parts.get(field);
    return text === undefined ? '0' : `(bit<${bits}>)${text}`;
  };
  const version =
    d.ipVersions.length > 1
      ? `(${sliceOf({ low: place.match.low, width: 1 })} == 1 ? 64w6 : 64w4)`
      : String(d.ipVersions[0]);
  return [
    `${FLOW}.source = ${of('ip.source', 128)};`,
    `${FLOW}.destination = ${of('ip.destination', 128)};`,
    `${FLOW}.port_source = ${of('port.source', 64)};`,
    `${FLOW}.port_destination = ${of('port.destination', 64)};`,
    `${FLOW}.ip_protocol = ${of('ip.protocol', 64)};`,
    `${FLOW}.ip_version = ${version};`,
    // The key has the lower end as source.
    `${FLOW}.reply = (bit<64>)${sliceOf(place.swapped)};`,
    `${FLOW}.setValid();`,
    ...d.state.map((_, i) => `${FLOW}.a${i} = (bit<64>)${sliceOf(place.state[i]!)};`),
  ];
}

/** What is done with a packet whose flow has a place: `fresh` says whether it begins one, the place is taken out. */
export function printEnding(p: Printer, plan: V1modelFlowPlan): void {
  const { place } = plan;
  const finished = sliceOf(place.finished!);
  p.line(`${FLOW}.due = 0;`);
  p.block(`if (${FLOW}.fresh == 0 && ${finished} == ${FINISHED})`, () => {
    // A packet that may begin a connection begins a flow; what else comes after the end is late.
    p.block(`if (${FLOW}.tcp_flags & 18 == 2)`, () => p.line(`${FLOW}.fresh = 1;`), '} else {');
    p.indent(() => p.line(`${FLOW}.outcome = INTRANSIT_FLOW_LATE;`)).line('}');
  });
  p.block(
    `if (${FLOW}.outcome == INTRANSIT_FLOW_LATE)`,
    () => p.line('go_on();').line('stay();'),
    `} else if (${FLOW}.fresh == 1 && ${isTaken(plan)} && ${finished} != ${FINISHED}) {`,
  );
  p.indent(() => p.line('recall();')).line('} else {');
  p.indent(() => {
    printUpdate(p);
    p.line(`${FLOW}.due = (${FLOW}.finished == ${FINISHED} ? 1w1 : 1w0);`);
    p.line(`${FLOW}.outcome = (${FLOW}.due == 1 ? INTRANSIT_FLOW_CLASSIFIED : INTRANSIT_FLOW_EARLY);`);
  }).line('}');
  p.block(`if (${FLOW}.gone == 1 || ${FLOW}.due == 1)`, () => {
    printInference(p, () => {
      p.block(`if (${FLOW}.gone == 1)`, () => countEvent(p, 'ended'));
    });
  });
  p.block(`if (${FLOW}.gone == 1)`, () => p.line('leave();'), '} else {');
  p.indent(() => p.line('store();')).line('}');
}

/** A second pass came in where the first did. */
export const printSecondPass = (p: Printer): Printer =>
  p.block('if (standard.instance_type == INTRANSIT_FLOW_RESUBMITTED)', () =>
    p.line('standard.ingress_port = meta.port;'),
  );

/** The packet goes on with a second pass, with the time of its first. @param features P4 of all of them, of a test */
export function againLines(features: string | undefined): readonly string[] {
  return [
    'meta.time = standard.ingress_global_timestamp;',
    'meta.port = standard.ingress_port;',
    ...(features === undefined
      ? []
      : [`meta.gone_verdict = ${FLOW}.verdict;`, `meta.gone_features = ${features};`]),
    'resubmit_preserving_field_list(INTRANSIT_FLOW_AGAIN);',
  ];
}
