import type { FlowPlan, FlowPolicies } from './flow-policies.ts';
import { type Goal, type GoalMemory, goalsOf, type PlacedService } from './goals.ts';
import type { ProgramLibrary } from './models.ts';
import type { Network } from './network.ts';
import type { NodePool } from './node-pool.ts';
import type { Placer, Placing } from './placing.ts';
import type { Records } from './records.ts';

/** What services and flow policies come to. */
export interface Placings {
  readonly placings: readonly Placing[];
  readonly flows: readonly FlowPlan[];
}

/** By what it is decided. */
interface Means {
  readonly records: Records;
  readonly nodes: NodePool;
  readonly programs: ProgramLibrary;
  readonly placer: Placer;
  readonly flowPolicies: FlowPolicies;
  /** How long a node may be away before traffic is led around it, and before its layers move, ms. */
  readonly graceMs: number;
  readonly moveMs: number;
}

/** What every node is to be. What was found is kept for as long as that for which it was found. */
export class Aims {
  readonly #means: Means;
  readonly #memory: GoalMemory = new Map();
  #goals: ReadonlyMap<string, Goal> = new Map();
  #goalsFor = '';
  #placings: (Placings & { readonly key: string }) | undefined;

  constructor(means: Means) {
    this.#means = means;
  }

  /** As policies of flows were planned last. */
  get flows(): readonly FlowPlan[] {
    return this.#placings?.flows ?? [];
  }

  goal(node: string): Goal | undefined {
    return this.#goals.get(node);
  }

  /** Key of what a node is to be. */
  key(node: string): string | undefined {
    return this.#goals.get(node)?.key;
  }

  forget(): void {
    this.#goals = new Map();
    this.#memory.clear();
    this.#goalsFor = '';
    this.#placings = undefined;
  }

  /** Flow policies go first: the planner gives their devices to no service. */
  async place(network: Network, now: number): Promise<Placings> {
    const { records, nodes, placer, flowPolicies, moveMs } = this.#means;
    const gone = nodes.gone(now, moveMs);
    const key = JSON.stringify([records.revision, [...gone].sort()]);
    if (this.#placings?.key !== key) {
      const flows = await flowPolicies.plan(network);
      const classify = new Set(flows.flatMap(({ goals }) => [...goals.keys()]));
      const usable = new Set([...nodes.names()].filter((n) => !gone.has(n) && !classify.has(n)));
      this.#placings = { key, flows, placings: await placer.place(network, usable) };
    }
    return this.#placings;
  }

  /** Sets the goals. Of nodes that get another one something is to be recorded. @param placed services that have a place */
  set(network: Network, placed: readonly PlacedService[], now: number): void {
    const { records, nodes, programs, graceMs } = this.#means;
    const flows = new Map(this.flows.flatMap(({ goals }) => [...goals]));
    const gone = nodes.gone(now, graceMs);
    const goalsFor = JSON.stringify([
      ...[records.specRevision, [...gone].sort()],
      placed.map((p) => [p.placement, p.wanted, [...p.deployed], p.workers]),
      [...flows].map(([name, { key }]) => [name, key]),
    ]);
    if (goalsFor === this.#goalsFor) return;
    const up = (name: string) => nodes.get(name) !== undefined && !gone.has(name);
    const goals = goalsOf(network, placed, flows, programs, up, this.#memory);
    for (const [name, { key }] of goals) if (this.key(name) !== key) nodes.change(name);
    this.#goals = goals;
    this.#goalsFor = goalsFor;
  }
}
