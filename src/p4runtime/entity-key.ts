import type { Init } from './proto/messages.ts';

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Canonical bytes in hexadecimal; called for every field of every update, so without copies. */
function text(bytes: Uint8Array | undefined): string {
  let hex = '';
  if (bytes === undefined) return hex;
  let at = 0;
  while (at < bytes.length - 1 && bytes[at] === 0) at++;
  for (; at < bytes.length; at++) hex += HEX[bytes[at]!];
  return hex;
}

function matchKey(match: Init<'FieldMatch'>): string {
  const { fieldId, exact, optional, lpm, ternary, range } = match;
  if (exact !== undefined) return `${fieldId}=${text(exact.value)}`;
  if (optional !== undefined) return `${fieldId}?${text(optional.value)}`;
  if (lpm !== undefined) return `${fieldId}/${lpm.prefixLen ?? 0}:${text(lpm.value)}`;
  if (ternary !== undefined) return `${fieldId}&${text(ternary.mask)}:${text(ternary.value)}`;
  if (range !== undefined) return `${fieldId}-${text(range.low)}:${text(range.high)}`;
  return `${fieldId}`;
}

/** An entry is known by table, match and priority (section "TableEntry"); the order of the fields does not count. */
export function tableEntryKey(entry: Init<'TableEntry'>): string {
  const match = (entry.match ?? []).map(matchKey);
  const fields = match.length > 1 ? match.sort().join(',') : (match[0] ?? '');
  return `table ${entry.tableId} ${entry.isDefaultAction ? 'default' : `${fields} ${entry.priority ?? 0}`}`;
}

/** What an entity is, apart from its contents: two with one key are the same object of the device. */
export function entityKey(entity: Init<'Entity'>): string {
  const e = entity;
  if (e.tableEntry) return tableEntryKey(e.tableEntry);
  if (e.actionProfileMember)
    return `member ${e.actionProfileMember.actionProfileId} ${e.actionProfileMember.memberId}`;
  if (e.actionProfileGroup)
    return `group ${e.actionProfileGroup.actionProfileId} ${e.actionProfileGroup.groupId}`;
  if (e.counterEntry) return `counter ${e.counterEntry.counterId} ${e.counterEntry.index?.index ?? 'all'}`;
  if (e.meterEntry) return `meter ${e.meterEntry.meterId} ${e.meterEntry.index?.index ?? 'all'}`;
  if (e.registerEntry)
    return `register ${e.registerEntry.registerId} ${e.registerEntry.index?.index ?? 'all'}`;
  if (e.directCounterEntry) return `counter of ${tableEntryKey(e.directCounterEntry.tableEntry ?? {})}`;
  if (e.directMeterEntry) return `meter of ${tableEntryKey(e.directMeterEntry.tableEntry ?? {})}`;
  if (e.valueSetEntry) return `value set ${e.valueSetEntry.valueSetId}`;
  if (e.digestEntry) return `digest ${e.digestEntry.digestId}`;
  if (e.externEntry) return `extern ${e.externEntry.externTypeId} ${e.externEntry.externId}`;
  const replication = e.packetReplicationEngineEntry;
  if (replication?.multicastGroupEntry)
    return `multicast ${replication.multicastGroupEntry.multicastGroupId}`;
  if (replication?.cloneSessionEntry) return `clone ${replication.cloneSessionEntry.sessionId}`;
  return 'nothing';
}

/** Kind of entity, and table: within one such group, and one kind of update, entries do not depend on each other. */
export function entityGroup(entity: Init<'Entity'>): string {
  if (entity.tableEntry) return `table ${entity.tableEntry.tableId}`;
  const key = entityKey(entity);
  return key.slice(0, key.indexOf(' '));
}
