import { readFileSync } from 'node:fs';
import Handlebars from 'handlebars';
import {
  endsAreTold,
  type FeatureDefinition,
  type Occasion,
  type Scalar,
} from '../../../features/definition.ts';
import { type FieldName, isField } from '../../../features/fields.ts';
import { floorLog2, log8 } from '../../../features/log8.ts';
import { commentText } from '../../common/comment.ts';
import { acceptance } from '../../common/flow/accepts.ts';
import { flowOutcomes } from '../../common/flow/outcomes.ts';
import { xdpView } from '../emit.ts';
import { CPrinter, logTable, type Names, tableText } from './c-printer.ts';
import { endsCode, keyCode } from './key.ts';
import { bytesOf, type XdpFlowPlan } from './plan.ts';
import { selectorCode } from './select-code.ts';

const skeleton = Handlebars.compile(
  readFileSync(new URL('../../../../templates/xdp-flow.c.hbs', import.meta.url), 'utf8'),
  { noEscape: true, strict: true, knownHelpersOnly: true },
);

/** The C source of a program that classifies flows. The same plan gives the same bytes. */
export const emitXdpFlow = (plan: XdpFlowPlan): string => skeleton(xdpFlowView(plan));

/** What the skeleton's places are filled with. */
export function xdpFlowView(plan: XdpFlowPlan) {
  const { definition: d, compute } = plan;
  const { summary, weights, layers, body, defines, file } = xdpView(compute);
  const key = keyCode(d);
  const code = flowCode(plan);
  const kept = defines.filter((line) => /^(SCRATCH_BYTES|RESULT_AT) /.test(line));
  return {
    file,
    title: `${commentText(compute.model.name)} of ${commentText(d.name)}: flows classified as they pass`,
    summary: [...summary, `reads ${d.features.map((f) => commentText(f.name)).join(', ')}`],
    defines: [
      ...kept,
      ...flowOutcomes.map(({ name }, i) => `FLOW_${name.toUpperCase()} ${i}`),
      `FLOW_OUTCOMES ${flowOutcomes.length}`,
      `FLOW_BUCKETS ${plan.buckets}`,
      `FLOW_KEEP ${d.table.keep}ULL`,
      `FLOW_CLOCK_NS ${d.clockNs}ULL`,
      `FLOW_PAYLOAD ${payloadBytes(d)}`,
      `FLOW_FEATURES ${d.features.length}`,
      `FLOW_KEPT ${plan.copies ? d.state.length : 1}`,
      `FLOW_FEATURE_WORDS ${plan.featureWords}`,
      ...(plan.role.member ? ['FLOW_SET'] : []),
      ...(plan.role.perPacket ? ['FLOW_PER_PACKET'] : []),
      ...(endsAreTold(d) ? ['FLOW_AT_END', `FLOW_TCP_CLOSE ${d.tcpClose ? 1 : 0}`] : []),
    ],
    state: stateStruct(plan, key.words),
    tables: [...code.tables, ...classTable(plan)],
    weights,
    layers,
    body,
    accepts: [
      acceptance(d, 'p->'),
      ...(plan.role.member?.when ? [selectorCode(plan.role.member.when)] : []),
    ].join(' && '),
    key: key.lines,
    hash: Array.from({ length: key.words }, (_, i) => `hash = intransit_flow_mix(hash, key${i}, ${i});`),
    same: Array.from({ length: key.words }, (_, i) => `f->key[${i}] == key${i}`).join(' && '),
    over: overText(d),
    begin: [
      ...Array.from({ length: key.words }, (_, i) => `f->key[${i}] = key${i};`),
      ...(plan.keepsBeginning ? ['f->begun = now;'] : []),
      ...(plan.keepsPackets ? ['f->packets = 0;'] : []),
      ...(endsAreTold(d) ? ['f->finished = 0;'] : []),
    ],
    count: plan.keepsPackets ? ['__u64 n = f->packets + 1;', 'f->packets = n;'] : [],
    declare: code.declare,
    initial: code.initial,
    load: code.load,
    update: code.update,
    ends: endsCode(d, key),
    due: dueText(d.occasion),
    features: code.features,
  };
}

/** Numbers that the model's classes have among those of all models. */
function classTable({ role }: XdpFlowPlan): string[] {
  if (role.member === undefined) return [];
  const of = Array.from({ length: 256 }, (_, i) => role.member!.classes[i] ?? 0);
  return [`static const __u8 intransit_flow_classes_of[256] SEC(".rodata") = { ${of.join(', ')} };`];
}

const hasActiveTimeout = (d: FeatureDefinition): boolean => Number.isFinite(d.activeTimeout);

/** C of a scalar in its place. */
const memberOf = (s: Scalar, i: number): string => `s${i}_${s.name.replace(/\W/g, '_')}`;

/** What a place keeps: the key, the verdict, and the state, the widest first. */
function stateStruct(plan: XdpFlowPlan, words: number): string[] {
  const { definition: d, types } = plan;
  const members = d.state
    .map((s, i) => ({
      text: `\t${types[i]} ${memberOf(s, i)};`,
      about: ` /* ${s.name}${s.index === undefined ? '' : `[${s.index}]`}: ${s.bits} bits */`,
      bytes: bytesOf(types[i]!),
    }))
    .sort((a, b) => b.bytes - a.bytes)
    .map((m) => m.text + m.about);
  return [
    'struct intransit_flow_state {',
    `\t__u64 key[${words}];`,
    '\t__u64 verdict;',
    ...(plan.keepsBeginning ? ['\t__u64 begun;'] : []),
    ...(plan.keepsPackets ? ['\t__u64 packets;'] : []),
    ...members,
    ...(endsAreTold(d) ? ['\t__u8 finished; /* ends that have sent all, as bits */'] : []),
    '};',
  ];
}

