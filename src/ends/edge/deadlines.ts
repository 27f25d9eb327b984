import { Fifo } from '../common/fifo.ts';

/** How long to wait for an answer after the n-th time of sending, from 0: twice as long each time, up to eight times. */
export const patience = (timeoutMs: number, attempt: number): number => timeoutMs * Math.min(8, 2 ** attempt);

/**
 * When rows are due to be sent again. All of one attempt wait equally long, so they come due in the order in which they
 * were sent: a queue an attempt, and no timer a row.
 */
export class Deadlines {
  readonly #timeoutMs: number;
  readonly #attempts: Fifo<{ readonly row: number; readonly due: number }>[] = [];

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  add(row: number, attempt: number, now: number): void {
    this.#attempts[attempt] ??= new Fifo();
    this.#attempts[attempt].push({ row, due: now + patience(this.#timeoutMs, attempt) });
  }

  /** Calls `expire` for each row that is due; those for which `isWaiting` is false are dropped. */
  sweep(
    now: number,
    isWaiting: (row: number) => boolean,
    expire: (row: number, attempt: number) => void,
  ): void {
    for (const [attempt, queue] of this.#attempts.entries())
      for (let head = queue.peek(); head !== undefined; head = queue.peek()) {
        const waiting = isWaiting(head.row);
        if (waiting && head.due > now) break;
        queue.shift();
        if (waiting) expire(head.row, attempt);
      }
  }

  /** The next time that something may be due. */
  next(): number {
    return Math.min(...this.#attempts.map((queue) => queue.peek()?.due ?? Number.POSITIVE_INFINITY));
  }
}
