/** Who answered a row. The network turns a packet round by swapping its addresses: only a flag tells it from a worker. */
export const answeredBy = { nobody: 0, network: 1, worker: 2, large: 3 } as const;

/** Milliseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** What became of the rows of one call, and of the packets that carried them. */
export interface SendStatistics {
  readonly rows: number;
  readonly answered: number;
  /** Rows without an answer: all retries used up, or refused for a reason that a retry does not change. */
  readonly lost: number;
  /** Packets sent, those sent again and fragments included. */
  readonly sent: number;
  /** Times that a row was sent again. */
  readonly retried: number;
  /** Times that a row was sent again because the worker first wanted to know that its sender listens. */
  readonly challenged: number;
  /** Answers to rows that had one already; the first counts. */
  readonly duplicates: number;
  /** Those of them that say something else than the first. */
  readonly differing: number;
  /** Packets that are no answer to any of these rows. */
  readonly strays: number;
  /** Error packets by the reason that they give. */
  readonly errors: Readonly<Record<string, number>>;
  /** Answers by who made them; `large` is the larger model behind an early exit. */
  readonly by: { readonly network: number; readonly worker: number; readonly large: number };
  /** Answers by the version of the weights. */
  readonly versions: Readonly<Record<string, number>>;
  /** From the first packet sent to the last answer. */
  readonly seconds: number;
  readonly packetsPerSecond: number;
  readonly answersPerSecond: number;
  /** From the first time that a row was sent to its answer; 0 without answers. */
  readonly latencyMs: Latency;
  /** The same of the answers of each; of none all 0. */
  readonly latencyMsBy: { readonly network: Latency; readonly worker: Latency; readonly large: Latency };
  /** Longest time between an answer and the next. */
  readonly longestPauseMs: number;
}

/** Smallest element that at least this share of them does not exceed; 0 of none. @pre ascending */
export const percentile = (sorted: Float64Array, share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;

/** @pre ascending */
export const latencyOf = (sorted: Float64Array): Latency => ({
  p50: percentile(sorted, 0.5),
  p99: percentile(sorted, 0.99),
  max: percentile(sorted, 1),
});
