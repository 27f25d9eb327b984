import { z } from 'zod';
import { appliedKinds, manifestSchema } from '../manifests/index.ts';
import { API_PREFIX, type Route } from './routes.ts';

const schemaOf = (schema: z.ZodType): object => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' });
  return rest;
};

/** The description of the API: of each call its path, what it takes and what it answers. */
export function openApi(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const methods = paths[route.path] ?? {};
    paths[route.path] = methods;
    methods[route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'intransit controller', version, description: 'Objects, log and changes of a network' },
    servers: [{ url: '/' }],
    security: [{ token: [] }, {}],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: {
        ...Object.fromEntries(appliedKinds.map((kind) => [kind, schemaOf(manifestSchema(kind))])),
        Status: {
          type: 'object',
          required: ['kind', 'status', 'code', 'reason', 'message', 'details'],
          properties: {
            kind: { const: 'Status' },
            status: { const: 'Failure' },
            code: { type: 'integer' },
            reason: { type: 'string' },
            message: { type: 'string' },
            details: {
              type: 'array',
              items: {
                type: 'object',
                properties: {
                  index: { type: 'integer' },
                  object: { type: 'string' },
                  path: { type: 'array', items: { type: ['string', 'integer'] } },
                  code: { type: 'string' },
                  message: { type: 'string' },
                  remedy: { type: 'string' },
                },
              },
            },
          },
        },
      },
    },
  };
}

function operation({ path, summary, query, body }: Route): object {
  const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const asked = Object.entries(query?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    schema: schemaOf(schema as z.ZodType),
  }));
  return {
    summary,
    parameters: [...named, ...asked],
    ...(body && {
      requestBody: { required: true, content: { 'application/json': { schema: bodySchema(path, body) } } },
    }),
    responses: {
      '200': { description: 'Done' },
      default: {
        description: 'Refused: nothing of it was done',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Status' } } },
      },
    },
  };
}

/** Manifests are described once. */
const bodySchema = (path: string, body: z.ZodType): object =>
  path.startsWith(`${API_PREFIX}/{`)
    ? { oneOf: appliedKinds.map((kind) => ({ $ref: `#/components/schemas/${kind}` })) }
    : schemaOf(body);
