import type { ModelVersion } from '../../controller/core/desired.ts';
import { modelDigest } from '../../import/json/digest.ts';
import type { PlacedService } from './goals.ts';
import type { ModelLibrary } from './models.ts';
import { modelsOfService, type Named, type Network, rolloutOf, versionOf } from './network.ts';
import { type Health, type Placed, type PlacementSpec, place, type Unplaceable } from './topology.ts';
import { newestWanted, type VersionsWanted, versionsWanted } from './versions-wanted.ts';

/** What became of a service: a place, or why it has none. */
export type Placing =
  | {
      readonly service: Named<'Service'>;
      readonly placed: PlacedService;
      readonly problem: string | undefined;
      /** Why fewer devices compute its layers than it asks for; undefined where as many do. */
      readonly shortage: string | undefined;
    }
  | {
      readonly service: Named<'Service'>;
      readonly placed: undefined;
      readonly problem: string;
      /** Whether all that it lacks is a file that was there. */
      readonly isFileLost?: boolean;
    };

/** Why a model is passed over that was measured to miss the objective of a service; undefined where it is not. */
export type IsLate = (service: string, model: string) => string | undefined;

/** Places all services; what was found is kept as long as nothing changes that it was found for. */
export class Placer {
  readonly #library: ModelLibrary;
  readonly #isLate: IsLate;
  readonly #known = new Map<string, { readonly key: string; readonly found: Placed | Unplaceable }>();

  /** @param isLate what was measured of a model of a service; default nothing */
  constructor(library: ModelLibrary, isLate: IsLate = () => undefined) {
    this.#library = library;
    this.#isLate = isLate;
  }

  /**
   * Each service gets what it must have, by priority; then, in the same order, devices more that share its jobs.
   * @param usable nodes that work can be given to
   * @param classify flow policies of devices, which compute for no service
   */
  async place(
    network: Network,
    usable: ReadonlySet<string>,
    classify: ReadonlyMap<string, string> = new Map(),
  ): Promise<readonly Placing[]> {
    const taken = new Map<string, string>();
    const found: Placing[] = [];
    const order = [...network.services.values()].sort(
      (a, b) => (b.spec.class?.priority ?? 0) - (a.spec.class?.priority ?? 0) || (a.name < b.name ? -1 : 1),
    );
    for (const service of order) {
      if (service.spec.suspended) continue;
      const placing = await this.#placeOne(network, service, { usable, taken, classify });
      found.push(placing);
      const { minReplicas } = service.spec.policy;
      for (const node of devicesOf(placing, minReplicas)) taken.set(node, service.name);
    }
    const shared: Placing[] = [];
    for (const placing of found) {
      const { name } = placing.service;
      const others = new Map([...taken].filter(([, owner]) => owner !== name));
      const isLess = placing.problem === undefined && devicesOf(placing).some((node) => others.has(node));
      const last = isLess
        ? await this.#shareAnew(network, placing, { usable, taken: others, classify })
        : placing;
      shared.push(last);
      for (const node of devicesOf(last)) if (!taken.has(node)) taken.set(node, name);
    }
    return shared;
  }

