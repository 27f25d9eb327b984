import { z } from 'zod';

/**
 * Metrics as draft-ietf-cats-metric-definition has them: raw ones at level 0, scores of 0 to 10 by category at level 1, and one score at
 * level 2. The numbers of types and sources on the wire are those of this file.
 */

/** Where a value comes from; its place here is its number on the wire. */
export const sources = [
  'nominal',
  'estimation',
  'directly measured',
  'normalization',
  'aggregation',
] as const;
/** Over the window of a metric; `cur` is the last value. */
export const statistics = ['max', 'min', 'mean', 'cur'] as const;
/** How the value of a metric is written. */
export const formats = ['uint', 'double'] as const;

/** What is told of a node at level 0, in which unit. */
export const levelZeroTypes = {
  compute_utilization: { unit: 'percent', category: 'compute' },
  compute_queue: { unit: 'rows', category: 'compute' },
  compute_memory_free: { unit: 'bytes', category: 'compute' },
  communication_delay: { unit: 'us', category: 'communication' },
  service_rate: { unit: 'inferences/s', category: 'service' },
  service_refused: { unit: 'percent', category: 'service' },
  composed_delay: { unit: 'us', category: 'composed' },
} as const;
/** A raw metric that is measured here; its unit and category are in `levelZeroTypes`. */
export type LevelZeroType = keyof typeof levelZeroTypes;

/** Of raw metrics and of scores (CATS metric definition). */
export const categories = ['compute', 'communication', 'service', 'composed'] as const;
/** Which side of a node a raw metric or a score is about. */
export type Category = (typeof categories)[number];

/** Types on the wire: the categories of level 1, then the one of level 2. */
export const scoreTypes = [...categories, 'total'] as const;
type ScoreType = (typeof scoreTypes)[number];

/** A metric with the draft's fields, under its names. */
export const metricSchema = z.object({
  metric_type: z.string(),
  level: z.int().min(0).max(2),
  format: z.enum(formats),
  /** Encoding of a number that is no integer. */
  format_std: z.literal('IEEE 754').optional(),
  /** Octets of the value. */
  length: z.int().min(1).max(8),
  unit: z.string(),
  source: z.enum(sources),
  statistics: z.enum(statistics).optional(),
  value: z.number(),
});
/** One metric of any level, as the API and the CATS documents have it. */
export type Metric = z.infer<typeof metricSchema>;

/** A raw one, as a double. */
export const levelZero = (
  type: LevelZeroType,
  value: number,
  how: {
    readonly source: 'directly measured' | 'estimation';
    readonly statistics: (typeof statistics)[number];
  },
): Metric => ({
  metric_type: type,
  level: 0,
  format: 'double',
  format_std: 'IEEE 754',
  length: 8,
  unit: levelZeroTypes[type].unit,
  ...how,
  value,
});

/** A score of level 1 or 2. @pre `value` is a whole number from 0 to 10 */
export const score = (type: ScoreType, value: number): Metric => ({
  metric_type: type,
  level: type === 'total' ? 2 : 1,
  format: 'uint',
  length: 1,
  unit: 'score',
  source: type === 'total' ? 'aggregation' : 'normalization',
  value,
});

const WIDTHS = { type: 8, level: 2, format: 1, length: 3, value: 8, source: 3 } as const;

/** Bits of a score on the wire. */
export const SCORE_BITS = Object.values(WIDTHS).reduce((a, b) => a + b, 0);

/** A score in its 25 bits: type, level, format, length less one, value, source; the type in the highest. */
export function encodeScore(metric: Metric): number {
  const fields = {
    type: scoreTypes.indexOf(metric.metric_type as ScoreType) + 1,
    level: metric.level,
    format: formats.indexOf(metric.format),
    length: metric.length - 1,
    value: metric.value,
    source: sources.indexOf(metric.source),
  };
  if (fields.type === 0 || metric.level === 0) throw new Error(`${metric.metric_type} is no score`);
  return Object.entries(WIDTHS).reduce(
    (bits, [name, width]) => bits * 2 ** width + fields[name as keyof typeof fields],
    0,
  );
}

/** The score of 25 bits; undefined where they are none. */
export function decodeScore(bits: number): Metric | undefined {
  if (!Number.isInteger(bits) || bits < 0 || bits >= 2 ** SCORE_BITS) return undefined;
  let rest = bits;
  const take = (width: number): number => {
    const value = rest % 2 ** width;
    rest = Math.floor(rest / 2 ** width);
    return value;
  };
  const [source, value, length, format, level, type] = Object.values(WIDTHS).reverse().map(take);
  const known = scoreTypes[type! - 1];
  if (known === undefined || value! > 10) return undefined;
  const expected = score(known, value!);
  const isSame =
    expected.level === level &&
    formats[format!] === expected.format &&
    length! + 1 === expected.length &&
    sources[source!] === expected.source;
  return isSame ? expected : undefined;
}
