/** Runs pieces of work one after the other: no Read sees half a Write (section "Parallelization of Read and Write Requests"). */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    // Its error is told to whoever waits for it, and keeps nobody else.
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Resolves when all that was begun is done. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