  /** The same place, without devices that others must have. */
  async #shareAnew(network: Network, placing: Placing, nodes: Omit<Health, 'version'>): Promise<Placing> {
    const { service, placed } = placing;
    const named = placed && network.models.get(placed.placement.model);
    if (placed === undefined || named === undefined) return placing;
    const before = plainReason(placed.placement);
    const again = await this.#placeModel(network, service, named, placed.wanted, nodes, before);
    if (again.placed === undefined) return again;
    const inPlace = placed.placement.reason?.split(IN_PLACE)[1];
    const suffix = inPlace === undefined ? '' : `${IN_PLACE}${inPlace}`;
    const { placement } = again.placed;
    const reason = `${placement.reason ?? ''}${suffix}`;
    return { ...again, placed: { ...again.placed, placement: { ...placement, reason } } };
  }

  /**
   * Tries the models of a service in the order of its preference: the first one that meets the objective answers, by what is foreseen
   * and by what was measured. Where none does, the
   * preferred one is late rather than not there. A rollout is of the preferred one, which stays until it is over.
   */
  async #placeOne(
    network: Network,
    service: Named<'Service'>,
    nodes: Omit<Health, 'version'>,
  ): Promise<Placing> {
    const [preferred, ...others] = modelsOfService(network, service);
    if (preferred === undefined) return { service, placed: undefined, problem: 'its model is not there' };
    const wanted = versionsWanted(network, service);
    const first = await this.#placeModel(network, service, preferred, wanted, nodes);
    const late = (model: string) => this.#isLate(service.name, model);
    const why = misfit(first) ?? late(preferred.name);
    if (why === undefined || isUnderWay(network, service)) return first;
    for (const model of others) {
      const second = await this.#placeModel(network, service, model, newestWanted(network, model), nodes);
      if (second.placed === undefined || (misfit(second) ?? late(model.name)) !== undefined) continue;
      const { placement } = second.placed;
      const reason = `${placement.reason ?? ''}${IN_PLACE}Model/${preferred.name}: ${why}`;
      return { ...second, placed: { ...second.placed, placement: { ...placement, reason } } };
    }
    return first;
  }

  async #placeModel(
    network: Network,
    service: Named<'Service'>,
    named: Named<'Model'>,
    wanted: VersionsWanted | undefined,
    nodes: Omit<Health, 'version'>,
    sharedBefore?: PlacementSpec,
  ): Promise<Placing> {
    const none = (problem: string): Placing => ({ service, placed: undefined, problem });
    if (wanted === undefined) return none(`Model/${named.name} has no version`);
    const models = await this.#models(network, named, wanted);
    if (typeof models === 'string') {
      const isFileLost = versionOf(network, named.name, wanted.current) !== undefined;
      return { service, placed: undefined, problem: models, isFileLost };
    }
    const { model } = models.get(wanted.current)!;
    const last = network.placements.get(service.name)?.spec;
    // What another model had is no place of this one.
    const before = sharedBefore ?? (last?.model === named.name ? plainReason(last) : undefined);
    const health = { ...nodes, version: wanted.current };
    const key = JSON.stringify([
      ...[service.spec, modelDigest(model), wanted.current, before],
      [[...nodes.usable].sort(), [...nodes.taken], [...nodes.classify]],
      [network.devices, network.workers, network.links].map((of) =>
        [...of.values()].map((o) => [o.name, o.generation]),
      ),
    ]);
    const cache = `${service.name}/${named.name}/${sharedBefore === undefined}`;
    const known = this.#known.get(cache);
    const found =
      known?.key === key ? known.found : place(network, service, model, named.name, health, before);
    this.#known.set(cache, { key, found });
    const placement = 'spec' in found ? found.spec : before;
    const problem = 'spec' in found ? undefined : found.reason;
    if (placement === undefined) return none(problem ?? 'nowhere');
    const workers = workersOf(network, service, placement);
    const deployed = deployedVersions(network, service);
    const placed = { service, modelId: named.spec.id, placement, wanted, models, deployed, workers };
    return { service, placed, problem, shortage: 'spec' in found ? found.shortage : undefined };
  }

  async #models(
    network: Network,
    model: Named<'Model'>,
    { held, current }: VersionsWanted,
  ): Promise<ReadonlyMap<number, ModelVersion> | string> {
    const models = new Map<number, ModelVersion>();
    for (const version of new Set([current, ...held])) {
      const named = versionOf(network, model.name, version);
      if (named === undefined) return `version ${version} of Model/${model.name} is not there`;
      const found = await this.#library.load(named, model.spec.verdict);
      if (typeof found === 'string') return found;
      models.set(version, found);
    }
    return models;
  }
}

/** Devices that compute for a service. @param most of each of its segments */
function devicesOf({ placed }: Placing, most = Number.POSITIVE_INFINITY): readonly string[] {
  const counts = new Map<string, number>();
  return (placed?.placement.segments ?? []).flatMap(({ kind, node, layers }) => {
    const count = (counts.get(layers) ?? 0) + 1;
    counts.set(layers, count);
    return kind === 'Device' && count <= most ? [node] : [];
  });
}

function isUnderWay(network: Network, service: Named<'Service'>): boolean {
  const rollout = rolloutOf(network, service.name);
  const { phase } = rollout?.object.status ?? {};
  return rollout !== undefined && phase !== 'complete' && phase !== 'rolled back' && phase !== 'failed';
}

/** Between why a placement is as it is, and why its model answers in place of a preferred one. */
const IN_PLACE = '; in place of ';

function plainReason({ reason, ...rest }: PlacementSpec): PlacementSpec {
  return reason === undefined ? rest : { ...rest, reason: reason.split(IN_PLACE)[0]! };
}

/** Why a placement does not do; undefined where it meets the objective, or there is none. */
function misfit({ service, placed, problem }: Placing): string | undefined {
  if (placed === undefined || problem !== undefined) return problem;
  const most = service.spec.objective?.latencyUs;
  const foreseen = placed.placement.foreseenLatencyUs ?? 0;
  if (most === undefined || foreseen <= most) return undefined;
  return `${Math.round(foreseen)} us foreseen, the objective is ${most}`;
}

/** All that the service may use: those of the placement first, then by weight. */
function workersOf(
  network: Network,
  { spec }: Named<'Service'>,
  placement: PlacementSpec,
): readonly string[] {
  const own = new Set(placement.segments.map((s) => s.node));
  return [...network.workers.values()]
    .filter((w) => own.has(w.name) || spec.nodes === undefined || spec.nodes.includes(w.name))
    .sort((a, b) => Number(own.has(b.name)) - Number(own.has(a.name)) || b.spec.weight - a.spec.weight)
    .map((w) => w.name);
}

function deployedVersions(network: Network, service: Named<'Service'>): ReadonlySet<number> {
  const { version } = service.object.status;
  const rollout = rolloutOf(network, service.name);
  const { phase, previous } = rollout?.object.status ?? {};
  const went = phase === 'flipping' || phase === 'draining' || phase === 'removing' || phase === 'complete';
  return new Set(
    [version, previous, went ? rollout?.spec.version : undefined].filter((v) => v !== undefined),
  );
}
