import { endsAreTold } from '../../../features/definition.ts';
import type { Selector } from '../../../features/selector.ts';
import type { V1modelFlowPlan } from './plan.ts';

/** One of several models of a switch. */
export interface V1modelSetModel {
  readonly plan: V1modelFlowPlan;
  /** By the model's own numbers of its classes: those among the classes of all. */
  readonly classes: readonly number[];
}

/** Several models of flows in one program: parser and actions are common, each model has its own flows and layers. */
export interface V1modelSetPlan {
  /** The first that is for a packet gets it. */
  readonly members: readonly (V1modelSetModel & { readonly when: Selector | undefined })[];
  /** What classifies packets of which the flow has found no place, by the packet alone. */
  readonly collided: V1modelSetModel | undefined;
}

/** The models by their numbers on the switch: that of packets comes last. */
export const modelsOf = ({ members, collided }: V1modelSetPlan): readonly V1modelSetModel[] => [
  ...members,
  ...(collided ? [collided] : []),
];

/** The most features that a model has. */
export const mostFeatures = (set: V1modelSetPlan): number =>
  Math.max(...modelsOf(set).map(({ plan }) => plan.definition.features.length));

/** Whether packets may go through twice. */
export const mayResubmit = (set: V1modelSetPlan): boolean =>
  set.members.some(({ plan }) => endsAreTold(plan.definition));
