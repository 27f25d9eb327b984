import { type BuiltInstance, segmentKey } from './build-instance.ts';
import type { Chain } from './chain.ts';
import type { Violation } from './instance.ts';
import { isDevice } from './node-kinds.ts';
import { findReplicas, type Replicas } from './replicas.ts';
import { type Solution, solve } from './solve.ts';
import type { Topology } from './topology-schema.ts';

/** What whoever plans again says of the plan before. */
export interface PlanOptions {
  /** Segments as the plan is to have them, each on one of these nodes; absent where it may have any. */
  readonly kept?: readonly {
    readonly from: number;
    readonly to: number;
    readonly nodes: readonly string[];
  }[];
  /** Nodes that are replicas before others are. */
  readonly held?: readonly string[];
  /** Latest answer by way of any replica, us; a plan that is later itself is the bound of its replicas. */
  readonly latencyUs?: number;
}

/** A plan, and which nodes share its segments. */
export interface Replicated {
  /** For which it was solved: nodes that were to compute nothing are barred there. */
  readonly instance: BuiltInstance;
  readonly solution: Solution;
  /** Of segments on devices; none where one is all that is asked for. */
  readonly groups: readonly Replicas[];
  /** From the ingress to the answer, whichever replicas a packet meets, picoseconds. */
  readonly slowestPs: number;
}

/** How many devices are to compute each segment. */
export const replicasOf = ({ replicas = 1, minReplicas = 1 }: Topology): number =>
  Math.max(replicas, minReplicas);

/** Of the segment that has the fewest of those that want more; infinite where none does. */
const leastReplicas = (groups: readonly Replicas[]): number =>
  Math.min(...lacking(groups).map(({ nodes }) => nodes.length));

/** Segments that have fewer devices than they want. */
export const lacking = (groups: readonly Replicas[]): readonly Replicas[] =>
  groups.filter(({ nodes, wanted }) => nodes.length < wanted);

/** Plans without the nodes that others could not share layers with: each may take as long as the first. */
const MOST_TRIES = 4;

/**
 * The best plan, and replicas for it. Where some segment gets fewer than wanted, because all traffic passes its node, as at the ingress, or few
 * are like it, plans without that node are tried: one that has more replicas is taken, though it is slower, as long as it keeps the bound.
 */
export function solveReplicated(
  chain: Chain,
  t: Topology,
  built: BuiltInstance,
  options: PlanOptions,
): Replicated {
  const wanted = replicasOf(t);
  const { kept } = options;
  const instance = kept === undefined ? built : keptOnly(chain, t, built, kept);
  let best = solveOnce(chain, t, built, instance, options);
  if (wanted === 1 || kept !== undefined) return best;
  const lateAfter = Math.max(boundOf(t, options), best.solution.walk?.ps ?? 0);
  const barred = new Set<number>();
  let last = best;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const short = lacking(last.groups);
    for (const { nodes } of short) barred.add(nodes[0]!);
    const left = t.nodes.filter((n, i) => isDevice(n.kind) && !barred.has(i)).length;
    if (short.length === 0 || left <= leastReplicas(best.groups)) break;
    last = solveOnce(chain, t, built, without(t, built, barred), options);
    const { walk } = last.solution;
    if (walk === undefined || last.groups.length === 0) break;
    if (leastReplicas(last.groups) > leastReplicas(best.groups) && walk.ps <= lateAfter) best = last;
  }
  return best;
}

/** @param built for replicas @param instance for the plan, which may do with fewer nodes */
function solveOnce(
  chain: Chain,
  t: Topology,
  built: BuiltInstance,
  instance: BuiltInstance,
  options: PlanOptions,
): Replicated {
  const solution = solveConfirmed(chain, t, instance);
  const { walk } = solution;
  const most = replicasOf(t);
  if (walk === undefined || most === 1) return { instance, solution, groups: [], slowestPs: walk?.ps ?? 0 };
  const held = new Set(options.held);
  const found = findReplicas(
    built,
    walk,
    {
      most: (from, to) => Math.min(most, mostPinned(t, built.pinnedTo(from, to))),
      mayShare: (node) => isDevice(t.nodes[node]!.kind),
      isHeld: (node) => held.has(t.nodes[node]!.name),
      boundPs: Math.max(boundOf(t, options), walk.ps),
      confirm: (node, from, to) => chain.confirm(t.nodes[node]!, from, to),
    },
    (node) => t.nodes[node]!.name,
  );
  return { instance, solution, ...found };
}

/** Rules that name fewer devices ask for no more. What is not there at present is counted, too. */
const mostPinned = (t: Topology, pinned: readonly string[] | undefined): number =>
  pinned === undefined
    ? Number.POSITIVE_INFINITY
    : pinned.filter((name) => isDevice(t.nodes.find((n) => n.name === name)?.kind ?? '')).length;

/** Picoseconds. */
function boundOf({ objective }: Topology, { latencyUs = Number.POSITIVE_INFINITY }: PlanOptions): number {
  const own = objective.minimise === 'cost' ? objective.latencyUs : Number.POSITIVE_INFINITY;
  return Math.round(Math.min(own, latencyUs) * 1e6);
}

/** Solves, asks the backends about the chosen segments, and forbids what they refuse, until they refuse nothing. */
function solveConfirmed(chain: Chain, t: Topology, instance: BuiltInstance): Solution {
  for (;;) {
    const solution = solve(instance);
    let refused = false;
    for (const step of solution.walk?.steps ?? []) {
      if (step.kind !== 'compute') continue;
      const reasons = chain.confirm(t.nodes[step.node]!, step.from, step.to);
      if (reasons.length === 0) continue;
      instance.refused.set(segmentKey(step.node, step.from, step.to), reasons);
      refused = true;
    }
    if (!refused) return solution;
  }
}

/** The same problem with further segments forbidden. @param bar why, or undefined */
function forbidding(
  instance: BuiltInstance,
  bar: (node: number, from: number, to: number) => Violation | undefined,
): BuiltInstance {
  return {
    ...instance,
    segment: (node, from, to) => {
      const segment = instance.segment(node, from, to);
      const violation = bar(node, from, to);
      return violation === undefined
        ? segment
        : { ...segment, violations: [...segment.violations, violation] };
    },
  };
}

function without(t: Topology, instance: BuiltInstance, barred: ReadonlySet<number>): BuiltInstance {
  return forbidding(instance, (node) => {
    const place = t.nodes[node]!.name;
    const message = `${place} computes nothing, so that more devices share layers`;
    return barred.has(node) ? { constraint: 'replicas', place, message } : undefined;
  });
}

function keptOnly(
  chain: Chain,
  t: Topology,
  instance: BuiltInstance,
  kept: NonNullable<PlanOptions['kept']>,
): BuiltInstance {
  return forbidding(instance, (node, from, to) => {
    const place = t.nodes[node]!.name;
    const [first, end] = [chain.cuts[from]!, chain.cuts[to]!];
    const isKept = kept.some((s) => s.from === first && s.to === end && s.nodes.includes(place));
    return isKept
      ? undefined
      : { constraint: 'kept', place, message: `${place} did not compute them before` };
  });
}
