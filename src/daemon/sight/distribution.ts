import { latencyBoundsUs, type Measures } from '../../doors/measures.ts';

/** What was measured of one version of a model, by all that measured it, in some time. */
export interface Measured {
  readonly answered: number;
  readonly failed: number;
  /** Answers by bucket of their latency. */
  readonly latency: readonly number[];
  readonly latencyUs: number;
  readonly margins: number;
  readonly marginSum: number;
}

/** Of nobody heard of. */
export const NOTHING: Measured = {
  ...{ answered: 0, failed: 0, latency: [], latencyUs: 0, margins: 0, marginSum: 0 },
};

/** Sums of counts, bucket by bucket. */
export const together = (all: readonly Measured[]): Measured =>
  all.reduce(
    (a, b) => ({
      answered: a.answered + b.answered,
      failed: a.failed + b.failed,
      latency: Array.from(
        { length: Math.max(a.latency.length, b.latency.length) },
        (_, i) => (a.latency[i] ?? 0) + (b.latency[i] ?? 0),
      ),
      latencyUs: a.latencyUs + b.latencyUs,
      margins: a.margins + b.margins,
      marginSum: a.marginSum + b.marginSum,
    }),
    NOTHING,
  );

/** What has come since `before`; what fell began anew. */
export const since = (now: Measured, before: Measured): Measured => {
  const rise = (a: number, b: number) => (a < b ? a : a - b);
  return {
    answered: rise(now.answered, before.answered),
    failed: rise(now.failed, before.failed),
    latency: now.latency.map((n, i) => rise(n, before.latency[i] ?? 0)),
    latencyUs: rise(now.latencyUs, before.latencyUs),
    margins: rise(now.margins, before.margins),
    marginSum: rise(now.marginSum, before.marginSum),
  };
};

/** Latency that this share of answers did not exceed, us: on a straight line within its bucket. Undefined without answers. */
export function quantileUs({ latency }: Pick<Measured, 'latency'>, share: number): number | undefined {
  const all = latency.reduce((sum, n) => sum + n, 0);
  if (all === 0) return undefined;
  const wanted = share * all;
  let seen = 0;
  for (const [i, n] of latency.entries()) {
    if (n === 0 || seen + n < wanted) {
      seen += n;
      continue;
    }
    const from = lowerBoundUs(i);
    // The last bucket is open: nothing more is known of it.
    const to = latencyBoundsUs[i] ?? from;
    return from + ((to - from) * Math.max(0, wanted - seen)) / n;
  }
  return latencyBoundsUs.at(-1);
}

/** Where a bucket of latencies begins, us. */
export const lowerBoundUs = (bucket: number): number => latencyBoundsUs[bucket - 1] ?? 0;

/** Requests that were answered, or were not. */
export const requestsOf = ({ answered, failed }: Measured): number => answered + failed;

/** Failures of all requests, 0 to 1; 0 where there were none. */
export const errorShare = (measured: Measured): number => measured.failed / Math.max(1, requestsOf(measured));

/** Undefined where no answer was a verdict. */
export const meanMargin = ({ margins, marginSum }: Measured): number | undefined =>
  margins === 0 ? undefined : marginSum / margins;

/** Measures as counts by name, and back; the name of a version is `MODEL/VERSION`. */
export function* countsOf(version: string, m: Measures): Generator<readonly [string, number]> {
  yield [`${version}/answered`, m.answered];
  yield [`${version}/failed`, m.failed];
  yield [`${version}/latencyUs`, m.latencyUs];
  yield [`${version}/margins`, m.margins];
  yield [`${version}/marginSum`, m.marginSum];
  for (const [i, n] of m.latency.entries()) if (n > 0) yield [`${version}/us/${i}`, n];
}

/** Measures of a version, from counts by their names (`countsOf`). */
export const measuredBy = (version: string, count: (name: string) => number): Measured => ({
  answered: count(`${version}/answered`),
  failed: count(`${version}/failed`),
  latency: Array.from({ length: latencyBoundsUs.length + 1 }, (_, i) => count(`${version}/us/${i}`)),
  latencyUs: count(`${version}/latencyUs`),
  margins: count(`${version}/margins`),
  marginSum: count(`${version}/marginSum`),
});
