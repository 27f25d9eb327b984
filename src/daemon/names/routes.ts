import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { z } from 'zod';
import { memberFor } from '../../ends/common/balance.ts';
import { suggestions } from '../../p4runtime/suggestions.ts';
import { bodyOf, jsonOf, refuseRequest, reply } from '../api/http.ts';
import { parsed } from '../api/parsed.ts';
import { API_PREFIX, type Route } from '../api/routes.ts';
import type { Objects } from '../objects/index.ts';
import { Affinity } from './affinity.ts';
import { agentCard } from './agent-card.ts';
import { isDomain, zoneText } from './dns-sd.ts';
import { handOver } from './handover.ts';
import { nameTypes, parseName, type Resolution, resolveAll, type ShareOf } from './resolve.ts';

const MOST_BYTES = 4096;
const handoverBody = z.strictObject({ to: z.string().min(1).max(63).describe('Name of a Worker') });

const namesQuery = z.strictObject({
  type: z.enum(nameTypes).optional().describe('agent: devices and workers too'),
  label: z.string().optional().describe('NAME=VALUE, several separated by commas'),
  model: z.string().optional().describe('Name or id of a model'),
});
const JOB = 'expected a whole number below 2^64';
const nameQuery = z.strictObject({
  job: z
    .string()
    .refine((id) => /^\d{1,20}$/.test(id) && BigInt(id) < 2n ** 64n, { error: JOB })
    .optional()
    .describe('jobId of packets'),
});
const zoneQuery = namesQuery.extend({
  domain: z
    .string()
    .refine(isDomain, { error: 'expected a domain such as net.example' })
    .default('intransit.internal'),
});

/** The calls that resolve names. */
// Long: a list of calls, a few lines each.
export function nameRoutes(objects: Objects, version: string, shareOf?: ShareOf): readonly Route[] {
  const all = async (query: z.output<typeof namesQuery> = {}) => {
    const { revision, objects: stored } = await objects.list();
    const asked = { type: query.type, model: query.model, labels: labelsOf(query.label) };
    const names = resolveAll(stored, asked, shareOf);
    return { revision, names };
  };
  const one = async (text: string): Promise<readonly Resolution[]> => {
    const { names } = await all();
    const asked = parseName(text);
    const found = names.filter(
      (n) => n.name === asked?.name && (asked.type === undefined || n.type === asked.type),
    );
    if (found.length > 0) return found;
    const near = suggestions(
      asked?.name ?? text,
      names.map((n) => n.name),
    );
    return refuseRequest(
      'NotFound',
      `nothing is known by the name ${text.slice(0, 100)}`,
      near.length > 0 ? `is ${near.join(' or ')} meant?` : 'intransit resolve lists all names',
    );
  };
  const affinity = new Affinity();
  /** With which worker a job is that asks a service. */
  const withWorker = async (found: Resolution, jobId: bigint): Promise<Resolution> => {
    const service = found.type === 'service' ? await objects.get('Service', found.name) : undefined;
    if (service === undefined) return found;
    const members = found.addresses.flatMap(({ node, weight }) =>
      node === undefined ? [] : [{ name: node, weight }],
    );
    const worker = affinity.workerOf(found.name, jobId, new Set(members.map((m) => m.name)), {
      affinityMs: service.spec.policy.affinityMs,
      choose: () => memberFor(jobId, members)?.name,
      now: performance.now(),
    });
    return worker === undefined ? found : { ...found, worker: worker.replace('Worker/', '') };
  };
  const card = (request: IncomingMessage) => ({ url: urlOf(request), version });
  return [
    {
      method: 'GET',
      path: `${API_PREFIX}/names`,
      right: 'read',
      summary: 'Names of services, jobs, workflows, agents and nodes, with what they stand for',
      query: namesQuery,
      answers: async ({ response, query }) => {
        const { names } = await all(parsed(namesQuery, Object.fromEntries(query), 'query'));
        reply(response, 200, { kind: 'NameList', items: names });
      },
    },
    {
      method: 'POST',
      path: `${API_PREFIX}/jobs/{name}/handover`,
      right: 'write',
      summary: 'Moves a running job with its state to another worker',
      body: handoverBody,
      answers: async ({ request, response, parameters, actor }) => {
        const asked = handoverBody.safeParse(jsonOf(await bodyOf(request, MOST_BYTES)));
        if (!asked.success)
          return refuseRequest('BadRequest', 'body to: expected the name of a Worker', 'give {"to": NAME}');
        reply(response, 200, await handOver(objects, parameters.name!, asked.data.to, actor));
      },
    },
    {
      method: 'GET',
      path: `${API_PREFIX}/names.zone`,
      right: 'read',
      summary: 'The same as DNS-SD records in a zone file',
      query: zoneQuery,
      answers: async ({ response, query }) => {
        const asked = parsed(zoneQuery, Object.fromEntries(query), 'query');
        const { revision, names } = await all(asked);
        response.writeHead(200, { 'content-type': 'text/dns; charset=utf-8' });
        response.end(zoneText(names, { domain: asked.domain, serial: revision % 2 ** 32 }));
      },
    },
    {
      method: 'GET',
      path: `${API_PREFIX}/names/{name}`,
      right: 'read',
      summary:
        'What a name stands for: addresses, model ids, labels. TYPE%2FNAME where several have it; with job, to which worker of a service that goes',
      query: nameQuery,
      answers: async ({ response, parameters, query }) => {
        const { job } = parsed(nameQuery, Object.fromEntries(query), 'query');
        const found = await one(parameters.name!);
        const items =
          job === undefined ? found : await Promise.all(found.map((f) => withWorker(f, BigInt(job))));
        reply(response, 200, { kind: 'NameList', items });
      },
    },
    {
      method: 'GET',
      path: `${API_PREFIX}/names/{name}/agent-card.json`,
      right: 'read',
      summary: 'A name as an A2A agent card',
      answers: async ({ request, response, parameters }) => {
        const [found] = await one(parameters.name!);
        reply(response, 200, agentCard((await all()).names, card(request), found));
      },
    },
    {
      method: 'GET',
      path: '/.well-known/agent-card.json',
      right: 'read',
      summary: 'The network as an A2A agent card: its services are the skills',
      answers: async ({ request, response }) =>
        reply(response, 200, agentCard((await all()).names, card(request))),
    },
  ];
}

function urlOf({ headers, socket }: IncomingMessage): string {
  const host = /^[\w.:[\]-]{1,260}$/.test(headers.host ?? '') ? headers.host : 'localhost';
  return `${socket instanceof TLSSocket ? 'https' : 'http'}://${host}`;
}

function labelsOf(text: string | undefined): Readonly<Record<string, string>> {
  if (text === undefined) return {};
  const pairs = text.split(',').map((pair) => /^([^=]+)=(.*)$/.exec(pair));
  if (pairs.some((pair) => pair === null))
    return refuseRequest('BadRequest', `query label: ${text} is no NAME=VALUE`, 'separate several by commas');
  return Object.fromEntries(pairs.map((pair) => [pair![1]!, pair![2]!]));
}
