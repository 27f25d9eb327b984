/** Something that is read again and again. */
export interface Polled {
  readonly name: string;
  /** Whether it can be read now. */
  readonly isReady: boolean;
  /** @returns whether anything has changed since the last time. @throws what keeps it from being read */
  readonly read: () => Promise<boolean>;
}

const LOOK_MS = 100;
/** Between two readings of one, ms. */
const [LEAST_MS, MOST_MS] = [1000, 10_000] as const;
/** Of all together; in a large network each has its turn less often. */
const READS_PER_SECOND = 200;
/** What stays the same is read less often by this factor; what has stayed so for long, of many, by the next. */
const [QUIET, LONG_QUIET] = [3, 6] as const;
/** Readings in a row in which nothing had changed, from which it has for long. */
const LONG = 3;
/** Readings at a time. */
const MOST_READERS = 8;

/**
 * Reads each once in a second, or less often the more there are: never one that is still being read, and each at times of its own, so that they do
 * not come together. What cannot be read is tried again at its next turn.
 */
export class Poller {
  readonly #polled: () => Iterable<Polled>;
  readonly #timer: NodeJS.Timeout;
  readonly #nextAt = new Map<string, number>();
  readonly #reading = new Set<string>();
  /** Of each, readings in a row in which nothing had changed. */
  readonly #quiet = new Map<string, number>();

  constructor(polled: () => Iterable<Polled>) {
    this.#polled = polled;
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const all = [...this.#polled()];
    const now = performance.now();
    if (all.length !== this.#nextAt.size || all.some((p) => !this.#nextAt.has(p.name))) this.#forget(all);
    const everyMs = Math.min(MOST_MS, Math.max(LEAST_MS, (1000 * all.length) / READS_PER_SECOND));
    for (const one of all) {
      if (this.#reading.size >= MOST_READERS) return;
      const at = this.#nextAt.get(one.name);
      // The first time at any moment of the interval.
      if (at === undefined) this.#nextAt.set(one.name, now + Math.random() * everyMs);
      else if (at <= now && one.isReady && !this.#reading.has(one.name)) void this.#read(one, everyMs);
    }
  }

  /** Of those that are gone nothing is kept. */
  #forget(all: readonly Polled[]): void {
    const there = new Set(all.map((p) => p.name));
    for (const name of this.#nextAt.keys())
      if (!there.has(name)) {
        this.#nextAt.delete(name);
        this.#quiet.delete(name);
      }
  }

  async #read(one: Polled, everyMs: number): Promise<void> {
    this.#reading.add(one.name);
    let isQuiet = true;
    try {
      isQuiet = !(await one.read());
    } catch {
      // Its staleness tells of it; whether it can be had at all is found out by others.
    } finally {
      this.#reading.delete(one.name);
      const row = isQuiet ? (this.#quiet.get(one.name) ?? 0) + 1 : 0;
      this.#quiet.set(one.name, row);
      const factor = row === 0 ? 1 : row >= LONG && everyMs > LEAST_MS ? LONG_QUIET : QUIET;
      const waitMs = everyMs * factor;
      this.#nextAt.set(one.name, performance.now() + waitMs * (0.9 + 0.2 * Math.random()));
    }
  }
}
