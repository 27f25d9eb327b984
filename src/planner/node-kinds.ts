import type { Model } from '../model/model.ts';
import type { CostModel } from '../targets/cost-model.ts';
import type { KindProfiles } from '../targets/profiles.ts';
import { targetNamed, targetNames } from '../targets/registry.ts';
import type { OwnOptions, Target } from '../targets/target.ts';
import { edgeCost, workerCost } from './host-costs.ts';
import { hostProfiles } from './host-profile.ts';

/** What the planner must know of nodes of one kind. */
interface NodeModel {
  profiles(model: Model, cuts: readonly number[], own?: OwnOptions): KindProfiles;
  readonly cost: CostModel;
  /** Own options that `profiles` heeds. */
  readonly planned?: Target['planned'];
  /** Most segments of a model on one node. */
  readonly segments?: number;
  /** Of its box in drawings. */
  readonly colour: string;
}

/** Nodes that no program is compiled for. */
const others: Readonly<Record<string, NodeModel>> = {
  edge: { profiles: hostProfiles, cost: edgeCost, colour: '#e8f5e9' },
  worker: { profiles: hostProfiles, cost: workerCost, colour: '#ede7f6' },
};

/** All kinds of nodes: hosts, and every target. */
export const nodeKinds = (): readonly string[] => ['edge', ...targetNames(), 'worker'];

/** Whether a controller gives nodes of a kind programs, and can steer packets to several of them. */
export const isDevice = (kind: string): boolean => others[kind] === undefined;

/** @pre one of `nodeKinds` */
export const nodeModel = (kind: string): NodeModel => others[kind] ?? targetNamed(kind);

/** The node's own cost model, or its kind's. */
export const costOf = (node: { readonly kind: string; readonly cost?: CostModel | undefined }): CostModel =>
  node.cost ?? nodeModel(node.kind).cost;

/** What tells nodes apart that make different things of a segment: their kind, and its options. */
export interface Machine {
  readonly kind: string;
  readonly options?: OwnOptions;
}

/** The same for machines alike. */
export const machineName = ({ kind, options = {} }: Machine): string => `${kind} ${JSON.stringify(options)}`;
