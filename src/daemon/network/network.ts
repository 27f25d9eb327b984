import { isKind, type Kind, modelsOf, type SpecOf, type StoredObject } from '../manifests/index.ts';

/** An object by what is asked of it here. */
export interface Named<K extends Kind> {
  readonly name: string;
  readonly generation: number;
  readonly object: StoredObject<K>;
  readonly spec: SpecOf<K>;
}

/** All objects at one moment, by kind and name. */
export interface Network {
  readonly devices: ReadonlyMap<string, Named<'Device'>>;
  readonly workers: ReadonlyMap<string, Named<'Worker'>>;
  readonly links: ReadonlyMap<string, Named<'Link'>>;
  readonly models: ReadonlyMap<string, Named<'Model'>>;
  readonly versions: ReadonlyMap<string, Named<'ModelVersion'>>;
  readonly services: ReadonlyMap<string, Named<'Service'>>;
  readonly rollouts: ReadonlyMap<string, Named<'Rollout'>>;
  readonly placements: ReadonlyMap<string, Named<'Placement'>>;
  readonly flowPolicies: ReadonlyMap<string, Named<'FlowPolicy'>>;
}

/** The objects of a store by kind and name. */
export function networkOf(objects: Iterable<StoredObject>): Network {
  const all = [...objects];
  const of = <K extends Kind>(kind: K): ReadonlyMap<string, Named<K>> =>
    new Map(
      all
        .filter((o): o is StoredObject<K> => isKind(o, kind))
        .map((object) => {
          const { name, generation } = object.metadata;
          return [name, { name, generation, object, spec: object.spec }];
        }),
    );
  return {
    devices: of('Device'),
    workers: of('Worker'),
    links: of('Link'),
    models: of('Model'),
    versions: of('ModelVersion'),
    services: of('Service'),
    rollouts: of('Rollout'),
    placements: of('Placement'),
    flowPolicies: of('FlowPolicy'),
  };
}

/** Weights of a model by their number. */
export const versionOf = (
  network: Network,
  model: string,
  version: number,
): Named<'ModelVersion'> | undefined =>
  [...network.versions.values()].find(({ spec }) => spec.model === model && spec.version === version);

/** The model that a service prefers. */
export const modelOf = (network: Network, service: Named<'Service'>): Named<'Model'> | undefined => {
  const [name] = modelsOf(service.spec);
  return name === undefined ? undefined : network.models.get(name);
};

/** Models of a service that there are, the preferred first. */
export const modelsOfService = (network: Network, { spec }: Named<'Service'>): readonly Named<'Model'>[] =>
  modelsOf(spec).flatMap((name) => network.models.get(name) ?? []);

/** The version of the preferred model that is current; undefined while another model answers. */
export function committedVersion(network: Network, service: Named<'Service'>): number | undefined {
  const { model, version } = service.object.status;
  return model === undefined || model === modelOf(network, service)?.name ? version : undefined;
}

/** The highest version of a model. */
export function newestVersion(network: Network, model: string): number | undefined {
  const all = [...network.versions.values()].filter((v) => v.spec.model === model).map((v) => v.spec.version);
  return all.length === 0 ? undefined : Math.max(...all);
}

/** The newest rollout of a service: it alone decides. */
export function rolloutOf(network: Network, service: string): Named<'Rollout'> | undefined {
  const own = [...network.rollouts.values()].filter((r) => r.spec.service === service);
  const age = ({ object }: Named<'Rollout'>) => object.metadata.creationTimestamp;
  return own.sort((a, b) => (age(a) < age(b) ? -1 : age(a) > age(b) ? 1 : a.name < b.name ? -1 : 1)).at(-1);
}

/** The version that the service itself names: its own, or the highest that there is. */
export function specVersion(network: Network, service: Named<'Service'>): number | undefined {
  if (service.spec.version !== undefined) return service.spec.version;
  const model = modelOf(network, service);
  return model && newestVersion(network, model.name);
}
