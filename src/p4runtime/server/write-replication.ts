import type { Init, Message } from '../proto/messages.ts';
import { canonical, canonicalBytes } from '../values.ts';
import { exists, invalid, notFound, outOfRange } from './fault.ts';
import { change, type Prepared, prepared, type UpdateType, type WriteContext } from './write-context.ts';

/** Largest instance of a replica: its width in the metadata of v1model and PSA. */
const MAX_INSTANCE = 0xffff;
const MAX_CLASS = 7;

function checkReplicas(
  { store }: WriteContext,
  replicas: readonly Message<'Replica'>[],
): readonly Init<'Replica'>[] {
  const seen = new Set<string>();
  return replicas.map((replica) => {
    const { egressPort, port, instance, backupReplicas } = replica;
    if (instance > MAX_INSTANCE) throw invalid(`instance ${instance} is above ${MAX_INSTANCE}`);
    const key = `${port === undefined ? egressPort : Buffer.from(port).toString('hex')} ${instance}`;
    checkBackups(store, port ?? canonicalBytes(egressPort ?? 0), backupReplicas);
    if (seen.has(key)) throw invalid('a port and instance are given twice');
    seen.add(key);
    store.checkPort(port);
    return replica;
  });
}

/** Each is another port than the one that it stands in for, and than the others. */
function checkBackups(
  store: WriteContext['store'],
  primary: Uint8Array,
  backups: readonly Message<'BackupReplica'>[],
): void {
  const text = (port: Uint8Array) => Buffer.from(canonical(port)).toString('hex');
  const seen = new Set<string>();
  for (const { port, instance } of backups) {
    if (instance > MAX_INSTANCE) throw invalid(`instance ${instance} is above ${MAX_INSTANCE}`);
    if (port.length === 0) throw invalid('a backup replica needs a port');
    if (text(port) === text(primary)) throw invalid('a backup replica has the port that it is to replace');
    const key = `${text(port)} ${instance}`;
    if (seen.has(key)) throw invalid('a backup port and instance are given twice');
    seen.add(key);
    store.checkPort(port);
  }
}

function prepareIn<T>(
  map: Map<number, T>,
  type: UpdateType,
  id: number,
  what: string,
  make: () => T,
  wrap: (value: T) => Init<'PacketReplicationEngineEntry'>,
): Prepared {
  if (id === 0) throw invalid(`a ${what} has an id above 0`);
  const old = map.get(id);
  if (type === 'INSERT' && old !== undefined) throw exists(`${what} ${id} is there`);
  if (type !== 'INSERT' && old === undefined) throw notFound(`there is no ${what} ${id}`);
  const value = type === 'DELETE' ? old! : make();
  const entity = (v: T) => ({ packetReplicationEngineEntry: wrap(v) });
  return prepared(type, entity(value), entity(old ?? value), () =>
    change(map, id, type === 'DELETE' ? undefined : value),
  );
}

/** Section "PacketReplicationEngineEntry". */
export function prepareReplication(
  context: WriteContext,
  type: UpdateType,
  entry: Message<'PacketReplicationEngineEntry'>,
): Prepared {
  const { multicast, clones } = context.store;
  const group = entry.multicastGroupEntry;
  if (group !== undefined)
    return prepareIn(
      multicast,
      type,
      group.multicastGroupId,
      'multicast group',
      () => ({ ...group, replicas: checkReplicas(context, group.replicas) }),
      (multicastGroupEntry) => ({ multicastGroupEntry }),
    );
  const session = entry.cloneSessionEntry;
  if (session === undefined) throw invalid('the replication entry is of no kind');
  return prepareIn(
    clones,
    type,
    session.sessionId,
    'clone session',
    () => {
      if (session.classOfService > MAX_CLASS)
        throw invalid(`class of service ${session.classOfService} is above ${MAX_CLASS}`);
      if (session.packetLengthBytes < 0) throw invalid('a negative packet length');
      return { ...session, replicas: checkReplicas(context, session.replicas) };
    },
    (cloneSessionEntry) => ({ cloneSessionEntry }),
  );
}

/** Section "DigestEntry". */
export function prepareDigest(
  { index, store }: WriteContext,
  type: UpdateType,
  entry: Message<'DigestEntry'>,
): Prepared {
  const { digestId } = entry;
  if (digestId === 0 || index.digests.find(digestId) === undefined)
    throw invalid(`there is no digest ${digestId}`);
  const old = store.digests.get(digestId);
  if (type === 'INSERT' && old !== undefined) throw exists(`digest ${digestId} is on`);
  if (type !== 'INSERT' && old === undefined) throw notFound(`digest ${digestId} is off`);
  const config = entry.config ?? { maxTimeoutNs: 0n, maxListSize: 0, ackTimeoutNs: 0n };
  const { maxTimeoutNs, maxListSize, ackTimeoutNs } = config;
  if (type !== 'DELETE' && (maxTimeoutNs < 0n || ackTimeoutNs < 0n || maxListSize < 0))
    throw outOfRange('times and sizes are not negative');
  const entity = (of: Init<'DigestEntry.Config'>) => ({ digestEntry: { digestId, config: of } });
  return prepared(type, entity(config), entity(old ?? config), () =>
    change(store.digests, digestId, type === 'DELETE' ? undefined : config),
  );
}
