import { endText } from '../features/labels.ts';
import type { ClassCounts, ToldVerdict } from '../runtime/xdp/flow-actions.ts';
import type { Equality, FlowOutcome } from './engine.ts';
import type { Classification, EscalationCounts, FlowRecord } from './flows.ts';
import { type Score, score } from './score.ts';

/** What a classification is of. */
export interface Subject {
  readonly on: string;
  readonly model: string;
  readonly definition: string;
  readonly captures: readonly string[];
  /** Classes that the model tells apart. */
  readonly classCount: number;
  /** Their names, if anything says them. */
  readonly names: readonly string[] | undefined;
}

/** All that a classification found, ready to be shown. */
export interface FlowReport extends Subject {
  readonly frames: number;
  readonly outcomes: Readonly<Record<FlowOutcome, number>>;
  readonly flows: readonly FlowRecord[];
  readonly verdicts: number;
  readonly labels:
    | { readonly unlabelled: number; readonly flows: Score; readonly verdicts: Score }
    | undefined;
  readonly equality: Equality | undefined;
  /** Of classes with actions, by class: what they were counted. */
  readonly actions?: readonly ClassCounts[];
  /** Where a larger model was asked. */
  readonly escalation?: EscalationCounts;
}

/**
 * Scores each flow by the verdict that its record keeps, and each verdict on its own. @param hasLabels whether any were given:
 * without them nothing is scored
 */
export function reportOf(
  subject: Subject,
  { flows, verdicts, verdictCount, frames, outcomes, classes, escalation }: Classification,
  hasLabels: boolean,
  equality: Equality | undefined,
): FlowReport {
  const decided = flows.flatMap((f) =>
    f.verdict === undefined || f.label === undefined ? [] : [{ class: f.verdict.class, label: f.label }],
  );
  return {
    ...subject,
    frames,
    outcomes,
    flows,
    verdicts: verdictCount,
    labels: hasLabels
      ? {
          unlabelled: flows.filter((f) => f.label === undefined).length,
          flows: score(decided, subject.classCount),
          verdicts: score(verdicts, subject.classCount),
        }
      : undefined,
    equality,
    ...(classes && { actions: classes }),
    ...(escalation && { escalation }),
  };
}

/** `class N` where nothing says its name. */
export const className = (names: readonly string[] | undefined, index: number): string =>
  names?.[index] ?? `class ${index}`;

/** `192.0.2.1:80`; the transport by its name. */
export const transportName = (protocol: number): string =>
  ({ 1: 'ICMP', 6: 'TCP', 17: 'UDP', 58: 'ICMPv6' })[protocol] ?? String(protocol);

/** The ends of a flow that a device told: addresses of IPv4 are the last bytes. */
export const endsText = (
  v: Omit<ToldVerdict, 'kind'>,
): { readonly client: string; readonly server: string } => {
  const end = (address: Buffer, port: number) =>
    endText(v.ipVersion === 4 ? address.subarray(12) : address, port);
  return { client: end(v.client, v.clientPort), server: end(v.server, v.serverPort) };
};

/** The report as one JSON document. */
export function reportJson(r: FlowReport) {
  const { names } = r;
  return {
    on: r.on,
    model: r.model,
    features: r.definition,
    captures: r.captures,
    frames: r.frames,
    outcomes: r.outcomes,
    verdicts: r.verdicts,
    classes: Array.from({ length: r.classCount }, (_, i) => ({
      class: i,
      ...(names && { name: names[i] }),
      flows: r.flows.filter((f) => f.verdict?.class === i).length,
    })),
    ...(r.labels && {
      labels: {
        unlabelled: r.labels.unlabelled,
        flows: scoreJson(r.labels.flows, names),
        verdicts: scoreJson(r.labels.verdicts, names),
      },
      accuracy: r.labels.flows.accuracy,
      macroF1: r.labels.flows.macroF1,
      confusion: r.labels.flows.confusion,
    }),
    ...(r.equality && { equality: r.equality }),
    ...(r.actions && { actions: actionsJson(r.actions, names) }),
    ...(r.escalation && { escalation: r.escalation }),
    flows: r.flows.map((f) => flowJson(f, names)),
  };
}

/** What was counted of each class. */
export const actionsJson = (all: readonly ClassCounts[], names: readonly string[] | undefined) =>
  all.map((c, i) => ({
    class: i,
    ...(names && { name: names[i] }),
    packets: Number(c.packets),
    bytes: Number(c.bytes),
    limitedPackets: Number(c.limitedPackets),
    limitedBytes: Number(c.limitedBytes),
  }));

function scoreJson(s: Score, names: readonly string[] | undefined) {
  return {
    ...s,
    classes: s.classes.map((c, i) => ({ class: i, ...(names && { name: names[i] }), ...c })),
  };
}

function flowJson(f: FlowRecord, names: readonly string[] | undefined) {
  return {
    capture: f.capture,
    flow: f.flow,
    transport: transportName(f.protocol),
    client: f.client,
    server: f.server,
    packets: f.packets,
    begun: seconds(f.begunNs),
    duration: Number(f.seenNs - f.begunNs) / 1e9,
    verdicts: f.verdicts,
    class: f.verdict?.class ?? null,
    ...(names && { name: f.verdict === undefined ? null : names[f.verdict.class] }),
    margin: f.verdict?.margin ?? null,
    ...(f.larger && { larger: true }),
    ...(f.label !== undefined && { label: f.label, ...(names && { labelName: names[f.label] }) }),
  };
}

/** Nanoseconds as seconds with nine decimals: a number would lose the last. */
export const seconds = (ns: bigint): string => {
  const digits = String(ns < 0n ? -ns : ns).padStart(10, '0');
  return `${ns < 0n ? '-' : ''}${digits.slice(0, -9)}.${digits.slice(-9)}`;
};

/** Which flow it is, as tables have it. */
export const flowCells = (f: FlowRecord): readonly (string | number)[] => [
  f.capture,
  f.flow,
  transportName(f.protocol),
  f.client,
  f.server,
  f.packets,
];

/** A class as tables have it: empty where there is none. */
export const classCell = ({ names }: FlowReport, k: number | undefined): string =>
  k === undefined ? '' : className(names, k);

/** One row a flow. */
export function flowsCsv(r: FlowReport): string {
  const cell = (value: string | number) =>
    typeof value === 'string' && /[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : String(value);
  const header =
    'pcap,flow,transport,client,server,packets,begun,duration,verdicts,class,name,margin' +
    (r.labels ? ',label' : '');
  const rows = r.flows.map((f) =>
    [
      ...flowCells(f),
      seconds(f.begunNs),
      seconds(f.seenNs - f.begunNs),
      f.verdicts,
      f.verdict?.class ?? '',
      classCell(r, f.verdict?.class),
      f.verdict?.margin ?? '',
      ...(r.labels ? [classCell(r, f.label)] : []),
    ]
      .map(cell)
      .join(','),
  );
  return `${[header, ...rows].join('\n')}\n`;
}
