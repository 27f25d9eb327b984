import { z } from 'zod';
import { expectation, MOST_FAULTS } from '../../import/json/parse.ts';
import { bodyOf, jsonOf, reply } from '../api/http.ts';
import { API_PREFIX, type Call, type Route } from '../api/routes.ts';
import { type Fault, fault, Refused } from '../manifests/index.ts';
import type { Registry } from './registry.ts';
import { registrationSchema } from './schema.ts';

const MOST_BYTES = 2 ** 20;

const leaveSchema = z.strictObject({
  kind: z.enum(['Device', 'Worker']),
  name: z.string().min(1).max(63),
  instance: z.string().min(1).max(100),
});

/** The calls by which nodes announce themselves. */
export function registryRoutes(registry: Registry): readonly Route[] {
  return [
    {
      method: 'POST',
      path: `${API_PREFIX}/register`,
      right: 'register',
      summary: 'Announces a device or worker, with a lease; the same again is its heartbeat',
      body: registrationSchema,
      answers: async ({ request, response, actor }) => {
        const given = parsed(registrationSchema, jsonOf(await bodyOf(request, MOST_BYTES)));
        reply(response, 200, await registry.register(given, { actor, isLocal: isLocal(request) }));
      },
    },
    {
      method: 'POST',
      path: `${API_PREFIX}/unregister`,
      right: 'register',
      summary: 'Says that a node leaves: what its announcement made goes at once',
      body: leaveSchema,
      answers: async ({ request, response }) => {
        const { kind, name, instance } = parsed(leaveSchema, jsonOf(await bodyOf(request, MOST_BYTES)));
        await registry.leave(kind, name, instance);
        reply(response, 200, { kind, name, left: true });
      },
    },
  ];
}

/** A connection over a socket has no address. */
function isLocal({ socket: { remoteAddress } }: Call['request']): boolean {
  return remoteAddress === undefined || /^(::ffff:)?127\.|^::1$/.test(remoteAddress);
}

/** Faults at their places in the body. @throws Refused `Invalid` */
function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues
    .slice(0, MOST_FAULTS)
    .map((issue): Fault => fault('manifest-field', { expected: expectation(issue) }, { path: issue.path }));
  throw new Refused('Invalid', faults);
}
