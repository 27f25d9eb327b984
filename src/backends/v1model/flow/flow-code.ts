import { endsAreTold } from '../../../features/definition.ts';
import type { Typed } from '../../../features/expression/index.ts';
import { treat } from '../../common/flow/tables.ts';
import { INPUT } from '../code.ts';
import { askFields } from './emit-asking.ts';
import { endFields } from './emit-end.ts';
import { FLOW, type FlowField, type Names, P4Printer } from './p4-printer.ts';
import { TIME_BITS, type V1modelFlowPlan, VERDICT_BITS, widthOf } from './plan.ts';
import { sliceOf } from './steps.ts';

const WORD = 64;

/** Fields of a packet that are taken out of its headers, with what they are by the headers that are there. */
const PACKET_FIELDS = [
  'frame_length',
  'vlan_id',
  'ip_version',
  'ip_length',
  'ip_header',
  'ip_service',
  'ip_ttl',
  'ip_protocol',
  'port_source',
  'port_destination',
  'tcp_flags',
  'tcp_window',
  'icmp_type',
  'icmp_code',
  'payload_length',
] as const;

const MEMBERS: Readonly<Record<string, string>> = {
  'ip.dscp': `(${FLOW}.ip_service >> 2)`,
  'ip.ecn': `(${FLOW}.ip_service & 3)`,
  'is.tcp': `(${FLOW}.ip_protocol == 6 ? 64w1 : 64w0)`,
  'is.udp': `(${FLOW}.ip_protocol == 17 ? 64w1 : 64w0)`,
  'is.icmp': `((${FLOW}.ip_protocol == 1 || ${FLOW}.ip_protocol == 58) ? 64w1 : 64w0)`,
};

/** P4 of a field. @param reply P4 of 64 bits, 1 where the packet goes from server to client */
function fieldText(name: string, reply: string): string {
  const [source, destination] = [`${FLOW}.port_source`, `${FLOW}.port_destination`];
  if (name === 'direction') return reply;
  if (name === 'port.client') return `(${reply} == 0 ? ${source} : ${destination})`;
  if (name === 'port.server') return `(${reply} == 0 ? ${destination} : ${source})`;
  return MEMBERS[name] ?? `${FLOW}.${name.replace('.', '_')}`;
}

/** Whether a field is of one model alone, where several stand beside each other: what it keeps, and what it computes. */
export const isOwnField = (name: string): boolean => /^(match|place|bucket|[abfiux]\d+)$/.test(name);

/** What the actions of a program do, and the fields of its work. */
export interface FlowCode {
  readonly fields: readonly FlowField[];
  readonly initial: readonly string[];
  readonly load: readonly string[];
  readonly update: readonly string[];
  readonly features: readonly string[];
}

const wide = (name: string): FlowField => ({ name, width: WORD });

/** State and features as statements of actions. */
// Long: the statements of one program, in its order, by one set of names.
export function flowCode(plan: V1modelFlowPlan): FlowCode {
  const { definition: d, place, compute } = plan;
  const names = (reply: string): Names => ({
    field: (name) => fieldText(name, reply),
    state: (i, before) => `${FLOW}.${before ? 'b' : 'a'}${i}`,
  });
  const most = (i: number) => 2 ** widthOf(d.state[i]!) - 1;
  /** Statements that set `${to}0`, `${to}1` and so on, and the fields that they use between. */
  const run = (
    prefix: string,
    reply: string,
    to: string,
    all: readonly Typed[],
    textOf: (printer: P4Printer, e: Typed, i: number) => string,
  ) => {
    const printer = new P4Printer(names(reply), prefix);
    printer.expect(all);
    printer.batchLogs(all);
    const lines = all.flatMap((e, i) => {
      const value = textOf(printer, e, i);
      return [...printer.take(), `${FLOW}.${to}${i} = ${value};`];
    });
    return { lines, fields: printer.fields };
  };
  const bounded = (printer: P4Printer, e: Typed, i: number) => printer.bounded(e, most(i));
  const reply = `${FLOW}.reply`;
  const [initials, updates] = [d.state.map((s) => s.initial), d.state.map((s) => s.update)];
  const initial = run('i', '64w0', 'b', initials, bounded);
  const update = run('u', reply, 'a', updates, bounded);
  const values = d.features.map((f) => f.value);
  const features = run('f', reply, 'x', values, (printer, e) => printer.value(e));
  return {
    fields: [
      ...PACKET_FIELDS.map(wide),
      wide('now'),
      wide('reply'),
      wide('packets'),
      { name: 'source', width: 128 },
      { name: 'destination', width: 128 },
      { name: 'match', width: plan.keyBits + 1 },
      { name: 'swapped', width: 1 },
      { name: 'second', width: 1 },
      { name: 'fresh', width: 2 },
      { name: 'outcome', width: 8 },
      { name: 'verdict', width: VERDICT_BITS },
      { name: 'begun', width: TIME_BITS },
      { name: 'index', width: 32 },
      { name: 'place', width: place.width },
      { name: 'bucket', width: 2 * place.width },
      { name: 'class', width: 8 },
      { name: 'told', width: 1 },
      ...treat.parameters.map(({ name, bits }) => ({ name, width: bits })),
      ...(endsAreTold(d) ? endFields : []),
      ...(plan.asks ? askFields : []),
      ...d.state.flatMap((_, i) => [wide(`a${i}`), wide(`b${i}`)]),
      ...d.features.map((_, i) => wide(`x${i}`)),
      ...initial.fields,
      ...update.fields,
      ...features.fields,
    ],
    initial: initial.lines,
    load: d.state.map((_, i) => `${FLOW}.b${i} = (bit<64>)${sliceOf(place.state[i]!)};`),
    update: update.lines,
    features: [
      ...features.lines,
      `${FLOW}.setValid();`,
      `${INPUT}.setValid();`,
      // A field of the input holds one or several features, the first highest, as the wire has them.
      ...inputFields(compute.lowered.input),
    ],
  };
}

/** Which features each field of the input is made of. */
function inputFields(inputs: readonly FlowField[]): string[] {
  let next = 0;
  return inputs.map(({ name, width }) => {
    const bytes = Array.from({ length: width / 8 }, () => `${FLOW}.x${next++}[7:0]`);
    return `${INPUT}.${name} = ${bytes.join(' ++ ')};`;
  });
}
