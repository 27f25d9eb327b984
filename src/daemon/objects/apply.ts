import { randomUUID } from 'node:crypto';
import { DiagnosticError } from '../../diagnostics/index.ts';
import { importOptionsOf, type SourceOptions } from '../../import/given-options.ts';
import { importBytes } from '../../import/index.ts';
import { MOST_FAULTS } from '../../import/json/parse.ts';
import { parseRealRange } from '../../model/real-range.ts';
import {
  checkTogether,
  type Fault,
  fault,
  keyOf,
  type Manifest,
  Refused,
  type SpecOf,
  type StoredObject,
  type Universe,
  validate,
} from '../manifests/index.ts';
import type { Change, EventInput, Snapshot, Store } from '../store/index.ts';
import type { CheckedStore } from './checked-store.ts';
import { keptOf, objectOf, recordKey, sameJson } from './stored.ts';

/** Of a call that changes objects. */
export interface ApplyOptions {
  /** Who it is, for the log. */
  readonly actor: string;
  /** Only says what would come of it. */
  readonly dryRun?: boolean;
}

/** What became of one document. */
export interface Applied {
  readonly action: 'created' | 'configured' | 'unchanged';
  readonly object: StoredObject;
  /** What was there. */
  readonly before?: StoredObject;
}

/** What else must be right before objects are taken, such as that a service can be placed. */
export type Admission = (
  universe: Universe,
  changed: readonly string[],
  indexOf: (key: string) => number | undefined,
) => Promise<readonly Fault[]>;

/** A batch of manifests that was found right, and how it was found so. */
export interface ApplyPlan {
  readonly applied: readonly Applied[];
  readonly changes: readonly Change[];
  readonly events: readonly EventInput[];
}

/** @throws Refused with all faults */
export function validated(documents: readonly unknown[]): readonly Manifest[] {
  const results = documents.map((document, index) => validate(document, index));
  const faults = results.flatMap((r) => ('faults' in r ? r.faults : []));
  if (faults.length > 0) throw new Refused('Invalid', faults.slice(0, MOST_FAULTS));
  const manifests = results.flatMap((r) => ('manifest' in r ? [r.manifest] : []));
  const first = new Map<string, number>();
  for (const [index, manifest] of manifests.entries()) {
    const object = keyOf(manifest);
    const before = first.get(object);
    if (before !== undefined)
      faults.push(fault('manifest-twice', { object, first: before + 1 }, { index, object }));
    else first.set(object, index);
  }
  if (faults.length > 0) throw new Refused('Invalid', faults);
  return manifests;
}

/** What applying would do to what there is. @throws Refused */
export async function planApply(
  store: CheckedStore,
  snapshot: Snapshot,
  manifests: readonly Manifest[],
  options: ApplyOptions,
  admit: Admission,
): Promise<ApplyPlan> {
  const current = new Map(snapshot.records.map((r) => [recordKey(r), objectOf(r)]));
  refuseAny(
    'Conflict',
    manifests.flatMap((m, index) => staleFaults(m, index, current.get(keyOf(m)))),
  );
  const indexes = new Map(manifests.map((m, index) => [keyOf(m), index]));
  const indexOf = (key: string) => indexes.get(key);
  const universe = new Map<string, Pick<Manifest, 'kind' | 'metadata' | 'spec'>>(current);
  for (const manifest of manifests) universe.set(keyOf(manifest), manifest);
  refuseAny('Invalid', [
    ...manifests.flatMap((m, index) => immutableFaults(m, index, current.get(keyOf(m)))),
    ...checkTogether(universe, indexOf),
  ]);
  const now = new Date().toISOString();
  const applied = manifests.map((manifest) => appliedOf(manifest, current.get(keyOf(manifest)), now));
  const changed = applied.filter((a) => a.action !== 'unchanged');
  const keys = changed.map((a) => keyOf(a.object));
  refuseAny('Invalid', (await Promise.all(changed.map((a) => fileFaults(store, a, indexOf)))).flat());
  refuseAny('Invalid', await admit(universe, keys, indexOf));
  return {
    applied,
    changes: changed.map(({ object, before }) => ({
      op: 'put',
      kind: object.kind,
      name: object.metadata.name,
      value: keptOf(object),
      expect:
        before === undefined
          ? (store.damaged.get(keyOf(object))?.revision ?? 'absent')
          : Number(before.metadata.resourceVersion),
    })),
    events: changed.map(({ action, object, before }) => ({
      actor: options.actor,
      type: 'Normal',
      reason: action === 'created' ? 'Created' : 'Configured',
      message:
        before === undefined
          ? 'created'
          : `changed: ${changedFields(before.spec, object.spec).join(', ') || 'labels'}; generation ${object.metadata.generation}`,
      object: { kind: object.kind, name: object.metadata.name },
    })),
  };
}

function refuseAny(reason: 'Invalid' | 'Conflict', faults: readonly Fault[]): void {
  if (faults.length > 0) throw new Refused(reason, faults.slice(0, MOST_FAULTS));
}

