import { Heap } from './heap.ts';
import { crossingPs, type Instance, type Step, type Violation, type Walk } from './instance.ts';

/** How many devices are to compute each segment of a plan, and what decides which. */
export interface ReplicasWanted {
  /** For a segment, that of the plan among them. */
  readonly most: (from: number, to: number) => number;
  /** Whether a node may be one of several, and leads packets on to others; those that are neither end ways. */
  readonly mayShare: (node: number) => boolean;
  /** Whether a node is taken before others are: those that have the layers already. */
  readonly isHeld: (node: number) => boolean;
  /** Latest answer, whichever of the devices a packet meets, picoseconds from its arrival at the ingress. */
  readonly boundPs: number;
  /** What the back end says against a segment that was chosen. */
  readonly confirm: (node: number, from: number, to: number) => readonly string[];
}

/** Nodes that compute the same blocks, that of the plan first. */
export interface Replicas {
  readonly from: number;
  readonly to: number;
  readonly nodes: readonly number[];
  readonly wanted: number;
  /** Of others why they are none of them; told where they are fewer than wanted. */
  readonly refusals: readonly Violation[];
}

/** Where a packet is computed on its way: each of some nodes up to a cut. */
interface Stage {
  readonly from: number;
  readonly to: number;
  nodes: readonly number[];
  readonly wanted: number;
  readonly isShared: boolean;
}

/** The node itself, its back end, links, other replicas, or time. */
type Bar = 'segment' | 'backend' | 'way' | 'between' | 'late';

/** How refusals call nodes. */
type NameOf = (node: number) => string;

/**
 * Further nodes for the segments of a plan, so that a packet may take any of them at each: all keep the constraints of the plan, every way
 * from any of one segment to any of the next is open, none of it leads through another one of the same segment (which would compute the packet
 * itself), and the slowest keeps the bound. Segments get one after the other, those with the fewest choices first; each the node that makes the
 * plan least worse in its objective, of equals the first of the file.
 */
export function findReplicas(
  instance: Instance,
  walk: Walk,
  wanted: ReplicasWanted,
  nameOf: NameOf,
): { readonly groups: readonly Replicas[]; readonly slowestPs: number } {
  const stages = stagesOf(walk, wanted);
  const search = new ReplicaSearch(instance, stages, wanted);
  const open = stages.filter((stage) => stage.isShared);
  while (open.length > 0) {
    const choices = open.map((stage) => ({ stage, nodes: search.choices(stage) }));
    choices.sort((a, b) => a.stage.nodes.length - b.stage.nodes.length || a.nodes.length - b.nodes.length);
    const { stage, nodes } = choices[0]!;
    const next = stage.nodes.length < stage.wanted ? nodes[0] : undefined;
    if (next === undefined) open.splice(open.indexOf(stage), 1);
    else if (wanted.confirm(next, stage.from, stage.to).length > 0) search.refuse(next, stage);
    else stage.nodes = [...stage.nodes, next];
  }
  const groups = stages
    .filter((stage) => stage.isShared)
    .map((stage) => ({
      ...{ from: stage.from, to: stage.to, nodes: stage.nodes, wanted: stage.wanted },
      refusals: stage.nodes.length < stage.wanted ? search.refusals(stage, nameOf) : [],
    }));
  const isShared = groups.some(({ nodes }) => nodes.length > 1);
  return { groups, slowestPs: isShared ? search.slowest() : walk.ps };
}

/** A node that computes twice on the walk holds two ranges of layers, and another one can hold only one of them. */
function stagesOf({ steps }: Walk, { mayShare, most }: ReplicasWanted): readonly Stage[] {
  const computed = steps.filter((s): s is Step & { kind: 'compute' } => s.kind === 'compute');
  return computed.map(({ node, from, to }) => {
    const isOnce = computed.filter((s) => s.node === node).length === 1;
    return { from, to, nodes: [node], wanted: most(from, to), isShared: isOnce && mayShare(node) };
  });
}

class ReplicaSearch {
  readonly #instance: Instance;
  readonly #stages: readonly Stage[];
  readonly #wanted: ReplicasWanted;
  readonly #leaving: readonly (readonly number[])[];
  readonly #legs = new Map<string, Float64Array>();
  /** Node and stage that the back end refused. */
  readonly #refused = new Set<string>();

  constructor(instance: Instance, stages: readonly Stage[], wanted: ReplicasWanted) {
    this.#instance = instance;
    this.#stages = stages;
    this.#wanted = wanted;
    const leaving = Array.from({ length: instance.nodes }, (): number[] => []);
    for (const [i, { from }] of instance.links.entries()) leaving[from]!.push(i);
    this.#leaving = leaving;
  }

  refuse(node: number, { from }: Stage): void {
    this.#refused.add(`${node} ${from}`);
  }

