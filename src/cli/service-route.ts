import { randomBytes } from 'node:crypto';
import type { Resolution } from '../daemon/names/resolve.ts';
import { diagnostic, refuse } from '../diagnostics/index.ts';
import { isAmong, memberFor, type Peer, type SendResult } from '../ends/edge/index.ts';
import { type ControllerArguments, withController } from './commands/objects/common.ts';
import { parseEndpoint } from './endpoint.ts';
import { type Io, printDiagnostics } from './io.ts';

/** Where a job of a service goes, and what its requests name. */
export interface ServiceRoute {
  readonly to: Peer;
  readonly jobId: bigint;
  readonly modelId: number;
  /** 0: the current one of the path. */
  readonly modelVersion: number;
  /** The version that is current, as far as the controller knows. */
  readonly current: number | undefined;
}

/** Asks the controller for a service, and chooses by the job's id. @throws DiagnosticError */
export async function routeOf(
  service: string,
  jobId: bigint | undefined,
  a: ControllerArguments,
): Promise<ServiceRoute> {
  const job = jobId ?? randomBytes(8).readBigUInt64BE();
  const path = `/api/v1alpha1/names/${encodeURIComponent(`service/${service}`)}?job=${job}`;
  const { items } = await withController(a, (client) =>
    client.get<{ readonly items: readonly Resolution[] }>(path),
  );
  const [found] = items;
  const members = (found?.addresses ?? []).flatMap(({ node, address, protocol, weight }) =>
    protocol === 'intransit+udp' ? [{ name: node ?? address, address, weight }] : [],
  );
  // It stays where it was, if the controller remembers it.
  const member = members.find((m) => m.name === `Worker/${found?.worker}`) ?? memberFor(job, members);
  const model = found?.models[0];
  if (member === undefined || model === undefined)
    return refuse('service-unrouted', {
      service,
      reason: member === undefined ? 'no worker of it with an address can be had' : 'it has no model',
    });
  const { canary } = model;
  return {
    to: parseEndpoint('to', member.address),
    jobId: job,
    modelId: model.modelId,
    modelVersion: canary !== undefined && isAmong(job, canary.percent) ? canary.version : 0,
    current: model.version,
  };
}

/** Tells the controller how long answers took, and what got none. That it cannot be told takes nothing from the answers. */
export async function reportMeasures(
  io: Io,
  route: ServiceRoute,
  { measures, lost }: Pick<SendResult, 'measures' | 'lost'>,
  a: ControllerArguments,
): Promise<void> {
  const { modelId } = route;
  const asked = route.modelVersion || route.current;
  const none = { answered: 0, failed: 0, latency: [], latencyUs: 0, margins: 0, marginSum: 0 };
  const all = new Map(measures);
  if (lost.length > 0 && asked !== undefined)
    all.set(asked, { ...(all.get(asked) ?? none), failed: lost.length });
  const versions = [...all].map(([version, of]) => ({ modelId, version, measures: of }));
  if (versions.length === 0) return;
  try {
    await withController(a, (client) => client.send('POST', '/api/v1alpha1/measures', { versions }));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    printDiagnostics(io, [diagnostic('measures-untold', { reason })]);
  }
}
