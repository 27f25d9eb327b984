import type { WorkerLoad } from '../../doors/measures.ts';

const SAMPLE_MS = 100;
const SECOND = 1000 / SAMPLE_MS;
/** It is overloaded once rows have waited too long in so many samples of the last second, and no more when in none. */
const MANY = 3;

/** Whether rows wait too long: known from how long they did wait, and, where none comes to its turn, from that. */
export class Overload {
  readonly #mostMs: number;
  readonly #waiting: () => number;
  readonly #timer: NodeJS.Timeout;
  /** Of the last second: the longest wait of each sample. */
  readonly #waits: number[] = [];
  readonly #busy: number[] = [];
  #longest = 0;
  /** When a row came to its turn last, or none waited. */
  #movedAt = performance.now();
  #utilisation = performance.eventLoopUtilization();
  #isOverloaded = false;

  /** @param waiting how many rows wait now */
  constructor(mostMs: number, waiting: () => number) {
    this.#mostMs = mostMs;
    this.#waiting = waiting;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** The oldest row of a batch whose turn it is has waited so long. */
  waited(ms: number): void {
    this.#movedAt = performance.now();
    if (ms > this.#longest) this.#longest = ms;
  }

  load(): Pick<WorkerLoad, 'busy' | 'waitUs' | 'isOverloaded'> {
    const busy = this.#busy.reduce((sum, b) => sum + b, 0) / Math.max(1, this.#busy.length);
    return {
      busy: Math.min(1, busy),
      waitUs: Math.round(1000 * Math.max(0, ...this.#waits)),
      isOverloaded: this.#isOverloaded,
    };
  }

  #sample(): void {
    const now = performance.now();
    if (this.#waiting() === 0) this.#movedAt = now;
    const wait = Math.max(this.#longest, now - this.#movedAt);
    this.#longest = 0;
    const before = this.#utilisation;
    this.#utilisation = performance.eventLoopUtilization();
    push(this.#waits, wait);
    push(this.#busy, performance.eventLoopUtilization(this.#utilisation, before).utilization);
    const late = this.#waits.filter((ms) => ms > this.#mostMs).length;
    // It ends when rows have waited half as long for a second.
    if (late >= MANY) this.#isOverloaded = true;
    else if (this.#waits.every((ms) => ms < this.#mostMs / 2)) this.#isOverloaded = false;
  }
}

function push(list: number[], value: number): void {
  list.push(value);
  if (list.length > SECOND) list.shift();
}
