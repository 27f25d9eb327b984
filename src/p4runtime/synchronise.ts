import { settableDefaults } from './default-actions.ts';
import { difference } from './difference.ts';
import { entitiesByKey, isSameEntity } from './normal-form.ts';
import type { P4Client } from './p4-client.ts';
import type { PipelineConfig } from './pipeline.ts';
import type { Entity, Update } from './types.ts';

/**
 * What a device is to run and to hold. Entities of kinds that are not named here are left alone, but for table entries and
 * default actions, which decide of packets: what is not named is deleted, or becomes the program's own again.
 */
export interface Desired {
  readonly pipeline: PipelineConfig;
  /** Table entries, default actions, members, groups, multicast groups, clone sessions. */
  readonly entities: readonly Entity[];
}

/** What had to be done; updates that were read back and hold. */
export interface Synchronised {
  /** Whether the pipeline had to be pushed. */
  readonly pushed: boolean;
  readonly inserted: number;
  readonly modified: number;
  readonly deleted: number;
}

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
  // A pipeline that was just pushed has its own.
  const reset = pushed ? 0 : await resetDefaults(client, unwantedDefaults(desired));
  const count = (type: Update['type']) => updates.filter((u) => u.type === type).length;
  return { pushed, inserted: count('INSERT'), modified: count('MODIFY') + reset, deleted: count('DELETE') };
}

/**
 * Puts default actions back that nobody wants. What the program's own are a P4Info need not say, so all of them are put back,
 * which changes nothing where they are still there, and read before and after.
 * @returns how many were others
 */
async function resetDefaults(client: P4Client, defaults: readonly Entity[]): Promise<number> {
  if (defaults.length === 0) return 0;
  const before = entitiesByKey(await client.readAll(defaults));
  await client.modify(defaults);
  const after = entitiesByKey(await client.readAll(defaults));
  return [...before].filter(([key, entity]) => {
    const now = after.get(key);
    return now === undefined || !isSameEntity(entity, now);
  }).length;
}

function unwantedDefaults({ pipeline, entities }: Desired): readonly Entity[] {
  const wanted = new Set(
    entities.map(({ tableEntry }) => (tableEntry?.isDefaultAction ? tableEntry.tableId : undefined)),
  );
  return settableDefaults(pipeline.p4info).filter(({ tableEntry }) => !wanted.has(tableEntry?.tableId));
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
