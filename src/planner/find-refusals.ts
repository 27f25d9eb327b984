import type { BuiltInstance } from './build-instance.ts';
import { sharedResources } from './chain.ts';
import { buildGraph, type PathGraph } from './graph.ts';
import type { Instance, Violation, Walk } from './instance.ts';
import { walkAlong } from './search.ts';
import { exceeded } from './segment-rules.ts';
import { overCommitted, solve } from './solve.ts';
import { makeSweep } from './sweep.ts';
import type { Topology } from './topology-schema.ts';

/** One way in which the nearest plan fails. */
export interface Refusal extends Violation {
  /** `alone`: without this one constraint there would be a plan. `together`: only without all of these. */
  readonly lifting: 'alone' | 'together';
}

/** Labels for each question; a constraint for which it does not do is passed over. */
const BUDGET = 30_000;

/**
 * Why there is no plan, and by how much. Each constraint is lifted alone; where that makes a plan possible, the walk is looked
 * for that breaks it least, and what it breaks is told. Where no constraint alone is to blame, all are lifted at once.
 */
export function findRefusals(t: Topology, instance: BuiltInstance): Refusal[] {
  const graph = buildGraph(instance, 'keep');
  const violated = [...instance.entry.violations, ...graph.violations.flat()].map((v) => v.constraint);
  const constraints = new Set([...violated, ...sharedResources, 'latency']);
  const found: Refusal[] = [];
  for (const constraint of constraints) {
    const lifted = lift(instance, constraint);
    const { walk } = solve(lifted, { budget: BUDGET });
    if (walk === undefined) continue;
    const least = leastBroken(instance, graph, new Set([constraint]));
    const nearest = least !== undefined && isSound(lifted, least) ? least : walk;
    found.push(...broken(t, instance, nearest).map((v): Refusal => ({ ...v, lifting: 'alone' })));
  }
  if (found.length > 0) return found;
  const nearest = leastBroken(instance, graph, constraints);
  if (nearest !== undefined)
    return broken(t, instance, nearest).map((v): Refusal => ({ ...v, lifting: 'together' }));
  const message = `no links lead from ${t.ingress} to ${t.egress}`;
  return [{ constraint: 'walk', place: `${t.ingress} -> ${t.egress}`, message, lifting: 'alone' }];
}

/** The same problem without one constraint. */
function lift(instance: Instance, constraint: string): Instance {
  const less = <T extends { readonly violations: readonly Violation[] }>(step: T): T => ({
    ...step,
    violations: step.violations.filter((v) => v.constraint !== constraint),
  });
  return {
    ...instance,
    entry: less(instance.entry),
    segment: (node, from, to) => less(instance.segment(node, from, to)),
    crossing: (link, cut) => less(instance.crossing(link, cut)),
    passing: (node) => instance.passing(node).filter((v) => v.constraint !== constraint),
    capacities: (node) =>
      instance
        .capacities(node)
        .map((c, k) => (sharedResources[k] === constraint ? Number.POSITIVE_INFINITY : c)),
    objective: constraint === 'latency' ? { minimise: 'latency' } : instance.objective,
  };
}

const isSound = (instance: Instance, walk: Walk): boolean =>
  overCommitted(instance, walk).length === 0 &&
  !(instance.objective.minimise === 'cost' && walk.ps > instance.objective.boundPs);

/** Weight of breaking a constraint at all, above any sum of excesses. */
const BREACH = 1e6;

/** The walk with the fewest breaches of these constraints, then the least excess relative to the limits. */
function leastBroken(instance: Instance, graph: PathGraph, lifted: ReadonlySet<string>): Walk | undefined {
  const weight = Float64Array.from(graph.violations, (list) => penalty(list, lifted));
  const { distance, next } = makeSweep(graph, instance)(weight);
  if (distance[graph.start] === Number.POSITIVE_INFINITY) return undefined;
  const edges: number[] = [];
  for (let state = graph.start; state !== graph.goal; state = graph.target[edges.at(-1)!]!)
    edges.push(next[state]!);
  return walkAlong(graph, instance, edges);
}

function penalty(violations: readonly Violation[], lifted: ReadonlySet<string>): number {
  let sum = 0;
  for (const v of violations) {
    if (!lifted.has(v.constraint)) return Number.POSITIVE_INFINITY;
    const excess =
      v.need === undefined || v.limit === undefined ? 1 : (v.need - v.limit) / Math.max(v.limit, 1);
    sum += BREACH + Math.min(excess, BREACH / 10);
  }
  return sum;
}

/** All that a walk breaks, each thing once. */
function broken(t: Topology, instance: BuiltInstance, walk: Walk): Violation[] {
  const steps = walk.steps.flatMap((step, i) => {
    if (step.kind === 'compute') return instance.segment(step.node, step.from, step.to).violations;
    const isPassed = walk.steps[i + 1]?.kind === 'cross';
    const passing = isPassed ? instance.passing(instance.links[step.link]!.to) : [];
    return [...instance.crossing(step.link, step.cut).violations, ...passing];
  });
  const all = [...instance.entry.violations, ...steps, ...late(instance, walk)];
  // A segment that needs too much by itself has been told already.
  const told = new Set(all.map((v) => `${v.constraint} ${v.place}`));
  for (const { node, capacity, need, limit } of overCommitted(instance, walk)) {
    const resource = sharedResources[capacity]!;
    const v = exceeded(t.nodes[node]!, { resource, need, limit, unit: resource === 'memory' ? 'bytes' : '' });
    if (!told.has(`${v.constraint} ${v.place}`))
      all.push({ ...v, message: `${v.message}, by all its segments together` });
  }
  return [...new Map(all.map((v) => [v.message, v])).values()];
}

function late({ objective }: Instance, walk: Walk): Violation[] {
  if (objective.minimise !== 'cost' || walk.ps <= objective.boundPs) return [];
  const [need, limit] = [walk.ps / 1e6, objective.boundPs / 1e6];
  const message = `the fastest plan takes ${need.toFixed(3)} us, the latency bound is ${limit} us: ${(need - limit).toFixed(3)} us too many`;
  return [{ constraint: 'latency', place: 'end to end', message, need, limit, unit: 'us' }];
}
