import { plainAddress } from '../../controller/deployment.ts';
import { MOST_FAULTS } from '../../import/json/parse.ts';
import { suggestions } from '../../p4runtime/suggestions.ts';
import { type Fault, fault } from './fault.ts';
import type { Kind } from './kind-names.ts';
import type { SpecOf } from './kinds.ts';
import { keyOf, type Manifest, referencesOf } from './manifest.ts';
import { modelsOf } from './service.ts';

/** What is checked: stored objects and manifests are. */
type Checked = Pick<Manifest, 'kind' | 'metadata' | 'spec'>;

/** Of a circle so many objects are named. */
const MOST_NAMES = 12;

/** All objects that there will be, by `Kind/name`. */
export type Universe = ReadonlyMap<string, Checked>;

/** Of which document an object comes; undefined for one that was there before. */
export type IndexOf = (key: string) => number | undefined;

/**
 * What no single manifest shows: references to nothing, circles, what may be claimed only once.
 * @param indexOf faults are told of objects that come from a document, and name the others
 */
export function checkTogether(universe: Universe, indexOf: IndexOf): readonly Fault[] {
  return [
    ...unknownReferences(universe, indexOf),
    ...circles(universe, indexOf),
    ...claimedTwice(universe, indexOf),
    ...versionsUnknown(universe, indexOf),
    ...linkEnds(universe, indexOf),
  ];
}

/** Objects that mention this one. */
export const referrers = (universe: Universe, key: string): readonly string[] =>
  [...universe].flatMap(([other, object]) =>
    other !== key && referencesOf(object).some((r) => r.kinds.some((kind) => `${kind}/${r.name}` === key))
      ? [other]
      : [],
  );

/** As many as are told: each is compared with all names that there are. */
function unknownReferences(universe: Universe, indexOf: IndexOf): readonly Fault[] {
  const faults: Fault[] = [];
  for (const [key, object] of universe) {
    if (indexOf(key) === undefined) continue;
    for (const { kinds: of, name, path } of referencesOf(object)) {
      if (of.some((kind) => universe.has(`${kind}/${name}`))) continue;
      if (faults.length === MOST_FAULTS) return faults;
      const names = [...universe.values()].filter((o) => of.includes(o.kind)).map((o) => o.metadata.name);
      const near = suggestions(name, names);
      faults.push(
        fault(
          'manifest-reference',
          { kind: of.join(' or '), name, near },
          { index: indexOf(key), object: key, path },
        ),
      );
    }
  }
  return faults;
}

const referredBy = (universe: Universe, key: string): readonly string[] =>
  referencesOf(universe.get(key)!).flatMap(({ kinds, name }) =>
    kinds.map((kind) => `${kind}/${name}`).filter((other) => universe.has(other)),
  );

/** Each circle once. Chains may be as long as there are objects, so it is no recursion. */
function circles(universe: Universe, indexOf: IndexOf): Fault[] {
  const faults: Fault[] = [];
  const done = new Set<string>();
  for (const start of universe.keys()) {
    /** From the start to where the walk is, each with those to whom it has still to go. */
    const way = [{ key: start, rest: [...referredBy(universe, start)] }];
    const onWay = new Set([start]);
    for (let at = way.at(-1); at !== undefined && !done.has(start); at = way.at(-1)) {
      const next = at.rest.shift();
      if (next === undefined) {
        way.pop();
        onWay.delete(at.key);
        done.add(at.key);
      } else if (onWay.has(next)) {
        const keys = way.map(({ key }) => key);
        faults.push(...circleFaults(keys.slice(keys.indexOf(next)), universe, indexOf));
        if (faults.length >= MOST_FAULTS) return faults;
      } else if (!done.has(next)) {
        way.push({ key: next, rest: [...referredBy(universe, next)] });
        onWay.add(next);
      }
    }
  }
  return faults;
}

/** Told of the first of its objects that comes from a document, if any does. */
function circleFaults(circle: readonly string[], universe: Universe, indexOf: IndexOf): readonly Fault[] {
  const first = circle.find((k) => indexOf(k) !== undefined);
  if (first === undefined) return [];
  const start = circle.indexOf(first);
  const names = [...circle.slice(start), ...circle.slice(0, start), first];
  const path = referencesOf(universe.get(first)!).find((r) =>
    r.kinds.some((k) => `${k}/${r.name}` === names[1]),
  )?.path;
  return [
    fault(
      'manifest-cycle',
      { names: names.length <= MOST_NAMES ? names : [...names.slice(0, MOST_NAMES - 2), '...', first] },
      { index: indexOf(first), object: first, ...(path && { path }) },
    ),
  ];
}

/** Something of which there may be one only, and where it is said. */
interface Claim {
  readonly what: string;
  readonly path: readonly PropertyKey[];
}

const only = <K extends Kind>(object: Checked, kind: K): SpecOf<K> | undefined =>
  // Kind and spec belong together.
  object.kind === kind ? (object.spec as SpecOf<K>) : undefined;

