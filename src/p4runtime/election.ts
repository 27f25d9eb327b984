import type { Init, Message } from './proto/messages.ts';

const LOW = (1n << 64n) - 1n;

/** The largest election id. */
export const MAX_ELECTION_ID = (1n << 128n) - 1n;

/** Election ids compare as unsigned 128-bit numbers (section "Client Arbitration and Controller Replication"). */
export const electionIdOf = (id: Message<'Uint128'>): bigint => (id.high << 64n) | id.low;

export const toUint128 = (id: bigint): Init<'Uint128'> => ({ high: id >> 64n, low: id & LOW });
