import type { Init, Message } from './proto/messages.ts';

const LOW = (1n << 64n) - 1n;

/** The largest election id. */
export const MAX_ELECTION_ID = (1n << 128n) - 1n;

/**
 * How far a bid may be above the highest before it. The highest is kept when its controller is gone, so a single bid of the
 * largest id would keep everybody out for good. Ids made of a time in the upper 64 bits fit easily.
 */
export const MAX_ELECTION_STEP = 1n << 120n;

/** Election ids compare as unsigned 128-bit numbers (section "Client Arbitration and Controller Replication"). */
export const electionIdOf = (id: Message<'Uint128'>): bigint => (id.high << 64n) | id.low;

/** The upper and the lower 64 bits of an election id. @pre 0 <= id < 2^128 */
export const toUint128 = (id: bigint): Init<'Uint128'> => ({ high: id >> 64n, low: id & LOW });
