import type { Model } from '../model/model.ts';
import type { CostModel } from '../targets/cost-model.ts';
import type { KindProfiles } from '../targets/profiles.ts';
import { targetNamed, targetNames } from '../targets/registry.ts';
import { edgeCost, workerCost } from './host-costs.ts';
import { hostProfiles } from './host-profile.ts';

/** What the planner must know of nodes of one kind. */
interface NodeModel {
  profiles(model: Model, cuts: readonly number[]): KindProfiles;
  /** Absent where nothing was measured: without a cost in the topology such a node only forwards. */
  readonly cost?: CostModel;
  /** Of its box in drawings. */
  readonly colour: string;
}

/** Nodes that no program is compiled for. */
const others: Readonly<Record<string, NodeModel>> = {
  edge: { profiles: hostProfiles, cost: edgeCost, colour: '#e8f5e9' },
  // What a Tofino needs depends on the rows that its levels are calibrated on: a planner counts plain weights.
  tna: { profiles: hostProfiles, colour: '#fce4ec' },
  worker: { profiles: hostProfiles, cost: workerCost, colour: '#ede7f6' },
};

/** All kinds of nodes: hosts, and every target. */
export const nodeKinds = (): readonly string[] => ['edge', ...targetNames(), 'worker'];

/** @pre one of `nodeKinds` */
export const nodeModel = (kind: string): NodeModel => others[kind] ?? targetNamed(kind);

/** The node's own cost model, or its kind's. */
export const costOf = (node: {
  readonly kind: string;
  readonly cost?: CostModel | undefined;
}): CostModel | undefined => node.cost ?? nodeModel(node.kind).cost;
