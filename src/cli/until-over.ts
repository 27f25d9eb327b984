import { setTimeout } from 'node:timers/promises';
import { untilInterrupted } from './interrupted.ts';

/** Gives work a promise that ends when the seconds are over, or a signal says so. */
export async function untilOver<T>(
  seconds: number | undefined,
  work: (until: () => Promise<unknown>) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  // Waiting for a signal alone keeps no process running.
  const alive = setInterval(() => {}, 60_000);
  // Not before: whoever makes temporary folders has handlers of signals too, which end the process.
  const until = () =>
    Promise.race([
      untilInterrupted(),
      ...(seconds === undefined ? [] : [setTimeout(seconds * 1000, undefined, { signal: over.signal })]),
    ]);
  try {
    return await work(until);
  } finally {
    over.abort();
    clearInterval(alive);
  }
}
