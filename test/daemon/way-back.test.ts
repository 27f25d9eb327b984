/** How a worker loses its share of jobs and gets it back: rule by rule, and in a loop with workers that can do so much and no more. */
import { describe, expect, it } from 'vitest';
import { Shares } from '../../src/daemon/network/shares.ts';

const load = (isOverloaded: boolean, busy = 0.1, waitUs = isOverloaded ? 60_000 : 0) => ({
  ...{ isOverloaded, busy, queue: 0, waitUs, refused: {} },
});
const LOOK_MS = 500;

/** Worker a beside b, looked at every half second. */
class Pair {
  readonly shares = new Shares(() => ['a', 'b']);
  now = 0;

  /** @returns the share of a after each look */
  look(times: number, a: boolean, b = false): readonly number[] {
    return Array.from({ length: times }, () => {
      this.shares.look('b', load(b), this.now);
      this.shares.look('a', load(a), this.now);
      this.now += LOOK_MS;
      return this.shares.factor('a');
    });
  }

  /** Overloads a for a second. @returns each share of it on its way back, and how long it has it, s */
  wayBack(): readonly (readonly [number, number])[] {
    expect(this.look(2, true)).toEqual([0, 0]);
    const seen: [number, number][] = [];
    for (let share = 0; share < 1; ) {
      [share] = this.look(1, false) as [number];
      if (seen.at(-1)?.[0] === share) seen.at(-1)![1] += LOOK_MS / 1000;
      else seen.push([share, LOOK_MS / 1000]);
    }
    return seen.slice(0, -1);
  }
}

describe('shares of workers', () => {
  it('go at once with an overload, and come back in steps', () => {
    const pair = new Pair();
    expect(pair.look(2, false)).toEqual([1, 1]);
    expect(pair.wayBack()).toEqual([
      [0, 3],
      [0.25, 2],
      [0.5, 2],
      [0.75, 2],
    ]);
    expect(pair.shares.factor('unknown')).toBe(1);
  });

  it('stay away longer and come back in smaller steps where the overload comes back soon, within bounds', () => {
    const pair = new Pair();
    const [first, second, third] = [pair.wayBack(), pair.wayBack(), pair.wayBack()];
    expect([first[0], second[0], third[0]]).toEqual([
      [0, 3],
      [0, 6],
      [0, 12],
    ]);
    expect([first[1], second[1], third[1]]).toEqual([
      [0.25, 2],
      [0.125, 2],
      [0.0625, 2],
    ]);
    for (let i = 0; i < 10; i++) pair.wayBack();
    const bounded = pair.wayBack();
    expect([bounded[0], bounded[1], bounded.length]).toEqual([[0, 60], [0.0625, 2], 16]);
    // On the way back a passing overload only stops it, one that lasts is soon; half a minute after it, it is forgotten.
    pair.look(2, true);
    expect(pair.look(2 * 62, false).at(-1)).toBe(0.0625);
    expect(pair.look(8, true)).toEqual(Array<number>(8).fill(0.0625));
    pair.look(1, false);
    expect(pair.look(9, true)).toEqual([...Array<number>(8).fill(0.0625), 0]);
    pair.look(2 * 80, false);
    pair.look(8, true);
    expect(pair.wayBack()[0]).toEqual([0, 60]);
    pair.look(2 * 31, false);
    expect(pair.wayBack()[0]).toEqual([0, 3]);
  });

  it('stay where nobody else is better off, and grow no more until the worker itself is well', () => {
    const pair = new Pair();
    expect(pair.look(20, true, true)).toEqual(Array<number>(20).fill(1));
    // Now b is: it gets the jobs. When that is too much for it, a does not wait.
    expect(pair.look(2, true, false)).toEqual([0, 0]);
    expect(pair.look(1, false, true)).toEqual([0.25]);
    // It keeps the quarter through an overload of its own, and goes on when that has ended.
    expect(pair.look(20, true, true)).toEqual(Array<number>(20).fill(0.25));
    expect(pair.look(4, false, true)).toEqual([0.25, 0.25, 0.25, 0.5]);
    pair.look(8, false, true);
    // The overload of b began while a was away: it has ten seconds to end, once a is back, and then b is out.
    const b = Array.from({ length: 21 }, () => {
      pair.look(1, false, true);
      return pair.shares.factor('b');
    });
    expect(b).toEqual([...Array<number>(20).fill(1), 0]);
    // Of two that are overloaded, one is better off.
    const worse = new Pair();
    worse.shares.look('b', load(true), 0);
    worse.shares.look('a', load(true, 0.1, 130_000), 0);
    expect(['a', 'b'].map((name) => worse.shares.factor(name))).toEqual([0, 1]);
    // Of a worker that is silent nobody knows that it is well, and one that is alone keeps all.
    const silent = new Pair();
    silent.look(1, false);
    silent.shares.look('a', load(true), 5000);
    expect(silent.shares.factor('a')).toBe(1);
    const alone = new Shares(() => ['a']);
    alone.look('a', load(true), 0);
    expect(alone.factor('a')).toBe(1);
  });

  it('are less of a busy worker, and do not follow every move', () => {
    const shares = new Shares(() => []);
    const after = (busy: number) => {
      for (let i = 0; i < 40; i++) shares.look('w', load(false, busy), 500 * i);
      return shares.factor('w');
    };
    expect([0.2, 0.75, 0.65, 0.5, 0.95, 0.8, 0.6, 0.5].map(after)).toEqual([
      ...[1, 0.75, 0.75, 1, 0.5, 0.5, 0.75, 1],
    ]);
  });
});

