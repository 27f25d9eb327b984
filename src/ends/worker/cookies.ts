import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { TOKEN_BYTES } from '../../wire/index.ts';

/** An IPv4 address and a UDP port. */
export interface Address {
  readonly address: string;
  readonly port: number;
}

/** How long a key makes tokens; they are good for as long again. */
const PERIOD_MS = 30_000;

/** Bytes of a token that number its key; the others are the MAC. */
const NUMBER_BYTES = 4;

/**
 * Tokens that only somebody who receives at an address can bring back: a MAC over the address and a period of time, under a
 * key of that period. Nothing is remembered of those to whom they were sent.
 */
export class Cookies {
  #period = Number.NaN;
  #keys: { readonly current: Buffer; readonly last: Buffer } = {
    current: randomBytes(32),
    last: randomBytes(32),
  };

  make(of: Address, now: number): Uint8Array {
    this.#turn(now);
    return this.#token(of, this.#period, this.#keys.current);
  }

  /** Whether `token` was made for this address in this period or the one before. */
  isGood(token: Uint8Array, of: Address, now: number): boolean {
    if (token.length !== TOKEN_BYTES) return false;
    this.#turn(now);
    const { current, last } = this.#keys;
    const period = new DataView(token.buffer, token.byteOffset).getUint32(0);
    const age = ((this.#period >>> 0) - period) >>> 0;
    if (age > 1) return false;
    return timingSafeEqual(this.#token(of, period, age === 0 ? current : last), token);
  }

  #turn(now: number): void {
    const period = Math.floor(now / PERIOD_MS);
    if (period === this.#period) return;
    // After a pause no token of before is good any more.
    const last = period === this.#period + 1 ? this.#keys.current : randomBytes(32);
    this.#keys = { current: randomBytes(32), last };
    this.#period = period;
  }

  #token({ address, port }: Address, period: number, key: Buffer): Uint8Array {
    const token = new Uint8Array(TOKEN_BYTES);
    new DataView(token.buffer).setUint32(0, period);
    const mac = createHmac('sha256', key).update(`${period}/${address}/${port}`).digest();
    token.set(mac.subarray(0, TOKEN_BYTES - NUMBER_BYTES), NUMBER_BYTES);
    return token;
  }
}
