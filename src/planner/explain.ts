import type { BuiltInstance } from './build-instance.ts';
import type { Chain } from './chain.ts';
import { type Distances, distances } from './distances.ts';
import type { PathGraph } from './graph.ts';
import type { Instance, Violation, Walk } from './instance.ts';
import { boundPs, weightsOf } from './search.ts';
import { type Solution, solve } from './solve.ts';
import type { Topology } from './topology-schema.ts';

/** What a node does in the plan, and why not something else. */
export interface NodeExplanation {
  readonly node: string;
  readonly kind: string;
  readonly role: 'computes' | 'forwards' | 'unused';
  readonly layers: readonly string[];
  readonly reason: string;
  /** All rules that keep layers off this node, one sentence each. */
  readonly barred: readonly string[];
}

/** A reason for each node, in the order of the file. */
export function explainNodes(
  t: Topology,
  instance: BuiltInstance,
  s: Solution,
  chain: Chain,
): NodeExplanation[] {
  const through = s.walk === undefined ? undefined : throughNodes(instance, s.graph);
  return t.nodes.map(({ name, kind }, node) => {
    const layers = (s.walk?.steps ?? []).flatMap((step) =>
      step.kind === 'compute' && step.node === node
        ? chain.layers.slice(chain.cuts[step.from]!, chain.cuts[step.to]!)
        : [],
    );
    const passed =
      node === instance.ingress ||
      (s.walk?.steps ?? []).some((step) => step.kind === 'cross' && instance.links[step.link]!.to === node);
    const role = layers.length > 0 ? 'computes' : passed && s.walk !== undefined ? 'forwards' : 'unused';
    const barred = barriers(instance, node);
    const reason =
      s.walk === undefined || through === undefined
        ? (barred[0] ?? 'could compute, but no plan reaches the end')
        : role === 'computes'
          ? withoutNode(instance, node, s.walk)
          : whyNot(instance, through[node]!, s.walk, barred, open(instance, node));
    return { node: name, kind, role, layers, reason, barred };
  });
}

/** What keeps single blocks off the node; one sentence for each constraint, with the first layer that it hits. */
function barriers(instance: Instance, node: number): string[] {
  const found = new Map<string, Violation>();
  for (let cut = 0; cut < instance.lastCut; cut++)
    for (const v of instance.segment(node, cut, cut + 1).violations)
      if (!found.has(v.constraint)) found.set(v.constraint, v);
  return [...found.values()].map((v) => v.message);
}

/** Whether it may compute anything at all. */
const open = (instance: Instance, node: number): boolean =>
  Array.from({ length: instance.lastCut }, (_, cut) => cut).some(
    (cut) => instance.segment(node, cut, cut + 1).violations.length === 0,
  );

interface Through {
  /** Least objective, and least time, of all walks on which the node computes something; infinite if there is none. */
  readonly objective: number;
  readonly ps: number;
}

/** What it would take to let each node compute: the best walk through any of its segments. */
function throughNodes(instance: Instance, graph: PathGraph): Through[] {
  const weights = weightsOf(graph, instance);
  const byTime = { primary: graph.ps, secondary: graph.price, tie: graph.tie };
  const both = (w: typeof weights): [Distances, Distances] => [
    distances(graph, w, 'from start'),
    distances(graph, w, 'to goal'),
  ];
  const objective = both(weights);
  const time = instance.objective.minimise === 'latency' ? objective : both(byTime);
  const best = Array.from({ length: instance.nodes }, () => ({
    objective: Number.POSITIVE_INFINITY,
    ps: Number.POSITIVE_INFINITY,
  }));
  for (const [edge, step] of graph.steps.entries()) {
    if (step?.kind !== 'compute') continue;
    const [source, target] = [graph.source[edge]!, graph.target[edge]!];
    const sum = ([from, to]: [Distances, Distances], w: ArrayLike<number>) =>
      from.primary[source]! + w[edge]! + to.primary[target]!;
    const node = best[step.node]!;
    node.objective = Math.min(node.objective, sum(objective, weights.primary));
    node.ps = Math.min(node.ps, sum(time, graph.ps));
  }
  return best;
}

const us = (ps: number): string => `${(ps / 1e6).toFixed(3)} us`;
const money = (nano: number): string => `${nano / 1e9}`;

function whyNot(
  i: Instance,
  through: Through,
  walk: Walk,
  barred: readonly string[],
  canCompute: boolean,
): string {
  if (!canCompute) return barred[0] ?? 'there is nothing to compute';
  if (through.objective === Number.POSITIVE_INFINITY)
    return `no way through it from ingress to egress keeps the constraints${barred.length > 0 ? `; ${barred[0]}` : ''}`;
  if (i.objective.minimise === 'latency') {
    const more = through.objective - (walk.ps - i.entry.packetPs);
    if (more > 0) return `any layer here makes the whole at least ${us(more)} slower`;
    return equal(more);
  }
  const late = through.ps - boundPs(i);
  if (late > 0) return `any layer here breaks the latency bound by at least ${us(late)}`;
  const more = through.objective - walk.price;
  if (more > 0) return `any layer here costs at least ${money(more)} more`;
  return equal(more);
}

const equal = (more: number): string =>
  more < 0
    ? 'better ways through it would use a node beyond what it has, or break the bound'
    : 'as good; equals go to the one with less latency or price, then fewer segments, fewer links, and the order of the file';

/** What the plan would be if the node only forwarded. */
function withoutNode(instance: Instance, node: number, walk: Walk): string {
  const bar: Violation = { constraint: 'what if', place: '', message: '' };
  const other: Instance = {
    ...instance,
    segment: (n, from, to) => {
      const segment = instance.segment(n, from, to);
      return n === node ? { ...segment, violations: [...segment.violations, bar] } : segment;
    },
  };
  const { walk: best, proof } = solve(other, { budget: WHAT_IF_BUDGET });
  if (best === undefined)
    return proof.kind === 'optimal' ? 'no plan does without it' : 'no plan without it was found';
  if (instance.objective.minimise === 'latency')
    return `without it the best plan is ${us(best.ps - walk.ps)} slower`;
  if (best.price === walk.price)
    return `without it the best plan costs the same, ${us(best.ps - walk.ps)} slower`;
  return `without it the best plan costs ${money(best.price - walk.price)} more`;
}

/** Labels for a question that is only asked to explain. */
const WHAT_IF_BUDGET = 20_000;
