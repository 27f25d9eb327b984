import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { type Kind, kindNames, namesOf } from '../manifests/index.ts';
import type { Right } from './access.ts';

/** Everything below it is of this version. */
export const API_PREFIX = '/api/v1alpha1';

/** A request that was let in, as a route gets it. */
export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly actor: string;
}

/** One call of the API: the router finds it by method and path, and the OpenAPI document describes it. */
export interface Route {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'HEAD';
  /** `{kind}` and the like stand for one segment. */
  readonly path: string;
  readonly right: Right;
  readonly summary: string;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly answers: (call: Call) => Promise<void>;
}

/** The route of a path, with what stands in its braces. */
export interface Found {
  readonly route: Route;
  readonly parameters: Readonly<Record<string, string>>;
}

/** @returns the methods that the path has, where it has not this one */
export function findRoute(routes: readonly Route[], method: string, path: string): Found | readonly string[] {
  const matches = routes.flatMap((route) => {
    const parameters = match(route.path, path);
    return parameters === undefined ? [] : [{ route, parameters }];
  });
  return matches.find((m) => m.route.method === method) ?? matches.map((m) => m.route.method);
}

function match(pattern: string, path: string): Record<string, string> | undefined {
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  if (wanted.length !== given.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [i, part] of wanted.entries()) {
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    if (name === undefined && part !== given[i]) return undefined;
    if (name !== undefined) parameters[name] = decoded(given[i]!);
  }
  return parameters;
}

/** As it came where it is no encoded text: no object has such a name. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `devices` is of kind Device; undefined for any other word. */
export const kindOfPlural = (plural: string): Kind | undefined =>
  kindNames.find((kind) => namesOf[kind].plural === plural);

const boolean = z.enum(['true', 'false']);
/** Of calls that change something. */
export const dryRunQuery = z.strictObject({
  dryRun: boolean.optional().describe('true: only say what would come of it'),
});
/** Of a DELETE of one object. */
export const deleteQuery = dryRunQuery.extend({
  resourceVersion: z.string().optional().describe('Only this version'),
});
/** Of the watch: left out, everything is told. */
export const watchQuery = z.strictObject({
  kind: z.enum(kindNames).optional().describe('Only objects of this kind'),
  name: z.string().optional().describe('Only the object of this name'),
  events: boolean.optional().describe('false: without the log'),
});
const time = z.iso.datetime({ offset: true });
/** Which events of the log are wanted. */
export const eventsQuery = z.strictObject({
  kind: z.enum(kindNames).optional(),
  name: z.string().optional(),
  actor: z.string().optional().describe('Who did it'),
  since: time.optional().describe('From this moment on'),
  until: time.optional().describe('Before this moment'),
  limit: z.coerce.number().int().min(1).max(10_000).default(1000).describe('The newest of them'),
});
/** Manifests as they were read from YAML or JSON; each is checked on its own. */
export const applyBody = z.strictObject({
  documents: z.array(z.unknown()).min(1, 'expected at least one document').max(10_000),
});
/** Objects that are to go together. */
export const deleteBody = z.strictObject({
  objects: z
    .array(z.strictObject({ kind: z.enum(kindNames), name: z.string() }))
    .min(1)
    .max(10_000),
});
