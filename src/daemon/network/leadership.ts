import { setTimeout as sleep } from 'node:timers/promises';
import { type Leases, StoreUnavailable, type Term } from '../store/index.ts';

const LEASE = 'controller';
/** Between two looks at the lease, ms: at most a second, however long it is. */
const MOST_WAIT_MS = 1_000;

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
    await this.#options.onLost();
    await this.#options.leases.release(term).catch(passUnavailable);
  }

  async #run(): Promise<void> {
    const { ttlMs } = this.#options;
    while (!this.#stop.signal.aborted) {
      try {
        await this.#step();
      } catch (error) {
        passUnavailable(error);
      }
      await sleep(Math.min(ttlMs / 4, MOST_WAIT_MS), undefined, { signal: this.#stop.signal }).catch(
        () => {},
      );
    }
  }

  async #step(): Promise<void> {
    const { leases, holder, ttlMs, onLead, onLost } = this.#options;
    if (this.#term === undefined) {
      const term = await leases.acquire(LEASE, holder, ttlMs);
      if (term === undefined) return;
      if (this.#stop.signal.aborted) return await leases.release(term);
      try {
        await onLead(term);
        this.#term = term;
      } catch (error) {
        // Whoever cannot begin does not stand in the way of others, and tries again.
        await leases.release(term).catch(passUnavailable);
        throw error;
      }
    } else if (!(await leases.renew(this.#term))) {
      this.#term = undefined;
      await onLost();
    }
  }
}

function passUnavailable(error: unknown): void {
  if (!(error instanceof StoreUnavailable)) throw error;
}
