import type { Observed } from '../../controller/core/observed.ts';
import { classifiesFlows } from '../../controller/program.ts';
import type { DamagedObject } from '../objects/index.ts';
import type { FlowPlan } from './flow-policies.ts';
import type { Network } from './network.ts';
import type { Placing } from './placing.ts';

/** Kinds of what a service is made of. */
const PARTS: ReadonlySet<string> = new Set(['Service', 'Model', 'ModelVersion', 'Rollout']);

/**
 * Nodes that are left as they are: those of services of which a part is damaged in the store, or whose file is, and that therefore have no
 * place now. Nothing is taken from a node because somebody wrote over what says why it has it.
 */
export function heldBack(
  network: Network,
  placings: readonly Placing[],
  damaged: ReadonlyMap<string, DamagedObject>,
): ReadonlySet<string> {
  const lacks = [...damaged.values()].some(({ kind }) => PARTS.has(kind));
  // Without its rollout, or the version that is current, a service would go to another one.
  const isTurned = ({ placed, service }: Placing): boolean =>
    placed !== undefined &&
    lacks &&
    ![undefined, placed.wanted.current].includes(service.object.status.version);
  const unsure = new Set(
    placings.flatMap((p) => {
      const isGone = p.placed === undefined && (lacks || p.isFileLost);
      return isGone || isTurned(p) ? [p.service.name] : [];
    }),
  );
  const held = new Set<string>();
  for (const { name, spec } of network.placements.values()) {
    const isLost = damaged.has(`Service/${name}`) && !network.services.has(name);
    if (isLost || unsure.has(name)) for (const { node } of spec.segments) held.add(node);
  }
  // Any of them may be the one that finishes what those devices leave.
  if (held.size > 0) for (const name of network.workers.keys()) held.add(name);
  return held;
}

/** Whether somebody wrote over a flow policy of which nothing is known: nobody can say then whose flows a device classifies. */
export const isPolicyLost = (network: Network, damaged: ReadonlyMap<string, DamagedObject>): boolean =>
  [...damaged.values()].some(({ kind, name }) => kind === 'FlowPolicy' && !network.flowPolicies.has(name));

/**
 * Whether a device goes on as it is that no policy has now: its own lacks something, such as its model, or it is lost; then a program that nobody
 * knows any more may be of it too.
 */
export function classifiesStill(
  device: string,
  observed: Observed,
  flows: readonly FlowPlan[],
  isLost: boolean,
): boolean {
  if (observed.on !== 'device' || flows.some(({ goals }) => goals.has(device))) return false;
  const { known, cookie } = observed;
  if (known === undefined) return isLost && cookie !== 'none';
  if (!classifiesFlows(known.program)) return false;
  const lacksPart = ({ problem, devices }: FlowPlan) =>
    problem !== undefined && devices.some(({ name }) => name === device);
  return isLost || flows.some(lacksPart);
}
