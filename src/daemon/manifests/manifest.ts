import { z } from 'zod';
import { appliedKinds, type Kind, kindNames, namesOf } from './kind-names.ts';
import { kinds, type Reference, type SpecOf, type StatusOf } from './kinds.ts';
import { API_VERSION, type Metadata, metadataSchema, type StoredMetadata } from './metadata.ts';

/** An object as it is applied: the status in it, if any, is not looked at. */
export interface Manifest<K extends Kind = Kind> {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: K;
  readonly metadata: Metadata;
  readonly spec: SpecOf<K>;
}

/** An object as the store holds it. */
export interface StoredObject<K extends Kind = Kind> {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: K;
  readonly metadata: StoredMetadata;
  readonly spec: SpecOf<K>;
  readonly status: StatusOf<K>;
}

/** `Device/s1` */
export const keyOf = ({
  kind,
  metadata,
}: {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}) => `${kind}/${metadata.name}`;

/** Narrows an object to its kind's spec and status. */
export const isKind = <K extends Kind>(object: StoredObject, kind: K): object is StoredObject<K> =>
  object.kind === kind;

/** Whom an object mentions. */
export function referencesOf(object: { readonly kind: Kind; readonly spec: unknown }): readonly Reference[] {
  // The table pairs each kind with its own spec; that pairing is lost on indexing by a union.
  const references = kinds[object.kind].references as (spec: unknown) => readonly Reference[];
  return references(object.spec);
}

const makeSchema = (kind: Kind) =>
  z
    .strictObject({
      apiVersion: z.literal(API_VERSION, { error: `expected ${API_VERSION}` }),
      kind: z.literal(kind),
      metadata: metadataSchema,
      spec: kinds[kind].spec,
      status: z
        .unknown()
        .optional()
        .describe('Written by the daemon; of what is applied it is not looked at'),
    })
    .meta({ title: kind, description: namesOf[kind].summary });

/** Made once: a new one costs more than a manifest that is checked by it. */
const schemas = new Map(kindNames.map((kind) => [kind, makeSchema(kind)]));

/** The schema of a whole manifest of a kind. */
export const manifestSchema = (kind: Kind): ReturnType<typeof makeSchema> => schemas.get(kind)!;

/** The text of `schema/manifests.schema.json`: what may be applied. */
export function manifestsSchemaText(): string {
  const parts = appliedKinds.map((kind) =>
    z.toJSONSchema(manifestSchema(kind), { io: 'input', target: 'draft-2020-12' }),
  );
  const document = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'intransit manifests',
    description: `Objects of ${API_VERSION}: what the controller is told with apply`,
    oneOf: parts.map(({ $schema: _, ...rest }) => rest),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
