/** Over how long a measure is taken, ms. */
export const WINDOW_MS = 10_000;

/** The mean of what was measured in the last window, and how fast a count rose in it. */
export class Window {
  readonly #samples: { readonly at: number; readonly value: number }[] = [];

  /** @param now ms of a clock that does not jump */
  add(value: number, now: number): void {
    this.#samples.push({ at: now, value });
    // The last one that is older is where the window begins.
    while (this.#samples.length > 2 && this.#samples[1]!.at <= now - WINDOW_MS) this.#samples.shift();
  }

  mean(): number | undefined {
    const { length } = this.#samples;
    return length === 0 ? undefined : this.#samples.reduce((sum, s) => sum + s.value, 0) / length;
  }

  min(): number | undefined {
    return this.#samples.length === 0 ? undefined : Math.min(...this.#samples.map((s) => s.value));
  }

  /** Of samples of a count that only rises: by how many it rose in a second. */
  rate(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.at === first.at) return undefined;
    return (1000 * (last.value - first.value)) / (last.at - first.at);
  }

  /** How much a count rose within the window. */
  rise(): number {
    return (this.#samples.at(-1)?.value ?? 0) - (this.#samples[0]?.value ?? 0);
  }
}
