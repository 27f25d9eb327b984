import { askByClone, askMeter, clonedEscalation, REQUEST_BITS } from '../../common/flow/tables.ts';
import type { Printer } from '../../common/printer.ts';
import { hexId } from '../print-program.ts';
import { FLOW } from './p4-printer.ts';
import type { V1modelFlowPlan } from './plan.ts';
import { countEvent, isTaken, sliceOf } from './steps.ts';

/**
 * A larger model is asked about flows of low margin: the packet is cloned, and the clone becomes an inference request with the
 * flow's features. A result that comes back is known by the place and the beginning of the flow, and its verdict stands there then.
 */

/** Fields that such a program has beside the others. */
export const askFields = [
  { name: 'larger', width: 2 },
  { name: 'asks', width: 1 },
  { name: 'is_answer', width: 1 },
] as const;

const [ASKED, ANSWERED] = [1, 3];
/** `MeterColor_t.RED` of v1model. */
const RED = 2;
/** Bits of the request, from its lowest: whom it is from and to by IPv4, and the port of UDP that it goes to. */
const REQUEST = { from: '255:224', to: '223:192', port: '175:160' } as const;

/** What the included program needs to know of requests. */
export const askDefines = ({ definition }: V1modelFlowPlan): readonly string[] => [
  '#define INTRANSIT_FLOW_ASKS',
  `#define INTRANSIT_FLOW_REQUEST_BITS ${REQUEST_BITS}`,
  `#define INTRANSIT_FLOW_ASKED_BITS ${8 * definition.features.length}`,
  `#define INTRANSIT_FLOW_ASKED_BYTES ${REQUEST_BITS / 8 + 16 + definition.features.length}`,
];

/** The table that says when and how is asked, and the meter of questions. */
export function printAsking(p: Printer): void {
  const named = (id: number, name: string) => p.line(`@id(${hexId(id)})`).line(`@name(".${name}")`);
  named(askMeter.id, askMeter.name);
  p.line(`meter(${askMeter.size}, MeterType.packets) ${askMeter.name};`).line();
  const { id, name, parameters } = askByClone;
  named(id, name);
  p.block(`action ${name}(${parameters.map((q) => `bit<${q.bits}> ${q.name}`).join(', ')})`, () => {
    for (const q of parameters) p.line(`meta.ask_${q.name} = ${q.name};`);
  }).line();
  named(clonedEscalation.id, clonedEscalation.name);
  p.block(`table ${clonedEscalation.name}`, () => {
    p.block('actions =', () => p.line(`${name};`));
    p.line(`default_action = ${name}(0, 0, 0, 0);`).line(`size = ${clonedEscalation.size};`);
  }).line();
}

/** After a verdict: whether it is asked about. @param features P4 of all of them as one number */
export function printQuestion(p: Printer, features: string): void {
  p.block(`if (${FLOW}.verdict[7:0] < meta.ask_below && ${FLOW}.larger == 0)`, () => {
    p.line(`${askMeter.name}.execute_meter(0, color);`);
    p.block(`if (color == ${RED})`, () => countEvent(p, 'shed'), '} else {');
    p.indent(() => {
      countEvent(p, 'asked');
      for (const line of [
        `${FLOW}.larger = ${ASKED};`,
        `${FLOW}.asks = 1;`,
        `meta.ask_job = meta.ask_secret ++ ${FLOW}.begun;`,
        `meta.ask_sequence = ${FLOW}.index[30:0] ++ ${FLOW}.second;`,
        `meta.ask_features = ${features};`,
        'meta.ask = 1;',
      ])
        p.line(line);
    }).line('}');
  });
}

/** Whether a packet whose flow has a larger model's verdict is due all the same: it is not. */
export const isOwn = `${FLOW}.larger != ${ANSWERED}`;

/** P4 that is true for a packet that is an answer to a question of this switch. */
export const answerText = (): string =>
  [
    'hdr.answer.isValid()',
    'meta.ask_below != 0',
    `hdr.ipv4.destination == meta.ask_request[${REQUEST.from}]`,
    `hdr.ipv4.source == meta.ask_request[${REQUEST.to}]`,
    `hdr.udp.source == meta.ask_request[${REQUEST.port}]`,
    'hdr.answer.job[63:48] == meta.ask_secret',
  ].join(' && ');

/** Writes an answer into the flow that was asked about, if it is there still. */
export function printAnswer(p: Printer, plan: V1modelFlowPlan): void {
  const { place, buckets } = plan;
  p.line(`${FLOW}.is_answer = 1;`).line(`${FLOW}.outcome = INTRANSIT_FLOW_FOREIGN;`);
  p.line(`${FLOW}.index = (bit<32>)hdr.answer.sequence[31:1] & ${buckets - 1};`);
  p.block('@atomic', () => {
    p.line(`flows.read(${FLOW}.bucket, ${FLOW}.index);`);
    p.block('if (hdr.answer.sequence[0:0] == 0)', () => p.line('take_first();'), '} else {');
    p.indent(() => p.line('take_second();')).line('}');
    const same = [
      isTaken(plan),
      `${sliceOf(place.begun)} == hdr.answer.job[47:0]`,
      `${sliceOf(place.larger!)} == ${ASKED}`,
    ];
    p.block(
      `if (${same.join(' && ')})`,
      () => {
        p.line('keep_answer();').line(`flows.write(${FLOW}.index, ${FLOW}.bucket);`);
        countEvent(p, 'answered');
      },
      '} else {',
    );
    p.indent(() => countEvent(p, 'overdue')).line('}');
  });
}

/** The place with the answer as its verdict. @param putBack statements that put the place into its bucket */
export function answerLines(plan: V1modelFlowPlan, putBack: readonly string[]): readonly string[] {
  const { place } = plan;
  const above = place.larger!.low + place.larger!.width;
  const parts = [
    ...(above < place.width ? [`${FLOW}.place[${place.width - 1}:${above}]`] : []),
    `2w${ANSWERED}`,
    '1w1',
    'hdr.answer.class',
    'hdr.answer.margin',
    `${FLOW}.place[${place.verdict.low - 1}:0]`,
  ];
  return [`${FLOW}.place = ${parts.join(' ++ ')};`, ...putBack];
}
