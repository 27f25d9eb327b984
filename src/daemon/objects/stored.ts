import { isDeepStrictEqual } from 'node:util';
import { isKind, type Kind, type StoredObject } from '../manifests/index.ts';
import type { RecordName, StoreRecord } from '../store/index.ts';

/** What the store keeps of an object: all but its `resourceVersion`, which is the revision of the record. */
export const keptOf = ({ apiVersion, kind, metadata, spec, status }: StoredObject): object => {
  const { resourceVersion: _, ...kept } = metadata;
  return { apiVersion, kind, metadata: kept, spec, status };
};

/** The object of a record, with the revision as its `resourceVersion`. */
export function objectOf({ value, revision }: StoreRecord): StoredObject {
  // The daemon alone writes these records, through `keptOf`.
  const { apiVersion, kind, metadata, spec, status } = value as StoredObject;
  return { apiVersion, kind, metadata: { ...metadata, resourceVersion: `${revision}` }, spec, status };
}

/** Equal as JSON: what is undefined is not there. */
export const sameJson = (a: unknown, b: unknown): boolean =>
  isDeepStrictEqual(JSON.parse(JSON.stringify(a ?? null)), JSON.parse(JSON.stringify(b ?? null)));

/** `Kind/NAME`, which no other record has. */
export const recordKey = ({ kind, name }: RecordName): string => `${kind}/${name}`;

/** An object by its name. */
export interface ObjectName {
  readonly kind: Kind;
  readonly name: string;
}

/** Digests of the files that versions among some objects name. */
export const fileDigests = (objects: readonly StoredObject[]): readonly string[] =>
  objects.flatMap((o) => (isKind(o, 'ModelVersion') ? (o.spec.source?.digest ?? []) : []));
