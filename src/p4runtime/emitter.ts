/** Listeners by event, with the event's argument typed. A listener that throws does not keep the others from hearing. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(argument: never) => void>>();

  /** Returns what takes the listener off again. */
  on<E extends keyof Events>(event: E, listener: (argument: Events[E]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  emit<E extends keyof Events>(event: E, argument: Events[E]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])])
      try {
        (listener as (argument: Events[E]) => void)(argument);
      } catch (error) {
        // The fault is the listener's: it surfaces as its own, and the session goes on.
        queueMicrotask(() => {
          throw error;
        });
      }
  }
}
