import { contentsOf } from './normal-form.ts';
import type { P4Client } from './p4-client.ts';
import type { PipelineConfig } from './pipeline.ts';
import type { Init } from './proto/messages.ts';

type Entity = Init<'Entity'>;
type Update = Init<'Update'>;

/** What a device is to run and to hold. Entities of kinds that are not named here are left alone. */
export interface Desired {
  readonly pipeline: PipelineConfig;
  /** Table entries, default actions, members, groups, multicast groups, clone sessions. */
  readonly entities: readonly Entity[];
}

export interface Synchronised {
  /** Whether the pipeline had to be pushed. */
  readonly pushed: boolean;
  readonly inserted: number;
  readonly modified: number;
  readonly deleted: number;
}

/** Order in which things may be inserted: what others refer to comes first. Deletion goes the other way. */
const ORDER = ['member', 'group', 'multicast', 'clone', 'table'] as const;
const rank = (key: string): number => ORDER.findIndex((kind) => key.startsWith(kind));

/** Requests that read all there is of the kinds that can be synchronised; default actions only where one is wanted. */
function requestsFor(entities: readonly Entity[]): readonly Entity[] {
  const requests: Entity[] = [{ tableEntry: {} }];
  if (entities.some((e) => e.actionProfileMember)) requests.push({ actionProfileMember: {} });
  if (entities.some((e) => e.actionProfileGroup)) requests.push({ actionProfileGroup: {} });
  if (entities.some((e) => e.packetReplicationEngineEntry?.multicastGroupEntry))
    requests.push({ packetReplicationEngineEntry: { multicastGroupEntry: {} } });
  if (entities.some((e) => e.packetReplicationEngineEntry?.cloneSessionEntry))
    requests.push({ packetReplicationEngineEntry: { cloneSessionEntry: {} } });
  for (const { tableEntry } of entities)
    if (tableEntry?.isDefaultAction)
      requests.push({ tableEntry: { tableId: tableEntry.tableId, isDefaultAction: true } });
  return requests;
}

/** The updates that lead from what is to what should be, in an order in which each of them can be done. */
export function difference(
  is: Iterable<Entity>,
  should: Iterable<Entity>,
  constTables: ReadonlySet<number>,
): readonly Update[] {
  const present = contentsOf(is);
  const wanted = contentsOf(should);
  const write: { readonly update: Update; readonly rank: number }[] = [];
  const remove: { readonly update: Update; readonly rank: number }[] = [];
  for (const [key, { entity, contents }] of wanted) {
    const old = present.get(key);
    if (old?.contents === contents) continue;
    const modify = old !== undefined || entity.tableEntry?.isDefaultAction === true;
    write.push({ update: { type: modify ? 'MODIFY' : 'INSERT', entity }, rank: rank(key) });
  }
  for (const [key, { entity }] of present) {
    const fixed =
      entity.tableEntry !== undefined &&
      (entity.tableEntry.isConst || constTables.has(entity.tableEntry.tableId ?? 0));
    if (!wanted.has(key) && !fixed) remove.push({ update: { type: 'DELETE', entity }, rank: rank(key) });
  }
  write.sort((a, b) => a.rank - b.rank);
  remove.sort((a, b) => b.rank - a.rank);
  // Entries go first, so that there is room; what they name goes last.
  const tables = ORDER.length - 1;
  const [entries, named] = [remove.filter((r) => r.rank === tables), remove.filter((r) => r.rank < tables)];
  return [...entries, ...write, ...named].map(({ update }) => update);
}

/**
 * Makes a device run and hold what is desired: pushes the pipeline if its cookie is another, reads back, writes the
 * difference, and reads back again.
 * @throws P4RuntimeError; and an Error where the device did not keep what it had confirmed
 */
export async function synchronise(client: P4Client, desired: Desired): Promise<Synchronised> {
  const { pipeline, entities } = desired;
  const pushed = await client.pipeline.ensure(pipeline);
  const tables = pipeline.p4info.tables ?? [];
  const constTables = new Set(tables.filter((t) => t.isConstTable).map((t) => t.preamble?.id ?? 0));
  const requests = requestsFor(entities);
  const updates = difference(await client.readAll(requests), entities, constTables);
  await client.write(updates);
  if (updates.length > 0) {
    const left = difference(await client.readAll(requests), entities, constTables);
    if (left.length > 0)
      throw new Error(
        `the device confirmed ${updates.length} updates and kept ${updates.length - left.length}`,
      );
  }
  const count = (type: Update['type']) => updates.filter((u) => u.type === type).length;
  return { pushed, inserted: count('INSERT'), modified: count('MODIFY'), deleted: count('DELETE') };
}

/**
 * Synchronises whenever the client becomes primary: after a restart of the device, a takeover, or a reconnect.
 * @param report hears of each outcome; a failed one is tried again at the next chance
 * @returns what ends it
 */
export function keepSynchronised(
  client: P4Client,
  desired: () => Desired,
  report: (outcome: Synchronised | Error) => void = () => {},
): () => void {
  let running = false;
  let again = false;
  const run = async (): Promise<void> => {
    again = running;
    if (running) return;
    running = true;
    try {
      report(await synchronise(client, desired()));
    } catch (error) {
      report(error instanceof Error ? error : new Error(String(error)));
    } finally {
      running = false;
    }
    if (again && client.state().kind === 'primary') await run();
  };
  const off = client.on('state', (state) => {
    if (state.kind === 'primary') void run();
  });
  if (client.state().kind === 'primary') void run();
  return off;
}
