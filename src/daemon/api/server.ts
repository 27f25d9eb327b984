import type { IncomingMessage, ServerResponse } from 'node:http';
import { openHttpDoor } from '../../doors/http.ts';
import { manifestsSchemaText } from '../manifests/index.ts';
import type { Objects } from '../objects/index.ts';
import { ANYBODY_ELSE, type ApiListen, admitted } from './access.ts';
import { refuseRequest, reply, replyFault } from './http.ts';
import { Metrics } from './metrics.ts';
import { objectRoutes } from './object-routes.ts';
import { openApi } from './openapi.ts';
import { pageRoutes } from './page-routes.ts';
import { API_PREFIX, findRoute, type Route } from './routes.ts';

/** Requests that are under way at once; a watch counts as one. */
const MOST_REQUESTS = 1024;

/** What the API serves, and where. */
export interface ApiOptions {
  readonly listen: ApiListen;
  readonly objects: Objects;
  /** Of the program. */
  readonly version: string;
  /** Why it is not ready yet; undefined when it is. */
  readonly unready: () => Promise<string | undefined>;
  /** Calls of other parts of the daemon. */
  readonly routes?: readonly Route[];
  /** What they add for Prometheus. */
  readonly metrics?: () => string;
}

/** An API that listens. */
export interface Api {
  readonly address: string;
  /** Lets requests end for so long, then ends them. */
  close(graceMs: number): Promise<void>;
}

/** @throws DiagnosticError `agent` where it cannot listen */
export async function openApiDoor({
  listen,
  objects,
  version,
  unready,
  routes = [],
  metrics: more = () => '',
}: ApiOptions): Promise<Api> {
  const metrics = new Metrics(objects, more);
  const open = new Set<ServerResponse>();
  // What is named goes before what any name stands for.
  const all = [...plainRoutes({ metrics, unready }), ...pageRoutes, ...routes, ...objectRoutes(objects)];
  const described = openApi(all, version);
  all.unshift(
    documentRoute(`${API_PREFIX}/openapi.json`, 'This description', () => JSON.stringify(described)),
  );
  all.unshift(documentRoute(`${API_PREFIX}/schema.json`, 'JSON Schema of manifests', manifestsSchemaText));
  let closing = false;
  const door = await openHttpDoor(listen, 'controller', (request, response) => {
    const began = process.hrtime.bigint();
    open.add(response);
    response.once('close', () => {
      open.delete(response);
      metrics.requests.inc({
        method: METHODS.has(request.method ?? '') ? request.method! : 'other',
        code: response.statusCode,
      });
      const isWatch = response.getHeader('content-type') === 'text/event-stream';
      if (!isWatch) metrics.requestSeconds.observe(Number(process.hrtime.bigint() - began) / 1e9);
    });
    answer(request, response, all, listen, closing || open.size > MOST_REQUESTS).catch((error: unknown) => {
      request.resume();
      replyFault(response, error);
    });
  });
  return {
    address: door.address,
    async close(graceMs) {
      closing = true;
      for (const response of open)
        if (response.getHeader('content-type') === 'text/event-stream') response.end();
      const until = Date.now() + graceMs;
      while (open.size > 0 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 10));
      door.close();
    },
  };
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'PUT', 'POST', 'DELETE', 'HEAD']);

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  routes: readonly Route[],
  listen: ApiListen,
  isFull: boolean,
): Promise<void> {
  response.setHeader('x-content-type-options', 'nosniff');
  const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://controller');
  const isHead = request.method === 'HEAD';
  const found = findRoute(routes, isHead ? 'GET' : (request.method ?? ''), pathname);
  const isUnknown = Array.isArray(found);
  const right = isUnknown ? 'read' : (found as { readonly route: Route }).route.right;
  const actor = admitted(request, listen, right, pathname);
  // There are few connections: who has not shown who it is may not keep one.
  if (actor === ANYBODY_ELSE) response.setHeader('connection', 'close');
  if (isFull) refuseRequest('Unavailable', 'too many requests are under way', 'try it again in a moment');
  if (isUnknown)
    return found.length === 0
      ? refuseRequest(
          'NotFound',
          `there is no ${printablePath(pathname)}`,
          `GET ${API_PREFIX}/openapi.json lists the paths`,
        )
      : refuseRequest(
          'MethodNotAllowed',
          `${printablePath(pathname)} has no ${request.method}`,
          `it has ${found.join(', ')}`,
        );
  const { route, parameters } = found as {
    readonly route: Route;
    readonly parameters: Record<string, string>;
  };
  await route.answers({ request, response, parameters, query, actor });
}

const printablePath = (path: string): string => (path.length > 100 ? `${path.slice(0, 100)}...` : path);

interface Plain {
  readonly metrics: Metrics;
  readonly unready: () => Promise<string | undefined>;
}

const plainRoutes = ({ metrics, unready }: Plain): readonly Route[] => [
  {
    method: 'GET',
    path: '/healthz',
    right: 'read',
    summary: 'Whether the process lives',
    answers: async ({ response }) => reply(response, 200, { status: 'ok' }),
  },
  {
    method: 'GET',
    path: '/readyz',
    right: 'read',
    summary: 'Whether it can be asked: the store answers',
    answers: async ({ response }) => {
      const reason = await unready();
      reply(response, reason === undefined ? 200 : 503, {
        status: reason === undefined ? 'ok' : 'not ready',
        ...(reason && { reason }),
      });
    },
  },
  {
    method: 'GET',
    path: '/metrics',
    right: 'read',
    summary: 'For Prometheus',
    answers: async ({ response }) => {
      const text = await metrics.text();
      response.writeHead(200, { 'content-type': metrics.registry.contentType });
      response.end(text);
    },
  },
];

const documentRoute = (path: string, summary: string, text: () => string): Route => ({
  method: 'GET',
  path,
  right: 'read',
  summary,
  answers: async ({ response }) => {
    response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' });
    response.end(text());
  },
});
