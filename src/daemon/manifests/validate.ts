import type { z } from 'zod';
import { printable } from '../../diagnostics/index.ts';
import { expectation, MOST_FAULTS } from '../../import/json/parse.ts';
import { suggestions } from '../../p4runtime/suggestions.ts';
import { type Fault, fault } from './fault.ts';
import { appliedKinds, type Kind, kindNames, namesOf } from './kind-names.ts';
import { type Manifest, manifestSchema } from './manifest.ts';
import { API_VERSION } from './metadata.ts';

type Validated = { readonly manifest: Manifest } | { readonly faults: readonly Fault[] };

/** A document of any kind to a manifest, or what is wrong with it. */
export function validate(document: unknown, index?: number): Validated {
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    return {
      faults: [
        fieldFault(undefined, [], 'expected an object with apiVersion, kind, metadata and spec', index),
      ],
    };
  const kind = property(document, 'kind');
  if (!isKnown(kind)) return { faults: [kindFault(kind, index)] };
  const object = objectOf(kind, document);
  if (namesOf[kind].isDerived)
    return { faults: [fault('manifest-derived', { object, kind }, { index, object, path: ['kind'] })] };
  const result = manifestSchema(kind).safeParse(document);
  if (!result.success)
    return {
      faults: result.error.issues
        .slice(0, MOST_FAULTS)
        .flatMap((issue) => faultsOf(issue, object, kind, index)),
    };
  const { status: _, ...manifest } = result.data;
  // The schema was chosen by the kind, so kind and spec belong together.
  return { manifest: manifest as Manifest };
}

const property = (value: object, key: string): unknown => Reflect.get(value, key);

const isKnown = (kind: unknown): kind is Kind => kindNames.includes(kind as Kind);

function objectOf(kind: string, document: object): string {
  const metadata = property(document, 'metadata');
  const name = typeof metadata === 'object' && metadata !== null ? property(metadata, 'name') : undefined;
  return `${kind}/${typeof name === 'string' ? name : '?'}`;
}

function kindFault(kind: unknown, index: number | undefined): Fault {
  const known = appliedKinds;
  if (typeof kind !== 'string')
    return fieldFault(undefined, ['kind'], `expected one of ${known.join(', ')}`, index);
  const near = suggestions(kind, known);
  return fault('manifest-kind', { kind: printable(kind), known, near }, { index, path: ['kind'] });
}

const fieldFault = (
  object: string | undefined,
  path: readonly PropertyKey[],
  expected: string,
  index: number | undefined,
): Fault => fault('manifest-field', { expected }, { index, object, path });

/** An unknown field is a fault of its own place each, with the field that may have been meant. */
function faultsOf(
  issue: z.core.$ZodIssue,
  object: string,
  kind: Kind,
  index: number | undefined,
): readonly Fault[] {
  if (issue.code !== 'unrecognized_keys') {
    const isVersion = issue.path.length === 1 && issue.path[0] === 'apiVersion';
    const expected = isVersion ? `expected ${API_VERSION}` : expectation(issue);
    return [fieldFault(object, issue.path, wordsOf(issue, expected), index)];
  }
  const known = fieldsAt(manifestSchema(kind), issue.path);
  return issue.keys.slice(0, MOST_FAULTS).map((key) => {
    const near = suggestions(key, known);
    const expected = `there is no such field${near.length === 0 ? ` (there are: ${known.join(', ')})` : `; is ${near[0]} meant?`}`;
    return fieldFault(object, [...issue.path, key], expected, index);
  });
}

/** Of a field that is not there it is better said that it is missing. */
const wordsOf = (issue: z.core.$ZodIssue, expected: string): string =>
  issue.code === 'invalid_type' && issue.input === undefined && !expected.startsWith('expected')
    ? 'is missing'
    : expected;

/** Names of the fields that a schema has at a path. */
function fieldsAt(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let at: unknown = schema;
  for (const key of path) at = inner(at, key);
  const shape = shapeOf(at);
  return shape === undefined ? [] : Object.keys(shape).filter((name) => name !== 'status');
}

/** Under defaults, options and refinements there is the schema itself. */
function unwrapped(schema: unknown): unknown {
  let at = schema;
  for (;;) {
    const next = at === undefined ? undefined : (at as { def?: { innerType?: unknown } }).def?.innerType;
    if (next === undefined) return at;
    at = next;
  }
}

const shapeOf = (schema: unknown): Readonly<Record<string, unknown>> | undefined =>
  (unwrapped(schema) as { shape?: Record<string, unknown> } | undefined)?.shape;

function inner(schema: unknown, key: PropertyKey): unknown {
  const at = unwrapped(schema) as { element?: unknown } | undefined;
  return typeof key === 'number' ? at?.element : shapeOf(at)?.[String(key)];
}
