import { randomBytes } from 'node:crypto';

/** INTRANSIT_FLOW_SECRETS words of 64 bits, of ebpf/intransit_flow.h. */
const SECRET_BYTES = 16 * 8;

/** What the hash of flows is made with: drawn at each load, so that whoever chooses addresses cannot make flows collide. */
export const flowSecrets = (): Uint8Array => randomBytes(SECRET_BYTES);
