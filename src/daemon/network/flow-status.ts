import type { ConditionInput, StatusOf } from '../manifests/index.ts';
import type { FlowPlan, FlowProblem } from './flow-policies.ts';
import type { ManagedNode } from './node.ts';

type FlowStatus = StatusOf<'FlowPolicy'>;

/** What is known of a policy: of each of its devices, and of all of them. */
export interface FlowPolicyState {
  readonly devices: NonNullable<FlowStatus['devices']>;
  readonly condition: Omit<ConditionInput, 'observedGeneration'>;
}

/** @param whyNot why a device that is to classify does not; undefined where it does */
export function flowPolicyState(
  plan: FlowPlan,
  whyNot: (device: string) => string | undefined,
): FlowPolicyState {
  const isSuspended = plan.policy.spec.suspended;
  const devices = plan.devices.map(({ name, problem }) => {
    const why = problem === undefined ? whyNot(name) : problem.reason;
    return { name, ready: why === undefined && !isSuspended, ...(why !== undefined && { why }) };
  });
  const [reason, message] = reasonOf(plan, devices);
  const status = reason === 'InSync' ? 'True' : 'False';
  return { devices, condition: { type: 'Ready', status, reason, message } };
}

/** Reason and message of the condition: of what is in the way, the first. */
function reasonOf(
  { policy, problem, devices }: FlowPlan,
  states: FlowPolicyState['devices'],
): readonly [reason: string, message: string] {
  if (policy.spec.suspended) return ['Suspended', 'it is taken off its devices'];
  if (problem !== undefined) return ['Refused', textOf(problem)];
  for (const { name, problem: own } of devices)
    if (own !== undefined) return [own.isForGood ? 'Refused' : 'Conflict', `Device/${name}: ${textOf(own)}`];
  const behind = states.find((d) => !d.ready);
  if (behind !== undefined) return ['Progressing', `Device/${behind.name}: ${behind.why}`];
  if (devices.length === 0) return ['NoDevice', 'no device has these labels'];
  return ['InSync', 'every device classifies by it, read back and equal'];
}

const textOf = ({ reason, remedy }: FlowProblem): string =>
  remedy === undefined ? reason : `${reason}: ${remedy}`;

/** Why a device does not classify that is to; undefined where it does. @param goal key of what it is to be */
export function whyBehind(node: ManagedNode | undefined, goal: string | undefined): string | undefined {
  if (node?.settledAt !== undefined && node.settledAt === goal) return undefined;
  if (node?.failure !== undefined) return node.failure.diagnostics.map((d) => d.message).join('; ');
  return node?.reach.kind === 'away' ? node.reach.why : 'it is being brought there';
}
