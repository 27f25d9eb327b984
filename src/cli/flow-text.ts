import { actionsJson, className, type FlowReport, transportName } from '../flow/report.ts';
import { table } from './io.ts';

/** What a classification found, for the terminal. */

/** Packets and bytes of flows by class, and how many packets were beyond the rate of theirs. */
export const classTable = (classes: ReturnType<typeof actionsJson>): string =>
  table([
    ['class', 'packets', 'bytes', 'beyond the rate'],
    ...classes.map((c) => [c.name ?? `class ${c.class}`, c.packets, c.bytes, c.limitedPackets]),
  ]);

/** Flows that the terminal shows. */
const MOST_FLOWS = 20;

/** A report for people: the first flows, counts, and scores where there are labels. */
export function reportText(r: FlowReport): string {
  const shown = r.flows.slice(0, MOST_FLOWS);
  const more = r.flows.length - shown.length;
  const flows = table([
    [
      'capture',
      'transport',
      'client',
      'server',
      'packets',
      'class',
      'margin',
      ...(r.labels ? ['label'] : []),
    ],
    ...shown.map((f) => [
      f.capture,
      transportName(f.protocol),
      f.client,
      f.server,
      f.packets,
      f.verdict === undefined ? '(too early)' : className(r.names, f.verdict.class),
      f.verdict?.margin ?? '',
      ...(r.labels ? [f.label === undefined ? '' : className(r.names, f.label)] : []),
    ]),
  ]);
  const happened = Object.entries(r.outcomes).filter(([, count]) => count > 0);
  return [
    flows,
    more > 0 ? `... and ${more} flows more; --csv FILE writes all\n` : '',
    `\n${r.flows.length} flows, ${r.verdicts} verdicts; ${r.frames} frames: `,
    `${happened.map(([name, count]) => `${count} ${name}`).join(', ')}\n`,
    ...(r.escalation ? [`${escalationText(r.escalation)}\n`] : []),
    ...(r.labels ? [labelsText(r, r.labels)] : []),
    ...(r.actions ? [`\n${classTable(actionsJson(r.actions, r.names))}`] : []),
    ...(r.equality
      ? [
          `${r.on} against the reference: ${r.equality.packets} packets, ${r.equality.mismatches} mismatches\n`,
          ...r.equality.examples.map((line) => `  ${line}\n`),
        ]
      : []),
  ].join('');
}

const escalationText = (e: NonNullable<FlowReport['escalation']>): string =>
  `the larger model: ${e.asked} flows asked about, ${e.answered} answered, ${e.overdue} gone by then, ${e.shed} not asked for want of budget`;

function labelsText(r: FlowReport, labels: NonNullable<FlowReport['labels']>): string {
  const { flows, verdicts, unlabelled } = labels;
  const names = flows.classes.map((_, i) => className(r.names, i));
  return [
    `${flows.count} flows with a label and a verdict (${unlabelled} flows without a label): accuracy `,
    `${flows.accuracy.toFixed(3)}, macro-F1 ${flows.macroF1.toFixed(3)}; by verdict ${verdicts.accuracy.toFixed(3)}, `,
    `${verdicts.macroF1.toFixed(3)}\n\n`,
    table([
      ['label \\ class', ...names, 'F1'],
      ...flows.confusion.map((line, k) => [names[k]!, ...line, flows.classes[k]!.f1.toFixed(3)]),
    ]),
  ].join('');
}
