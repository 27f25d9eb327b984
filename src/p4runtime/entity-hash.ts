import { entityKey } from './entity-key.ts';
import type { Init } from './proto/messages.ts';

/** FNV-1a over 32-bit words, which is enough where a collision only costs a wait. */
const PRIME = 0x0100_0193;
const BASIS = 0x811c_9dc5;

const mix = (hash: number, word: number): number => Math.imul(hash ^ word, PRIME);

/** Leading zeros do not count. */
function mixBytes(hash: number, bytes: Uint8Array | undefined): number {
  if (bytes === undefined) return hash;
  let at = 0;
  while (at < bytes.length - 1 && bytes[at] === 0) at++;
  let mixed = mix(hash, bytes.length - at);
  for (; at < bytes.length; at++) mixed = mix(mixed, bytes[at]!);
  return mixed;
}

function matchHash({ fieldId = 0, exact, optional, lpm, ternary, range }: Init<'FieldMatch'>): number {
  const hash = mix(BASIS, fieldId);
  if (exact) return mixBytes(hash, exact.value);
  if (optional) return mixBytes(hash, optional.value);
  if (lpm) return mixBytes(mix(hash, lpm.prefixLen ?? 0), lpm.value);
  if (ternary) return mixBytes(mixBytes(hash, ternary.mask), ternary.value);
  return range ? mixBytes(mixBytes(hash, range.low), range.high) : hash;
}

function textHash(text: string): number {
  let hash = BASIS;
  for (let at = 0; at < text.length; at++) hash = mix(hash, text.charCodeAt(at));
  return hash;
}

/**
 * A whole number of 30 bits that two entities share if they have the same key (`entityKey`), and hardly ever otherwise. For
 * table entries, which come by the thousand, it is made without a text of the key.
 */
export function entityHash(entity: Init<'Entity'>): number {
  const entry = entity.tableEntry;
  // 30 bits are a small integer of the engine, which needs no object.
  if (!entry) return textHash(entityKey(entity)) & 0x3fff_ffff;
  let hash = mix(BASIS, entry.tableId ?? 0);
  if (entry.isDefaultAction) return hash & 0x3fff_ffff;
  let fields = 0;
  // The order of the fields does not count.
  for (const match of entry.match ?? []) fields = (fields + matchHash(match)) | 0;
  hash = mix(mix(hash, fields), entry.priority ?? 0);
  return (hash ^ (hash >>> 15)) & 0x3fff_ffff;
}
