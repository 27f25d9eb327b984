import { z } from 'zod';

/**
 * What those who answer, or hear the answer, count of one version of a model: answers by how long they took, what failed, and the margins of
 * verdicts. All counts begin at 0 with their process and only rise; whoever reads them takes differences.
 */

const [LEAST_US, STEPS_OF_TWO, MOST_BUCKETS] = [50, 4, 72] as const;

/** Upper ends of the buckets of latencies, us: each is a fourth root of 2 above the one before. One more bucket is open. */
export const latencyBoundsUs: readonly number[] = Array.from(
  { length: MOST_BUCKETS - 1 },
  (_, i) => LEAST_US * 2 ** (i / STEPS_OF_TWO),
);

/** Bucket of a latency. */
const bucketOf = (us: number): number =>
  us <= LEAST_US ? 0 : Math.min(MOST_BUCKETS - 1, Math.ceil(STEPS_OF_TWO * Math.log2(us / LEAST_US)));

const count = z.int().min(0);
const sum = z.number().min(0);

/** Counts of answers since somebody began to count; buckets of latencies are those of `latencyBoundsUs`. */
export const measuresSchema = z.object({
  answered: count,
  failed: count.describe('Requests that were taken on and got no answer'),
  latency: z.array(count).max(MOST_BUCKETS).describe('Answers by bucket, the empty ones at the end left out'),
  latencyUs: sum.describe('Sum of all latencies'),
  margins: count.describe('Answers that were verdicts'),
  marginSum: sum.describe('Of their margins'),
});
/** As a worker's door and an edge report them. */
export type Measures = z.infer<typeof measuresSchema>;

/** Counts of one version as they rise. */
export class VersionMeasures {
  #answered = 0;
  #failed = 0;
  readonly #latency = new Float64Array(MOST_BUCKETS);
  #latencyUs = 0;
  #margins = 0;
  #marginSum = 0;

  /** @param margin of a verdict */
  answer(us: number, margin?: number): void {
    this.#answered++;
    this.#latency[bucketOf(us)]!++;
    this.#latencyUs += us;
    if (margin === undefined) return;
    this.#margins++;
    this.#marginSum += margin;
  }

  fail(rows = 1): void {
    this.#failed += rows;
  }

  get answered(): number {
    return this.#answered;
  }

  document(): Measures {
    const last = this.#latency.findLastIndex((n) => n > 0);
    return {
      answered: this.#answered,
      failed: this.#failed,
      latency: [...this.#latency.subarray(0, last + 1)],
      latencyUs: Math.round(this.#latencyUs),
      margins: this.#margins,
      marginSum: this.#marginSum,
    };
  }
}

/** How much a worker has to do. */
export const workerLoadSchema = z.object({
  queue: count.describe('Rows that wait'),
  busy: z.number().min(0).max(1).describe('Share of the last second in which the process was at work'),
  waitUs: sum.describe('Longest time that a row had to wait in the last second'),
  isOverloaded: z.boolean().describe('Rows wait longer than they should, for some time'),
  refused: z.record(z.string().max(40), count).describe('Requests answered by an error, by reason'),
});
/** As a worker's door reports it, beside what it measured of each version. */
export type WorkerLoad = z.infer<typeof workerLoadSchema>;
