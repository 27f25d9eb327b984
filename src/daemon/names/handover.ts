import { readTls } from '../../controller/deployment.ts';
import { WorkerClient } from '../../controller/worker-client.ts';
import type { HeldDocument } from '../../doors/worker-protocol.ts';
import { fault, jobIdOf, modelsOf, Refused, type StoredObject } from '../manifests/index.ts';
import { electionIdOf, LEADER_LEASE } from '../network/leadership.ts';
import type { Objects, StatusChange } from '../objects/index.ts';

/** A job that goes on elsewhere. */
export interface HandedOver {
  readonly job: string;
  readonly from: string;
  readonly to: string;
  /** Rows that waited at the one and are computed by the other. */
  readonly rows: number;
  /** By model id: the version by which the job goes on. */
  readonly versions: readonly { readonly modelId: number; readonly version: number }[];
}

type Worker = StoredObject<'Worker'>;

/**
 * Moves a running job with what waits of it to another worker, where it goes on by the versions by which it began. What still comes to the
 * first worker is sent on. Where the second one does not take it, it stays where it was.
 * @throws Refused, DiagnosticError where a worker does not answer
 */
export async function handOver(
  objects: Objects,
  name: string,
  to: string,
  actor: string,
): Promise<HandedOver> {
  const job = await objects.need('Job', name);
  const from = job.status.worker ?? job.spec.worker;
  if (from === undefined) return refuse(name, 'it is with no worker', 'name one in spec.worker of the job');
  if (from === to) return refuse(name, `it is with Worker/${to} already`, 'name another worker');
  const [source, target] = [await objects.need('Worker', from), await objects.need('Worker', to)];
  const [address, back] = [target.spec.address, source.spec.address];
  if (address === undefined || back === undefined) {
    const lacks = address === undefined ? to : from;
    return refuse(name, `Worker/${lacks} has no address of packets`, 'give it spec.address');
  }
  const electionId = await electionIdNow(objects);
  const [first, second] = [clientOf(source, electionId), clientOf(target, electionId)];
  const models = await modelsAsked(objects, job);
  refuseMissing(name, to, models, await first.held(), await second.held());
  const id = jobIdOf(name, job.spec.id);
  const handed = await first.release(id, address);
  let rows: number;
  try {
    rows = (await second.accept({ ...handed, from: back })).accepted;
  } catch (error) {
    // Its own rows: it has room for what it had a moment ago.
    await first.accept(handed);
    throw error;
  }
  const message = `from Worker/${from} to Worker/${to}, with ${rows} rows that waited`;
  const change: StatusChange<'Job'> = {
    kind: 'Job',
    name,
    change: ({ status }) => ({ ...status, worker: to, movedFrom: from }),
  };
  await objects.setStatus([change as StatusChange], {
    events: [{ actor, type: 'Normal', reason: 'HandedOver', message, object: { kind: 'Job', name } }],
  });
  return { job: name, from, to, rows, versions: handed.versions };
}

const refuse = (job: string, reason: string, remedy: string): never => {
  throw new Refused('Conflict', [fault('job', { job, reason, remedy })]);
};

const clientOf = ({ metadata: { name }, spec }: Worker, electionId: bigint): WorkerClient =>
  new WorkerClient({ name, address: spec.control, electionId }, spec.tls && readTls(spec.tls));

/** That of whoever leads when the handover begins: workers refuse it where another has begun to lead meanwhile. */
async function electionIdNow(objects: Objects): Promise<bigint> {
  const held = await objects.store.leases.holder(LEADER_LEASE);
  return held === undefined ? 0n : electionIdOf(held.term);
}

/** Ids of the models of its services; all where it names none. */
async function modelsAsked(
  objects: Objects,
  { spec }: StoredObject<'Job'>,
): Promise<ReadonlySet<number> | undefined> {
  if (spec.services.length === 0) return undefined;
  const ids = new Set<number>();
  for (const service of spec.services)
    for (const model of modelsOf((await objects.need('Service', service)).spec))
      ids.add((await objects.need('Model', model)).spec.id);
  return ids;
}

/** The versions by which it goes on must be there. */
function refuseMissing(
  job: string,
  to: string,
  models: ReadonlySet<number> | undefined,
  first: HeldDocument,
  second: HeldDocument,
): void {
  for (const { modelId, current } of first.models) {
    if (current === null || (models !== undefined && !models.has(modelId))) continue;
    const other = second.models.find((m) => m.modelId === modelId);
    if (other?.versions.some((v) => v.version === current)) continue;
    refuse(
      job,
      `Worker/${to} does not hold version ${current} of model ${modelId}`,
      'have a service bring it there first',
    );
  }
}
