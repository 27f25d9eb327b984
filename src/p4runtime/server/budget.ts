/** An amount of something that many share. */
export class Budget {
  readonly #most: number;
  #used = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get used(): number {
    return this.#used;
  }

  /** @returns false where it does not do; nothing is taken then */
  take(amount: number): boolean {
    if (this.#used + amount > this.#most) return false;
    this.#used += amount;
    return true;
  }

  give(amount: number): void {
    this.#used -= amount;
  }
}
