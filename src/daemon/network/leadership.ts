import { setTimeout as sleep } from 'node:timers/promises';
import type { Leases, Term } from '../store/index.ts';

/** Name of the lease that the leading controller has. */
export const LEADER_LEASE = 'controller';

/** By which whoever leads in a term drives devices and workers. */
export const electionIdOf = (term: number): bigint => (BigInt(term) << 64n) | 1n;

/** Between two looks at the lease, ms: at most a second, however long it is. */
const MOST_WAIT_MS = 1_000;
/** In the time of a lease its holder shows that he lives so often, and others look twice as often. */
const SHOWN = 4;

/** Of a controller that would lead. */
export interface LeadershipOptions {
  readonly leases: Leases;
  /** Who it is, for people. */
  readonly holder: string;
  /** How long a leader that has gone silent stays one, ms. */
  readonly ttlMs: number;
  /** Begins to lead. */
  readonly onLead: (term: Term) => Promise<void>;
  /** Another may lead now. */
  readonly onLost: () => Promise<void>;
  /** Of a look at the lease that failed; it is tried again. */
  readonly onFault: (error: unknown) => void;
  /** Of one that succeeded. */
  readonly onWell: () => void;
}

/**
 * One controller of several leads. A store that does not answer ends nothing: whoever led goes on with what it knows, and cannot
 * harm a successor, whose election id at the devices is higher, and whose term fences the store.
 */
export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #term: Term | undefined;
  /** Ends when what comes with a term has begun. */
  #begun: Promise<void> = Promise.resolve();

  constructor(options: LeadershipOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  get term(): Term | undefined {
    return this.#term;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    const term = this.#term;
    if (term === undefined) return;
    this.#term = undefined;
    await this.#begun;
    await this.#options.onLost();
    // What is not given back ends by itself.
    await this.#options.leases.release(term).catch(() => {});
  }

  async #run(): Promise<void> {
    const { ttlMs } = this.#options;
    while (!this.#stop.signal.aborted) {
      try {
        await this.#step();
        this.#options.onWell();
      } catch (error) {
        // Whatever it is, such as a value in the store that is none: a controller that ends would be no better.
        this.#options.onFault(error);
      }
      // The sleep ends early when this is closed.
      const waitMs = ttlMs / (this.#term === undefined ? 2 * SHOWN : SHOWN);
      await sleep(Math.min(waitMs, MOST_WAIT_MS), undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  async #step(): Promise<void> {
    const { leases, holder, ttlMs, onLost } = this.#options;
    if (this.#term === undefined) {
      const term = await leases.acquire(LEADER_LEASE, holder, ttlMs);
      if (term === undefined) return;
      if (this.#stop.signal.aborted) return await leases.release(term);
      this.#term = term;
      // The lease is prolonged meanwhile: to read all objects may take longer than it lasts.
      this.#begun = this.#begin(term);
    } else if (!(await leases.renew(this.#term))) {
      this.#term = undefined;
      await this.#begun;
      await onLost();
    }
  }

  async #begin(term: Term): Promise<void> {
    try {
      await this.#options.onLead(term);
    } catch (error) {
      // Whoever cannot begin does not stand in the way of others, and tries again.
      if (this.#term === term) this.#term = undefined;
      // What is not given back ends by itself.
      await this.#options.leases.release(term).catch(() => {});
      this.#options.onFault(error);
    }
  }
}
