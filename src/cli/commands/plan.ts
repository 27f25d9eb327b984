import { throwErrors } from '../../diagnostics/index.ts';
import { writeWhole } from '../../files.ts';
import type { PlannedCrossing, PlannedSegment, PlanReport, TooFewReplicas } from '../../planner/index.ts';
import { type Io, printDiagnostics, printJson, table } from '../io.ts';
import { defineCommand, importArgument, jsonOption, modelArgument, textOption } from '../options.ts';
import { plannedOptions, plannedOptionsOf } from '../target-options.ts';

/** `plan MODEL --topology FILE [--json] [--svg FILE]` */
export const planCommand = (io: Io) =>
  defineCommand({
    command: 'plan <model>',
    describe: 'Decide which layers run on which node of a network, and say why',
    builder: (y) =>
      plannedOptions(jsonOption(modelArgument(y)))
        .option('topology', {
          type: 'string',
          demandOption: true,
          describe: 'Nodes, links, objective and constraints (JSON, see docs/plan.md)',
          requiresArg: true,
        })
        .option('svg', textOption('Draw it to this file')),
    async handler(a) {
      // Other commands start faster without the planner.
      const { modelChain, planChain, planDiagnostics, planSvg, readTopology } = await import(
        '../../planner/index.ts'
      );
      const topology = readTopology(a.topology);
      const own = plannedOptionsOf(new Set(topology.nodes.map(({ kind }) => kind)), a);
      const { model, diagnostics: imported } = await importArgument(a);
      const chain = modelChain(model, own);
      const report = planChain(chain, topology, a.topology);
      const diagnostics = [...imported, ...(chain.remarks?.() ?? [])];
      if (a.json) printJson(io, { ...report, diagnostics: [...diagnostics, ...planDiagnostics(report)] });
      else {
        printDiagnostics(io, diagnostics);
        io.out(planText(report));
      }
      if (a.svg !== undefined) writeWhole(a.svg, planSvg(topology, report));
      throwErrors(planDiagnostics(report));
    },
  });

function planText(r: PlanReport): string {
  const parts = [];
  if (r.totals !== undefined) parts.push(`${stepTable(r)}\n${totalLine(r)}`);
  for (const few of r.totals === undefined ? [] : (r.tooFew ?? [])) parts.push(tooFewText(few));
  parts.push(
    table([
      ['node', 'kind', 'role', 'why'],
      ...r.nodes.map((n) => [n.node, n.kind, n.role === 'computes' ? n.layers.join(', ') : n.role, n.reason]),
    ]),
  );
  const origins = Object.entries(r.costModels).map(([name, cost]) => [name, cost.origin]);
  parts.push(table([['cost model', 'from'], ...origins]));
  return parts.join('\n');
}

const stepTable = (r: PlanReport): string =>
  table([
    ['step', 'layers or tensor', 'us', 'detail'],
    ...r.steps.flatMap((step) =>
      step.step === 'compute' ? [segmentRow(step), ...replicaRows(step)] : [crossingRow(step)],
    ),
  ]);

const tooFewText = ({ layers, nodes, wanted, refusals }: TooFewReplicas): string =>
  [
    `layers ${layers.from}..${layers.to} are on ${nodes.length} of ${wanted} devices: ${nodes.join(', ')}`,
    ...refusals.map(({ message }) => `  ${message}`),
    '',
  ].join('\n');

const us = (value: number): string => value.toFixed(3).padStart(10);

const segmentRow = (s: PlannedSegment) => [
  s.node,
  `computes ${s.layers.from}..${s.layers.to}: ${s.layers.names.join(', ')}`,
  us(s.us),
  s.needs
    .filter((n) => n.need > 0)
    .map((n) => `${n.resource} ${n.need}${n.limit === undefined ? '' : ` of ${n.limit}`}`)
    .join(', '),
];

/** Devices beside that of the plan. */
const replicaRows = ({ node, layers, replicas = [] }: PlannedSegment) =>
  replicas
    .filter((r) => r.node !== node)
    .map((r) => [
      r.node,
      `computes ${layers.from}..${layers.to} too`,
      us(r.us),
      `${r.weight} times as fast as the fastest`,
    ]);

const crossingRow = (c: PlannedCrossing) => [
  `${c.from} -> ${c.to}`,
  c.tensor,
  us(c.latencyUs + c.serialisationUs + c.packetUs),
  `packet ${c.bytes} of ${c.mtu} bytes`,
];

function totalLine({ totals, objective, notBelow }: PlanReport): string {
  const t = totals!;
  const bound = objective.minimise === 'cost' ? ` (bound ${objective.latencyUs})` : '';
  const parts = `compute ${t.computeUs.toFixed(3)}, links ${t.linkUs.toFixed(3)}, serialisation ${t.serialisationUs.toFixed(3)}, packets ${t.packetUs.toFixed(3)}`;
  const unit = objective.minimise === 'latency' ? 'us' : 'of money';
  const slowest = t.slowestUs === undefined ? '' : `, by replicas up to ${t.slowestUs.toFixed(3)}`;
  const proof =
    notBelow === undefined
      ? 'proved best'
      : `not proved best: no plan is below ${notBelow.toFixed(3)} ${unit}`;
  return `latency ${t.latencyUs.toFixed(3)} us${bound}${slowest} = ${parts}; price ${t.price}; ${proof}\n`;
}
