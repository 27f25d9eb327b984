import { WINDOW_MS } from '../cats/index.ts';

/** Names of one source's counts are bounded, whatever it says. */
const MOST_NAMES = 20_000;

interface Sample {
  readonly at: number;
  /** By name, how much it rose since the sample before; what did not is left out. */
  readonly rises: ReadonlyMap<string, number>;
}

/**
 * Counts of one source, which rise from 0 and begin anew when it does: their rises over a window, and totals that go on over its
 * restarts. Times are of a steady clock, ms.
 */
export class Tally {
  readonly #lateNames: 'begin at 0' | 'are known from then on';
  readonly #last = new Map<string, number>();
  readonly #totals = new Map<string, number>();
  #samples: Sample[] = [];
  #first: number | undefined;
  #at: number | undefined;

  /** @param lateNames what a name that comes later has counted: of a cell that was another's before it is not known */
  constructor(lateNames: 'begin at 0' | 'are known from then on') {
    this.#lateNames = lateNames;
  }

  /** When it was heard of last. */
  get at(): number | undefined {
    return this.#at;
  }

  /** Takes what the source counts now. */
  add(counts: Iterable<readonly [string, number]>, now: number): void {
    const isFirst = this.#at === undefined;
    const late = this.#lateNames === 'begin at 0' ? 0 : undefined;
    const rises: [string, number][] = [];
    const named = new Map([...counts].slice(0, MOST_NAMES));
    for (const [name, value] of named) {
      const before = this.#last.get(name) ?? (isFirst ? undefined : late);
      this.#last.set(name, value);
      if (isFirst) this.#totals.set(name, value);
      // Below what it was: the source began anew at 0.
      if (before !== undefined) rises.push([name, value < before ? value : value - before]);
    }
    for (const name of this.#last.keys()) if (!named.has(name)) this.#last.delete(name);
    this.#first ??= now;
    this.#take(isFirst ? [] : rises, now);
  }

  /** Takes by how much counts have risen since the last time. */
  rose(rises: Iterable<readonly [string, number]>, now: number): void {
    this.#first ??= now - WINDOW_MS;
    this.#take(rises, now);
  }

  #take(rises: Iterable<readonly [string, number]>, now: number): void {
    const kept = new Map([...rises].filter(([, rise]) => rise > 0));
    for (const [name, rise] of kept)
      if (this.#totals.has(name) || this.#totals.size < MOST_NAMES)
        this.#totals.set(name, (this.#totals.get(name) ?? 0) + rise);
    this.#at = now;
    this.#samples = this.#samples.filter((s) => s.at > now - WINDOW_MS);
    if (kept.size > 0) this.#samples.push({ at: now, rises: kept });
  }

  /** All that has been counted. */
  names(): Iterable<string> {
    return this.#totals.keys();
  }

  /** Since it was first heard of, with what it had counted then. */
  total(name: string): number {
    return this.#totals.get(name) ?? 0;
  }

  /** Within the window before `now`. */
  rise(name: string, now: number): number {
    return this.#samples.reduce(
      (sum, { at, rises }) => (at > now - WINDOW_MS ? sum + (rises.get(name) ?? 0) : sum),
      0,
    );
  }

  /** Rise a second within the window, as far as it was seen; 0 while nothing is known. */
  rate(name: string, now: number): number {
    if (this.#first === undefined || this.#at === undefined) return 0;
    const seconds = (this.#at - Math.max(this.#first, now - WINDOW_MS)) / 1000;
    return seconds <= 0 ? 0 : this.rise(name, now) / seconds;
  }
}