const MEMBERS: Partial<Record<FieldName, string>> = {
  'ip.dscp': 'p->ip_service >> 2',
  'ip.ecn': 'p->ip_service & 3',
  'is.tcp': 'p->ip_protocol == 6',
  'is.udp': 'p->ip_protocol == 17',
  'is.icmp': '(p->ip_protocol == 1) | (p->ip_protocol == 58)',
};

/** C of a field. @param reply C of whether the packet goes from server to client */
function fieldText(name: string, reply: string): string {
  if (!isField(name)) throw new Error(`no field ${name}`);
  const payload = /^payload\.byte(\d+)$/.exec(name);
  if (payload !== null) return `p->payload[${payload[1]}]`;
  const [source, destination] = ['p->port_source', 'p->port_destination'];
  if (name === 'direction') return reply;
  if (name === 'port.client') return `intransit_flow_choose(${reply}, ${destination}, ${source})`;
  if (name === 'port.server') return `intransit_flow_choose(${reply}, ${source}, ${destination})`;
  return MEMBERS[name] ?? `p->${name.replace('.', '_')}`;
}

/** State and features as statements. */
function flowCode(plan: XdpFlowPlan) {
  const { definition: d, types, copies } = plan;
  const most = (s: Scalar) => (s.type.kind === 'integer' ? 2 ** s.bits - 1 : Number.MAX_SAFE_INTEGER);
  const stateText = (index: number, before: boolean): string => {
    if (copies) return `c->${before ? 'before' : 'after'}[${index}]`;
    return `${before ? 'b' : 'a'}${index}`;
  };
  const names = (reply: string): Names => ({ field: (name) => fieldText(name, reply), state: stateText });
  const lookups: (readonly number[])[] = [];
  const beginning = new CPrinter(names('0ULL'), 'i', lookups);
  const initial = d.state.flatMap((s, i) => {
    if (copies) beginning.forget();
    const value = beginning.bounded(s.initial, most(s));
    return [...beginning.take(), `${stateText(i, true)} = ${value};`];
  });
  const printer = new CPrinter(names('reply'), 't', lookups);
  const update = d.state.flatMap((s, i) => {
    if (copies) printer.forget();
    const value = printer.bounded(s.update, most(s));
    const after = copies ? `c->after[${i}] = ${value};` : `const __u64 a${i} = ${value};`;
    const name = stateText(i, false);
    // What only the first packet sets is there already.
    const store = `f->${memberOf(s, i)} = ${name};`;
    return [...printer.take(), after, store];
  });
  // At its end a flow is what its place had: there is no packet.
  const atEnd: Names = {
    field: (name) => {
      throw new Error(`no ${name} at a flow's end`);
    },
    state: (i) => `(__u64)s->${memberOf(d.state[i]!, i)}`,
  };
  const reading = endsAreTold(d) ? new CPrinter(atEnd, 'e', lookups) : printer;
  const features = d.features.flatMap(({ value }, i) => {
    if (copies) reading.forget();
    const text = reading.value(value);
    return [...reading.take(), `c->features[${i}] = ${text};`];
  });
  const printers = [...new Set([beginning, printer, reading])];
  return {
    declare:
      copies || d.state.length === 0 ? [] : types.map((_, i) => `__u64 b${i} __attribute__((unused));`),
    initial,
    load: d.state.map((s, i) => `${stateText(i, true)} = f->${memberOf(s, i)};`),
    update,
    features,
    tables: [
      ...(usesLog(printers, 'log2') ? logTable('log2', floorLog2) : []),
      ...(usesLog(printers, 'log8') ? logTable('log8', log8) : []),
      ...lookups.flatMap(tableText),
    ],
  };
}

const usesLog = (printers: readonly CPrinter[], name: 'log2' | 'log8'): boolean =>
  printers.some((p) => p.logTables.has(name));

/** Payload bytes that anything reads. */
function payloadBytes(d: FeatureDefinition): number {
  const text = JSON.stringify([d.state.map((s) => [s.initial, s.update]), d.features.map((f) => f.value)]);
  const bytes = [...text.matchAll(/"payload\.byte(\d+)"/g)].map((m) => Number(m[1]) + 1);
  return Math.max(0, ...bytes);
}

/** C that is true where a packet begins a new flow under a known key. A clock that steps back ends nothing. */
function overText(d: FeatureDefinition): string {
  const tests = [
    ...(Number.isFinite(d.idleTimeout) ? [`(__s64)(now - b->seen[at]) > ${d.idleTimeout}LL`] : []),
    ...(hasActiveTimeout(d) ? [`(__s64)(now - f->begun) > ${d.activeTimeout}LL`] : []),
  ];
  return tests.join(' || ') || '0';
}

/** C that is true where packet `n` of a flow is due. */
function dueText(occasion: Occasion): string {
  switch (occasion.kind) {
    case 'every-packet':
      return '1';
    case 'powers-of-two':
      return '!(n & (n - 1))';
    case 'packets':
      return occasion.numbers.map((k) => `n == ${k}`).join(' || ');
    case 'end':
      // The packet that closes a flow is found by its flags.
      return '0';
  }
}
