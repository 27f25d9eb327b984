/** Hosts whose requests are counted at a time; the one that has not asked for longest makes room. */
const MOST_HOSTS = 4096;

/** Requests that a host may ask at once after a pause, in seconds of its rate. */
const BURST_S = 1;

/** How many requests each host may ask in a second: a bucket a host, filled at that rate. */
export class SourceRates {
  readonly #perMs: number;
  readonly #most: number;
  /** In the order of their last requests. */
  readonly #buckets = new Map<string, { left: number; at: number }>();

  constructor(perSecond: number) {
    this.#perMs = perSecond / 1000;
    this.#most = Math.max(1, perSecond * BURST_S);
  }

  /** Takes one request if there is one left. */
  take(host: string, now: number): boolean {
    const bucket = this.#buckets.get(host) ?? { left: this.#most, at: now };
    bucket.left = Math.min(this.#most, bucket.left + (now - bucket.at) * this.#perMs);
    bucket.at = now;
    this.#buckets.delete(host);
    this.#buckets.set(host, bucket);
    if (this.#buckets.size > MOST_HOSTS) this.#buckets.delete(this.#buckets.keys().next().value!);
    if (bucket.left < 1) return false;
    bucket.left--;
    return true;
  }
}