  /** Nodes that a stage may have too, the best first. */
  choices(stage: Stage): readonly number[] {
    const { isHeld } = this.#wanted;
    return this.#free()
      .filter((node) => this.#whyNot(node, stage) === undefined)
      .map((node) => ({ node, isLast: Number(!isHeld(node)), cost: this.#costOf(node, stage) }))
      .sort(
        (a, b) => a.isLast - b.isLast || a.cost[0] - b.cost[0] || a.cost[1] - b.cost[1] || a.node - b.node,
      )
      .map(({ node }) => node);
  }

  /** The latest answer, whichever nodes a packet meets. */
  slowest(): number {
    return this.#slowest(this.#stages);
  }

  refusals(stage: Stage, nameOf: NameOf): readonly Violation[] {
    return this.#free().flatMap((node) => {
      const why = this.#whyNot(node, stage);
      return why === undefined ? [] : [this.#violation(why, node, stage, nameOf)];
    });
  }

  /** Nodes that compute nothing yet. */
  #free(): readonly number[] {
    const taken = new Set(this.#stages.flatMap(({ nodes }) => nodes));
    return Array.from({ length: this.#instance.nodes }, (_, node) => node).filter(
      (node) => !taken.has(node) && this.#wanted.mayShare(node),
    );
  }

  /** What keeps a node from a stage; undefined where nothing does. */
  #whyNot(node: number, stage: Stage): Bar | undefined {
    if (this.#instance.segment(node, stage.from, stage.to).violations.length > 0) return 'segment';
    if (this.#refused.has(`${node} ${stage.from}`)) return 'backend';
    const slowest = this.#slowest(this.#with(stage, [...stage.nodes, node]));
    if (slowest < Number.POSITIVE_INFINITY) return slowest <= this.#wanted.boundPs ? undefined : 'late';
    return this.#slowest(this.#with(stage, [node])) < Number.POSITIVE_INFINITY ? 'between' : 'way';
  }

  #violation(why: Bar, node: number, stage: Stage, nameOf: NameOf): Violation {
    const place = nameOf(node);
    const bar = (constraint: string, message: string) => ({ constraint, place, message });
    switch (why) {
      case 'segment':
        return this.#instance.segment(node, stage.from, stage.to).violations[0]!;
      case 'backend':
        return bar('backend', this.#wanted.confirm(node, stage.from, stage.to).join('; '));
      case 'way':
        return bar('walk', `no links lead through ${place} from what is before it to what is behind it`);
      case 'between': {
        const others = stage.nodes.map(nameOf).join(' or ');
        return bar('walk', `jobs for ${place} would pass ${others}, or theirs pass ${place}`);
      }
      case 'late': {
        const need = this.#slowest(this.#with(stage, [...stage.nodes, node])) / PS_PER_US;
        const limit = this.#wanted.boundPs / PS_PER_US;
        const message = `with ${place} answers take up to ${need.toFixed(3)} us, the latency bound is ${limit} us: ${(need - limit).toFixed(3)} us too many`;
        return { ...bar('latency', message), need, limit, unit: 'us' };
      }
    }
  }

  #with(stage: Stage, nodes: readonly number[]): readonly Stage[] {
    return this.#stages.map((s) => (s === stage ? { ...s, nodes } : s));
  }

  /** What a plan would cost with this node in place of that of the plan. */
  #costOf(node: number, stage: Stage): readonly [number, number] {
    const first = this.#stages.map((s) => ({ ...s, nodes: [s === stage ? node : s.nodes[0]!] }));
    const { price } = this.#instance.segment(node, stage.from, stage.to);
    const ps = this.#slowest(first);
    return this.#instance.objective.minimise === 'latency' ? [ps, price] : [price, ps];
  }

  /** Infinite where from some node of a stage there is no way to some node of the next. */
  #slowest(stages: readonly Stage[]): number {
    const { ingress, egress, entry, lastCut } = this.#instance;
    let reached = new Map([[ingress, entry.packetPs]]);
    for (const { from, to, nodes } of stages)
      reached = new Map(
        nodes.map((node) => {
          const { ps } = this.#instance.segment(node, from, to);
          return [node, this.#latest(reached, from, nodes, node) + ps];
        }),
      );
    return this.#latest(reached, lastCut, [egress], egress);
  }

  /** When a packet arrives at one of several nodes at the latest, coming from any of those before. */
  #latest(before: ReadonlyMap<number, number>, cut: number, nodes: readonly number[], node: number): number {
    return Math.max(...[...before].map(([source, ps]) => ps + this.#legsFrom(source, cut, nodes)[node]!));
  }

  /** Times from a node to each other one by way of devices, but of none of these: whoever has the layers computes what comes by. */
  #legsFrom(source: number, cut: number, nodes: readonly number[]): Float64Array {
    const key = `${source} ${cut} ${nodes.join(' ')}`;
    const known = this.#legs.get(key);
    if (known !== undefined) return known;
    const ends = new Set(nodes);
    const times = new Float64Array(this.#instance.nodes).fill(Number.POSITIVE_INFINITY);
    const heap = new Heap<readonly [node: number, ps: number]>((a, b) => a[1] < b[1]);
    const reach = (node: number, ps: number): void => {
      if (ps >= times[node]!) return;
      times[node] = ps;
      heap.push([node, ps]);
    };
    reach(source, 0);
    for (let next = heap.pop(); next !== undefined; next = heap.pop()) {
      const [nearest, ps] = next;
      const isEnd = ends.has(nearest) || (nearest !== source && !this.#wanted.mayShare(nearest));
      if (ps > times[nearest]! || isEnd) continue;
      for (const link of this.#leaving[nearest]!) {
        const crossing = this.#instance.crossing(link, cut);
        if (crossing.violations.length === 0)
          reach(this.#instance.links[link]!.to, ps + crossingPs(crossing));
      }
    }
    this.#legs.set(key, times);
    return times;
  }
}

const PS_PER_US = 1e6;