function staleFaults(manifest: Manifest, index: number, before: StoredObject | undefined): readonly Fault[] {
  const given = manifest.metadata.resourceVersion;
  const current = before?.metadata.resourceVersion;
  if (given === undefined || given === current) return [];
  const object = keyOf(manifest);
  const path = ['metadata', 'resourceVersion'];
  return [
    fault(
      'object-conflict',
      { object, given, current: current ?? 'none (it is not there)' },
      { index, object, path },
    ),
  ];
}

/** Fields by which packets and devices know something, and that it therefore keeps. */
function immutableFaults(
  manifest: Manifest,
  index: number,
  before: StoredObject | undefined,
): readonly Fault[] {
  if (before === undefined) return [];
  const fields: Partial<Record<Manifest['kind'], readonly string[]>> = {
    Model: ['id', 'verdict'],
    ModelVersion: ['model', 'version', 'source'],
    Rollout: ['service', 'version'],
  };
  const object = keyOf(manifest);
  return (fields[manifest.kind] ?? []).flatMap((field) => {
    const [from, to] = [before.spec, manifest.spec].map((spec): unknown => Reflect.get(spec, field));
    if (sameJson(from, to)) return [];
    const shown = (value: unknown) => (typeof value === 'object' ? JSON.stringify(value) : String(value));
    return [
      fault(
        'manifest-immutable',
        { field: `${object} spec.${field}`, from: shown(from), to: shown(to) },
        { index, object, path: ['spec', field] },
      ),
    ];
  });
}

function appliedOf(manifest: Manifest, before: StoredObject | undefined, now: string): Applied {
  const { name, labels, annotations } = manifest.metadata;
  const words = { ...(labels && { labels }), ...(annotations && { annotations }) };
  const isSpecSame = before !== undefined && sameJson(before.spec, manifest.spec);
  const metadata = {
    name,
    ...words,
    generation: (before?.metadata.generation ?? 0) + (isSpecSame ? 0 : 1),
    uid: before?.metadata.uid ?? randomUUID(),
    creationTimestamp: before?.metadata.creationTimestamp ?? now,
    // That of the commit comes when it is read again.
    resourceVersion: before?.metadata.resourceVersion ?? '0',
  };
  const object = {
    apiVersion: manifest.apiVersion,
    kind: manifest.kind,
    metadata,
    spec: manifest.spec,
    status: before?.status ?? { conditions: [] },
  };
  if (before === undefined) return { action: 'created', object };
  const isSame = isSpecSame && sameJson(words, wordsOf(before));
  return { action: isSame ? 'unchanged' : 'configured', object, before };
}

const wordsOf = ({ metadata: { labels, annotations } }: StoredObject) => ({
  ...(labels && { labels }),
  ...(annotations && { annotations }),
});

/** The file of a version must be held, and be a model. */
async function fileFaults(
  store: Store,
  { object }: Applied,
  indexOf: (key: string) => number | undefined,
): Promise<readonly Fault[]> {
  if (object.kind !== 'ModelVersion') return [];
  const spec = object.spec as SpecOf<'ModelVersion'>;
  const key = keyOf(object);
  const place = { index: indexOf(key), object: key };
  if (spec.source === undefined) {
    const expected = 'expected source: intransit apply hands over the file, and puts its digest there';
    return [fault('manifest-field', { expected }, { ...place, path: ['spec', 'file'] })];
  }
  const bytes = await store.blobs.get(spec.source.digest);
  if (bytes === undefined) {
    const expected = 'expected the digest of a file that the controller holds (PUT /api/v1alpha1/files)';
    return [fault('manifest-field', { expected }, { ...place, path: ['spec', 'source', 'digest'] })];
  }
  try {
    await importBytes(bytes, spec.source.name, sourceOptionsOf(spec));
    return [];
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    return error.diagnostics
      .filter((d) => d.severity === 'error')
      .map(({ code, message, remedy, place: { layer } }) => ({
        ...fault('manifest-field', { expected: '' }, { ...place, path: ['spec', 'source'] }),
        code,
        message: `${spec.source?.name}: ${layer === undefined ? '' : `layer "${layer}": `}${message}`,
        ...(remedy !== undefined && { remedy }),
      }));
  }
}

/** How the file of a version is read. */
export function sourceOptionsOf({ inputRange, outputRange, ...rest }: SpecOf<'ModelVersion'>): SourceOptions {
  const rangeOf = (text: string | undefined) => (text === undefined ? undefined : parseRealRange(text));
  return importOptionsOf({ ...rest, inputRange: rangeOf(inputRange), outputRange: rangeOf(outputRange) });
}

/** Names of the fields that differ, as deep as both sides are objects. */
export function changedFields(before: unknown, after: unknown, path = ''): readonly string[] {
  if (sameJson(before, after)) return [];
  if (!isPlain(before) || !isPlain(after)) return [path];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.flatMap((name) =>
    changedFields(before[name], after[name], path === '' ? name : `${path}.${name}`),
  );
}

const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
