/** What decides between two labels at the same state. */
export interface Comparable {
  readonly primary: number;
  readonly secondary: number;
  readonly tie: number;
  readonly ps: number;
  /** What was used of each watched capacity, as far as it matters. */
  readonly usage: readonly number[];
}

/** Labels that were taken up, by state. */
export class Settled {
  readonly #ordered: boolean;
  readonly #leastPs: Float64Array;
  readonly #labels = new Map<number, Comparable[]>();

  /** @param ordered labels of a state come in the order of the objective: of those that came, none is worse in it */
  constructor(states: number, ordered: boolean) {
    this.#ordered = ordered;
    this.#leastPs = new Float64Array(states).fill(Number.POSITIVE_INFINITY);
  }

  /** Whether any label was taken up there. */
  has(state: number): boolean {
    return this.#leastPs[state]! < Number.POSITIVE_INFINITY;
  }

  /** Whether a label is no worse in the objective, no later, and has used no more of anything. */
  dominates(state: number, label: Comparable): boolean {
    if (this.#leastPs[state]! > label.ps) return false;
    if (this.#ordered && label.usage.length === 0) return true;
    return this.#labels.get(state)!.some((known) => isNoWorse(known, label));
  }

  add(state: number, label: Comparable): void {
    this.#leastPs[state] = Math.min(this.#leastPs[state]!, label.ps);
    if (this.#ordered && label.usage.length === 0) return;
    const known = this.#labels.get(state);
    if (known === undefined) this.#labels.set(state, [label]);
    else known.push(label);
  }
}

function isNoWorse(a: Comparable, b: Comparable): boolean {
  if (a.ps > b.ps || a.primary > b.primary) return false;
  if (a.primary === b.primary) {
    if (a.secondary > b.secondary) return false;
    if (a.secondary === b.secondary && a.tie > b.tie) return false;
  }
  for (let k = 0; k < a.usage.length; k++) if (a.usage[k]! > b.usage[k]!) return false;
  return true;
}
