import { expect } from 'vitest';
import { P4RuntimeError } from '../../../src/p4runtime/errors.ts';
import type { P4Client } from '../../../src/p4runtime/p4-client.ts';
import type { Init } from '../../../src/p4runtime/proto/messages.ts';
import { failureOf } from '../../support/failure.ts';

/** Inserts 2,000 entries twice, and expects that the second time each is refused. @returns the entries, and what was said of them */
export async function secondInsertFails(client: P4Client, entryOf: (i: number) => Init<'Entity'>) {
  const entries = Array.from({ length: 2_000 }, (_, i) => entryOf(i));
  await client.insert(entries);
  const error = await failureOf(client.insert(entries), P4RuntimeError);
  expect([error.kind, error.updates.length]).toEqual(['write-failed', 2_000]);
  expect(error.updates.map((u) => u.index)).toEqual(entries.map((_, i) => i));
  return { entries, error };
}
