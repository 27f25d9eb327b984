import { versionsOn } from '../../controller/core/observed.ts';
import type { Member } from '../../ends/common/balance.ts';
import type { FlowPlan, FlowPolicies } from './flow-policies.ts';
import { type Goal, type GoalMemory, goalsOf, type Known, membersOf, type PlacedService } from './goals.ts';
import type { ProgramLibrary } from './models.ts';
import type { Named, Network } from './network.ts';
import type { ManagedNode } from './node.ts';
import type { NodePool } from './node-pool.ts';
import type { Placer, Placing } from './placing.ts';
import type { Records } from './records.ts';
import { membersOfShards } from './shards.ts';

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
  /** Which part of its weight an overload leaves a worker. */
  readonly partOf: Known['partOf'];
}

/** What every node is to be. What was found is kept for as long as that for which it was found. */
export class Aims {
  readonly #means: Means;
  readonly #memory: GoalMemory = new Map();
  #goals: ReadonlyMap<string, Goal> = new Map();
  #goalsFor = '';
  #shares: ReadonlyMap<string, readonly JobShare[]> = new Map();
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

  /** Who gets which share of the jobs of a service, where devices spread them. */
  shares(service: string): readonly JobShare[] {
    return this.#shares.get(service) ?? [];
  }

  forget(): void {
    this.#goals = new Map();
    this.#shares = new Map();
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
      const classify = new Map(
        flows.flatMap(({ policy, goals }) => [...goals.keys()].map((device) => [device, policy.name])),
      );
      const usable = new Set([...nodes.names()].filter((n) => !gone.has(n) && !classify.has(n)));
      this.#placings = { key, flows, placings: await placer.place(network, usable, classify) };
    }
    return this.#placings;
  }

  /** Sets the goals. Of nodes that get another one something is to be recorded. @param placed services that have a place */
  set(network: Network, placed: readonly PlacedService[], now: number): void {
    const { records, nodes, programs, graceMs, partOf } = this.#means;
    const flows = new Map(this.flows.flatMap(({ goals }) => [...goals]));
    const gone = nodes.gone(now, graceMs);
    const up = (name: string) => nodes.get(name) !== undefined && !gone.has(name);
    const takes: Known['takes'] = (name, service) =>
      takesRequests(nodes.get(name), network.workers.get(name), service);
    const known = { up, takes, partOf };
    const spread = placed.map((p) => ({ ...p, members: membersOf(network, p, known) }));
    const goalsFor = JSON.stringify([
      ...[records.specRevision, [...gone].sort()],
      placed.map((p) => [p.placement, p.wanted, [...p.deployed], p.workers]),
      spread.map(({ members }) => members),
      [...flows].map(([name, { key }]) => [name, key]),
    ]);
    if (goalsFor === this.#goalsFor) return;
    const goals = goalsOf(network, spread, flows, programs, up, this.#memory);
    for (const [name, { key }] of goals) if (this.key(name) !== key) nodes.change(name);
    this.#shares = new Map(spread.map(({ service, members }) => [service.name, sharesOf(members)]));
    this.#goals = goals;
    this.#goalsFor = goalsFor;
  }
}

/** What one of several equal workers gets. */
export interface JobShare {
  readonly node: string;
  /** Of the manifest, less what an overload takes from it. */
  readonly weight: number;
  /** Of the jobs. */
  readonly percent: number;
}

function sharesOf(members: readonly Member[]): readonly JobShare[] {
  if (members.length === 0) return [];
  const goes = membersOfShards(members);
  return members.map(({ name, weight }, i) => ({
    ...{ node: name, weight },
    percent: Number(((100 * goes.filter((to) => to === i).length) / goes.length).toFixed(1)),
  }));
}

/** Whether a worker holds the model of a service. Of one that was not read yet it is what was known: whoever leads next changes nothing. */
function takesRequests(
  node: ManagedNode | undefined,
  worker: Named<'Worker'> | undefined,
  { modelId }: PlacedService,
): boolean {
  if (node === undefined) return false;
  if (node.readAt > 0) return versionsOn(node.observed, modelId).length > 0;
  const known = worker?.object.status.models ?? [];
  return known.some((m) => m.modelId === modelId && m.versions.length > 0);
}
