/** Metrics of computing-aware traffic steering (CATS). */
export {
  decodeScore,
  encodeScore,
  type LevelZeroType,
  levelZero,
  type Metric,
  metricSchema,
  SCORE_BITS,
  score,
} from './metric.ts';
export {
  type Aggregation,
  aggregations,
  DampedScores,
  NORMALISATION,
  normalised,
  recommendationOf,
} from './scores.ts';
export { WINDOW_MS, Window } from './window.ts';
