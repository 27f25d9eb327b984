import { versionsOn } from '../../controller/core/observed.ts';
import type { FlowPlan, FlowPolicies } from './flow-policies.ts';
import {
  type Goal,
  type GoalMemory,
  goalsOf,
  type Known,
  membersOf,
  type PlacedService,
  replicasOf,
} from './goals.ts';
import type { ProgramLibrary } from './models.ts';
import type { Named, Network } from './network.ts';
import type { ManagedNode } from './node.ts';
import type { NodePool } from './node-pool.ts';
import type { Placer, Placing } from './placing.ts';
import type { Records } from './records.ts';
import { NOT_SPREAD, type Spread, spreadOf } from './spread.ts';

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
  #spread: ReadonlyMap<string, Spread> = new Map();
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

  /** How devices spread the jobs of a service. */
  spread(service: string): Spread {
    return this.#spread.get(service) ?? NOT_SPREAD;
  }

  forget(): void {
    this.#goals = new Map();
    this.#spread = new Map();
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
      takesRequests(nodes.get(name), network.workers.get(name) ?? network.devices.get(name), service);
    const known = { up, takes, partOf };
    const spread = placed.map((p) => ({
      ...{ ...p, replicas: replicasOf(p, known), members: membersOf(network, p, known) },
    }));
    const goalsFor = JSON.stringify([
      ...[records.specRevision, [...gone].sort()],
      placed.map((p) => [p.placement, p.wanted, [...p.deployed], p.workers]),
      spread.map(({ replicas, members }) => [[...replicas], members]),
      [...flows].map(([name, { key }]) => [name, key]),
    ]);
    if (goalsFor === this.#goalsFor) return;
    const { goals, crowded } = goalsOf(network, spread, flows, programs, up, this.#memory);
    for (const [name, { key }] of goals) if (this.key(name) !== key) nodes.change(name);
    this.#spread = new Map(spread.map((s) => [s.service.name, spreadOf(s, crowded)]));
    this.#goals = goals;
    this.#goalsFor = goalsFor;
  }
}

/**
 * Whether a node holds the model of a service, and a device all else that it needs for it since it was reached last. Of one of which nothing is
 * known yet it is what was known: whoever leads next changes nothing.
 */
function takesRequests(
  node: ManagedNode | undefined,
  named: Named<'Worker'> | Named<'Device'> | undefined,
  { modelId }: PlacedService,
): boolean {
  if (node === undefined || node.wasBrought === false) return false;
  const isRead = node.kind === 'Worker' ? node.readAt > 0 : node.wasBrought === true;
  if (isRead) return versionsOn(node.observed, modelId).length > 0;
  const known = named?.object.status.models ?? [];
  return known.some((m) => m.modelId === modelId && m.versions.length > 0);
}
