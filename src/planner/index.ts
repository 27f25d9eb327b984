/** Dividing a model along a path of nodes: see docs/plan.md. */
import type { Model } from '../model/model.ts';
import { modelChain } from './model-chain.ts';
import { type PlanReport, planChain } from './plan.ts';
import type { PlanOptions } from './solve-replicated.ts';
import type { Topology } from './topology-schema.ts';

export { type CostModel, computeNs, type Work } from '../targets/cost-model.ts';
export { type Fit, fitCost, type Sample } from '../targets/fit.ts';
export type { SegmentProfile } from '../targets/profiles.ts';
export type { Chain } from './chain.ts';
export { planDiagnostics } from './diagnostics.ts';
export type { NodeExplanation } from './explain.ts';
export type { Refusal } from './find-refusals.ts';
export { modelChain } from './model-chain.ts';
export {
  type PlannedCrossing,
  type PlannedSegment,
  type PlanReport,
  planChain,
  type Totals,
} from './plan.ts';
export { planSvg } from './plan-svg.ts';
export type { PlannedReplica, TooFewReplicas } from './replica-report.ts';
export type { PlanOptions } from './solve-replicated.ts';
export { parseTopology, readTopology } from './topology.ts';
export { type Topology, type TopologyInput, topologySchemaText } from './topology-schema.ts';

/** Plans a verified model over a checked topology. @param file of the topology, for messages */
export const planModel = (
  model: Model,
  topology: Topology,
  file: string,
  options: PlanOptions = {},
): PlanReport => planChain(modelChain(model), topology, file, options);