/** A worker that computes so many rows a second, keeps half a second of them, and says that it is overloaded by the rule of workers. */
class Worker {
  queue = 0;
  isOverloaded = false;
  readonly #waits: number[] = [];
  readonly #perSecond: number;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  load() {
    return load(this.isOverloaded, 0.1, 1000 * Math.max(0, ...this.#waits));
  }

  /** A tenth of a second. */
  pass(rows: number): void {
    const perSample = this.#perSecond / 10;
    this.queue = Math.min(Math.max(0, this.queue + rows - perSample), this.#perSecond / 2);
    this.#waits.push((1000 * this.queue) / this.#perSecond);
    if (this.#waits.length > 10) this.#waits.shift();
    if (this.#waits.filter((ms) => ms > 50).length >= 3) this.isOverloaded = true;
    else if (this.#waits.every((ms) => ms < 25)) this.isOverloaded = false;
  }
}

describe('in a loop with workers of 1,000 rows a second each', () => {
  /** Shares of the first, half a second each, from the end of a flood of it of 3 s on; and rows that waited too long at the end. */
  function loop(workers: number, jobs: number) {
    const all = Array.from({ length: workers }, () => new Worker(1000));
    const shares = new Shares(() => Object.keys(all));
    const seen: number[][] = [];
    for (let sample = 0; sample < 900; sample++) {
      if (sample % 5 === 0) {
        for (const [i, worker] of all.entries()) shares.look(`${i}`, worker.load(), 100 * sample);
        if (sample >= 60) seen.push(all.map((_, i) => shares.factor(`${i}`)));
      }
      const factors = all.map((_, i) => shares.factor(`${i}`));
      const sum = factors.reduce((a, b) => a + b);
      const isFlooded = 30 <= sample && sample < 60;
      // A tenth more or less comes than is to come.
      const now = (jobs / 10) * (1 + 0.1 * Math.sin(sample));
      for (const [i, worker] of all.entries())
        worker.pass((now * factors[i]!) / sum + (i === 0 && isFlooded ? 150 : 0));
    }
    return { seen, ends: all.map((w) => w.isOverloaded) };
  }

  // One alone could do the first; all together could do all but the last.
  it.each([
    [2, 700],
    [2, 1200],
    [2, 1500],
    [2, 1800],
    [3, 1500],
    [3, 2600],
    [5, 4300],
    [2, 2400],
  ])('%d of them come back without swinging under %d jobs a second', (workers, jobs) => {
    const { seen, ends } = loop(workers, jobs);
    for (let i = 0; i < workers; i++) {
      const own = seen.map((s) => s[i]!);
      // No share falls after the flood has ended, but for those that fall by what it left.
      const falls = own.slice(6).filter((share, j) => share < own[j + 5]!);
      expect(falls, own.join(' ')).toEqual([]);
    }
    const isEnough = jobs <= 1000 * workers;
    expect(ends).toEqual(ends.map(() => !isEnough));
    if (isEnough) expect(seen.at(-1)).toEqual(Array<number>(workers).fill(1));
  });
});
