/** One way in that somebody may try, against the real part. */
export interface Attack {
  readonly name: string;
  /** What is done, and what must not happen. */
  readonly what: string;
  /** Why it cannot be run on this machine, if so. */
  readonly lacks?: () => string | undefined;
  run(o: AttackOptions): Promise<Outcome>;
}

export interface AttackOptions {
  readonly seed: number;
  /** Share of the usual amount: 1 is minutes. */
  readonly scale: number;
}

export interface Outcome {
  readonly figures: Readonly<Record<string, number>>;
  /** What must not have happened, and did; empty where the attack was held off. */
  readonly faults: readonly string[];
}

/** Faults that are told of one attack: the rest is more of the same. */
export const MOST_FAULTS = 10;
