import { z } from 'zod';
import { suggestions } from '../../p4runtime/suggestions.ts';
import {
  API_VERSION,
  fault,
  type Kind,
  kindNames,
  manifestSchema,
  namesOf,
  Refused,
} from '../manifests/index.ts';
import type { Objects } from '../objects/index.ts';
import { MOST_BLOB_BYTES } from '../store/index.ts';
import { bodyOf, jsonOf, refuseRequest, reply } from './http.ts';
import { parsed } from './parsed.ts';
import {
  API_PREFIX,
  applyBody,
  type Call,
  deleteBody,
  deleteQuery,
  dryRunQuery,
  eventsQuery,
  kindOfPlural,
  type Route,
  watchQuery,
} from './routes.ts';
import { streamChanges } from './watch-stream.ts';

/** Bytes of one request with manifests. */
const MOST_DOCUMENT_BYTES = 32 * 2 ** 20;

const at = (path: string) => `${API_PREFIX}${path}`;

/** The calls about objects, their log and their files. */
// Long: a list of calls, a few lines each.
export function objectRoutes(objects: Objects): readonly Route[] {
  const { store } = objects;
  const apply = async ({ request, query, actor }: Call) => {
    const { dryRun } = parsed(dryRunQuery, Object.fromEntries(query), 'query');
    const { documents } = parsed(applyBody, jsonOf(await bodyOf(request, MOST_DOCUMENT_BYTES)), 'body');
    return objects.apply(documents, { actor, dryRun: dryRun === 'true' });
  };
  return [
    {
      method: 'GET',
      path: API_PREFIX,
      right: 'read',
      summary: 'The kinds that there are',
      answers: async ({ response }) =>
        reply(response, 200, {
          apiVersion: API_VERSION,
          kinds: kindNames.map((kind) => ({ kind, ...namesOf[kind] })),
        }),
    },
    {
      method: 'POST',
      path: at('/apply'),
      right: 'write',
      summary: 'Creates or changes several objects, all of them or none',
      query: dryRunQuery,
      body: applyBody,
      answers: async (call) => reply(call.response, 200, { results: await apply(call) }),
    },
    {
      method: 'POST',
      path: at('/delete'),
      right: 'write',
      summary: 'Deletes several objects, all of them or none',
      query: dryRunQuery,
      body: deleteBody,
      answers: async ({ request, response, query, actor }) => {
        const { dryRun } = parsed(dryRunQuery, Object.fromEntries(query), 'query');
        const body = parsed(deleteBody, jsonOf(await bodyOf(request, MOST_DOCUMENT_BYTES)), 'body');
        const gone = await objects.delete(body.objects, { actor, dryRun: dryRun === 'true' });
        reply(response, 200, { deleted: gone.map(({ kind, metadata: { name } }) => ({ kind, name })) });
      },
    },
    {
      method: 'GET',
      path: at('/watch'),
      right: 'read',
      summary:
        'Server-sent events: what there is (put, then sync), then changes (put, delete) and the log (log)',
      query: watchQuery,
      answers: async ({ request, response, query }) => {
        const { kind, name, events } = parsed(watchQuery, Object.fromEntries(query), 'query');
        const last = request.headers['last-event-id'];
        const filter = { kind, name, events: events !== 'false' };
        await streamChanges(store, response, filter, typeof last === 'string' ? last : undefined);
      },
    },
    {
      method: 'GET',
      path: at('/events'),
      right: 'read',
      summary: 'The log of what was decided and done, the oldest first',
      query: eventsQuery,
      answers: async ({ response, query }) => {
        const filter = parsed(eventsQuery, Object.fromEntries(query), 'query');
        const utc = (time: string | undefined) => time && new Date(time).toISOString();
        const items = await store.events({ ...filter, since: utc(filter.since), until: utc(filter.until) });
        reply(response, 200, { kind: 'EventList', items });
      },
    },
    {
      method: 'PUT',
      path: at('/files'),
      right: 'write',
      summary: 'Keeps the file that is the body; answers its digest, by which a ModelVersion names it',
      answers: async ({ request, response }) => {
        const bytes = await bodyOf(request, MOST_BLOB_BYTES);
        reply(response, 200, { digest: await store.blobs.put(bytes) });
      },
    },
    ...namedRoutes(objects),
  ];
}

/** The calls about one kind, or one object of it. */
function namedRoutes(objects: Objects): readonly Route[] {
  return [
    {
      method: 'GET',
      path: at('/{plural}'),
      right: 'read',
      summary: 'All objects of a kind',
      answers: async ({ response, parameters }) => {
        const { revision, objects: items } = await objects.list(kindAt(parameters));
        reply(response, 200, {
          apiVersion: API_VERSION,
          kind: 'List',
          metadata: { resourceVersion: `${revision}` },
          items,
        });
      },
    },
    {
      method: 'GET',
      path: at('/{plural}/{name}'),
      right: 'read',
      summary: 'One object',
      answers: async ({ response, parameters }) =>
        reply(response, 200, await objects.need(kindAt(parameters), parameters.name!)),
    },
    {
      method: 'PUT',
      path: at('/{plural}/{name}'),
      right: 'write',
      summary: 'Creates or changes one object',
      query: dryRunQuery,
      body: z.union(kindNames.filter((kind) => !namesOf[kind].isDerived).map((kind) => manifestSchema(kind))),
      answers: async ({ request, response, parameters, query, actor }) => {
        const { dryRun } = parsed(dryRunQuery, Object.fromEntries(query), 'query');
        const document = jsonOf(await bodyOf(request, MOST_DOCUMENT_BYTES));
        refuseOther(document, kindAt(parameters), parameters.name!);
        const [applied] = await objects.apply([document], { actor, dryRun: dryRun === 'true' });
        reply(response, applied!.action === 'created' ? 201 : 200, applied!.object);
      },
    },
    {
      method: 'DELETE',
      path: at('/{plural}/{name}'),
      right: 'write',
      summary: 'Deletes one object',
      query: deleteQuery,
      answers: async ({ response, parameters, query, actor }) => {
        const { dryRun, resourceVersion } = parsed(deleteQuery, Object.fromEntries(query), 'query');
        const name = { kind: kindAt(parameters), name: parameters.name! };
        const [gone] = await objects.delete([name], { actor, dryRun: dryRun === 'true', resourceVersion });
        reply(response, 200, gone);
      },
    },
  ];
}

function kindAt({ plural = '' }: Readonly<Record<string, string>>): Kind {
  const kind = kindOfPlural(plural);
  if (kind !== undefined) return kind;
  const known = kindNames.map((k) => namesOf[k].plural);
  const near = suggestions(plural, known);
  return refuseRequest(
    'NotFound',
    `there is no kind ${plural}`,
    near.length > 0 ? `is ${near.join(' or ')} meant?` : `there are ${known.join(', ')}`,
  );
}

/** The path says what the document is. */
function refuseOther(document: unknown, kind: Kind, name: string): void {
  const shape = z.object({ kind: z.literal(kind), metadata: z.object({ name: z.literal(name) }) });
  if (shape.safeParse(document).success) return;
  throw new Refused('Invalid', [
    fault(
      'manifest-field',
      { expected: `expected ${kind} ${name}, as the path says` },
      { path: ['metadata', 'name'] },
    ),
  ]);
}
