import { type Fault, fault, keyOf, type StoredObject, type Universe } from '../manifests/index.ts';
import type { Admission } from '../objects/index.ts';
import type { Store } from '../store/index.ts';
import { FlowPolicies } from './flow-policies.ts';
import { ModelLibrary, ProgramLibrary } from './models.ts';
import { type Network, networkOf } from './network.ts';
import { Placer, type Placing } from './placing.ts';

/** In larger networks the planner takes its time: there the service itself says later whether it could be placed. */
const MOST_NODES = 200;

/**
 * Refuses services that no placement satisfies, were every node to be had. Before there is a device, or a version of the model,
 * nothing is known yet.
 */
export function admitPlaceable(store: Store): Admission {
  const library = new ModelLibrary(store.blobs);
  const policies = new FlowPolicies(library, new ProgramLibrary());
  return async (...asked) => [
    ...(await refusedServices(library, ...asked)),
    ...(await refusedPolicies(policies, ...asked)),
  ];
}

/** Flow policies whose model, features, classes or devices do not do. What others have is no fault of theirs: they wait for it. */
async function refusedPolicies(
  policies: FlowPolicies,
  ...[universe, changed, indexOf]: Parameters<Admission>
): Promise<readonly Fault[]> {
  const own = changed.filter((key) => key.startsWith('FlowPolicy/'));
  if (own.length === 0) return [];
  const plans = await policies.plan(networkOf(objectsOf(universe)));
  return plans.flatMap(({ policy, problem, devices }): readonly Fault[] => {
    const object = `FlowPolicy/${policy.name}`;
    const found = problem ?? devices.find((d) => d.problem?.isForGood === true)?.problem;
    if (!own.includes(object) || found?.isForGood !== true) return [];
    const { reason, remedy, path } = found;
    return [fault('flow-policy', { reason, remedy }, { index: indexOf(object), object, path })];
  });
}

async function refusedServices(
  library: ModelLibrary,
  ...[universe, changed, indexOf]: Parameters<Admission>
): Promise<readonly Fault[]> {
  const services = changed.filter((key) => key.startsWith('Service/'));
  if (services.length === 0) return [];
  const network = networkOf(objectsOf(universe));
  const nodes = [...network.devices.keys(), ...network.workers.keys()];
  if (network.devices.size === 0 || nodes.length > MOST_NODES) return [];
  const placings = await new Placer(library).place(network, new Set(nodes));
  return placings.flatMap((placing): readonly Fault[] => {
    const object = `Service/${placing.service.name}`;
    if (!services.includes(object) || !hasVersion(network, placing)) return [];
    const missed = placing.problem === undefined ? objectiveMissed(placing) : undefined;
    const index = indexOf(object);
    if (placing.problem !== undefined)
      return [fault('service-unsatisfiable', { reason: placing.problem }, { index, object, path: ['spec'] })];
    if (missed === undefined) return [];
    const path = ['spec', 'objective', 'latencyUs'];
    return [fault('service-unsatisfiable', missed, { index, object, path })];
  });
}

/** Manifests have no status yet. */
const objectsOf = (universe: Universe): readonly StoredObject[] =>
  [...universe.values()].map((object) => {
    const {
      resourceVersion = '0',
      generation = 1,
      uid = keyOf(object),
      creationTimestamp = '',
    } = object.metadata;
    const metadata = { ...object.metadata, resourceVersion, generation, uid, creationTimestamp };
    return { apiVersion: 'intransit.dev/v1alpha1', status: { conditions: [] }, ...object, metadata };
  });

const hasVersion = (network: Network, { service: { spec } }: Placing): boolean => {
  const names = spec.models ?? [spec.model];
  return [...network.versions.values()].some((v) => v.spec.model === names[0]);
};

/** The planner finds the fastest placement: if that is too slow, all are. */
function objectiveMissed({
  service,
  placed,
}: Placing): { readonly reason: string; readonly remedy: string } | undefined {
  const wanted = service.spec.objective?.latencyUs;
  const foreseen = placed?.placement.foreseenLatencyUs;
  if (wanted === undefined || foreseen === undefined || foreseen <= wanted) return undefined;
  // A later model may be fast enough: that is found when it runs.
  if ((service.spec.models?.length ?? 1) > 1) return undefined;
  const shown = (us: number) => `${Number(us.toPrecision(4))} us`;
  return {
    reason: `the fastest takes ${shown(foreseen)}, ${shown(foreseen - wanted)} more than its objective of ${shown(wanted)}`,
    remedy:
      'raise spec.objective.latencyUs, add faster nodes or links, or offer a smaller model with spec.models',
  };
}