/** What each object claims for itself alone. */
function claimsOf(object: Checked, universe: Universe): readonly Claim[] {
  const device = only(object, 'Device');
  if (device !== undefined)
    return [
      { what: `the node name ${object.metadata.name}`, path: ['metadata', 'name'] },
      { what: `device ${device.deviceId} at ${plainAddress(device.address)}`, path: ['spec', 'address'] },
    ];
  const worker = only(object, 'Worker');
  if (worker !== undefined)
    return [
      { what: `the node name ${object.metadata.name}`, path: ['metadata', 'name'] },
      { what: `the worker at ${plainAddress(worker.control)}`, path: ['spec', 'control'] },
      ...(worker.address === undefined
        ? []
        : [{ what: `the packets to ${worker.address}`, path: ['spec', 'address'] }]),
    ];
  const model = only(object, 'Model');
  if (model !== undefined) return [{ what: `model id ${model.id}`, path: ['spec', 'id'] }];
  const version = only(object, 'ModelVersion');
  if (version !== undefined)
    return [{ what: `version ${version.version} of Model/${version.model}`, path: ['spec', 'version'] }];
  const service = only(object, 'Service');
  if (service !== undefined)
    return modelsOf(service).map((name, i) => {
      const named = universe.get(`Model/${name}`);
      const id = named && only(named, 'Model')?.id;
      return {
        what:
          id === undefined ? `Model/${name} for a service` : `model id ${id} (Model/${name}) for a service`,
        path: service.model === undefined ? ['spec', 'models', i] : ['spec', 'model'],
      };
    });
  const link = only(object, 'Link');
  if (link === undefined) return [];
  return (['from', 'to'] as const).flatMap((side) => {
    const { node, port } = link[side];
    return port === undefined ? [] : [{ what: `port ${port} of ${node}`, path: ['spec', side, 'port'] }];
  });
}

function claimedTwice(universe: Universe, indexOf: IndexOf): Fault[] {
  const claims = new Map<string, { readonly key: string; readonly path: readonly PropertyKey[] }[]>();
  for (const [key, object] of universe)
    for (const { what, path } of claimsOf(object, universe)) {
      const of = claims.get(what);
      if (of === undefined) claims.set(what, [{ key, path }]);
      else of.push({ key, path });
    }
  return [...claims].flatMap(([what, claimants]) => {
    if (claimants.length < 2) return [];
    // Of those who were there before nobody is to blame; of several new ones the later are.
    const old = claimants.find(({ key }) => indexOf(key) === undefined) ?? claimants[0]!;
    return claimants
      .filter((c) => c !== old && indexOf(c.key) !== undefined)
      .map(({ key, path }) =>
        fault('manifest-claimed', { what, other: old.key }, { index: indexOf(key), object: key, path }),
      );
  });
}

/** Services and rollouts name versions by number: there must be such weights. */
function versionsUnknown(universe: Universe, indexOf: IndexOf): Fault[] {
  const versions = new Map<string, number[]>();
  for (const object of universe.values()) {
    const spec = only(object, 'ModelVersion');
    if (spec !== undefined) versions.set(spec.model, [...(versions.get(spec.model) ?? []), spec.version]);
  }
  return [...universe].flatMap(([key, object]) => {
    const rollout = only(object, 'Rollout');
    const served = rollout && universe.get(`Service/${rollout.service}`);
    const service = only(object, 'Service') ?? (served && only(served, 'Service'));
    const wanted = rollout?.version ?? only(object, 'Service')?.version;
    const model = service && modelsOf(service)[0];
    if (wanted === undefined || model === undefined || indexOf(key) === undefined) return [];
    if (!universe.has(`Model/${model}`)) return [];
    const known = (versions.get(model) ?? []).sort((a, b) => a - b);
    if (known.includes(wanted)) return [];
    return [
      fault(
        'manifest-version',
        { model, version: wanted, known },
        { index: indexOf(key), object: key, path: ['spec', 'version'] },
      ),
    ];
  });
}

function linkEnds(universe: Universe, indexOf: IndexOf): Fault[] {
  return [...universe].flatMap(([key, object]) => {
    const link = only(object, 'Link');
    if (link === undefined || indexOf(key) === undefined) return [];
    const fieldFault = (expected: string, ...path: PropertyKey[]) =>
      fault('manifest-field', { expected }, { index: indexOf(key), object: key, path: ['spec', ...path] });
    const faults: Fault[] = [];
    if (link.from.node === link.to.node)
      faults.push(fieldFault('expected another node than at the beginning', 'to', 'node'));
    for (const side of ['from', 'to'] as const) {
      const isDevice = universe.has(`Device/${link[side].node}`);
      const isWorker = universe.has(`Worker/${link[side].node}`);
      if (isDevice && link[side].port === undefined)
        faults.push(fieldFault('expected the port of the device', side, 'port'));
      if (!isDevice && isWorker && link[side].port !== undefined)
        faults.push(fieldFault('expected no port: a worker has none', side, 'port'));
    }
    return faults;
  });
}

/** A universe of objects. */
export const universeOf = (objects: Iterable<Checked>): Map<string, Checked> =>
  new Map([...objects].map((object) => [keyOf(object), object]));
