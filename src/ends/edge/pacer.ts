/**
 * Says how many packets may go now, for a given number a second. Timers of Node are good to a millisecond: the packets
 * of each go together, so 20,000 a second are batches of twenty. After a pause at most a small burst is made up for;
 * more would only fill the queues of the path.
 */
export class Pacer {
  readonly #perMs: number;
  readonly #most: number;
  #allowance: number;
  #last: number;

  /** @param atOnce packets that must be able to go together, such as the fragments of one tensor */
  constructor(perSecond: number, atOnce: number, now: number) {
    this.#perMs = perSecond / 1000;
    this.#most = Math.max(atOnce, this.#perMs * BURST_MS);
    this.#allowance = atOnce;
    this.#last = now;
  }

  /** Takes `packets` if they may go now. */
  take(packets: number, now: number): boolean {
    this.#allowance = Math.min(this.#most, this.#allowance + (now - this.#last) * this.#perMs);
    this.#last = now;
    if (this.#allowance < packets) return false;
    this.#allowance -= packets;
    return true;
  }

  /** ms until `packets` more may go. */
  wait(packets: number): number {
    return Math.max(0, packets - this.#allowance) / this.#perMs;
  }
}

/** Longest pause whose packets are made up for. */
const BURST_MS = 20;
