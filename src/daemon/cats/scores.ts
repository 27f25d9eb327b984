import {
  type Category,
  categories,
  type LevelZeroType,
  levelZeroTypes,
  type Metric,
  score,
} from './metric.ts';

/**
 * Normalisation `linear-clamped`: 10 at `best` and beyond, 0 at `worst` and beyond, and a straight line between. It is the only one, so that
 * scores of all nodes can be compared.
 */
export const NORMALISATION = 'linear-clamped';

/** Where each raw metric is at its best and at its worst. A rate says nothing by itself: a node that nobody asks has none. */
const bounds: Readonly<Record<LevelZeroType, { readonly best: number; readonly worst: number } | undefined>> =
  {
    compute_utilization: { best: 0, worst: 100 },
    compute_queue: { best: 0, worst: 4096 },
    compute_memory_free: { best: 2 ** 28, worst: 0 },
    communication_delay: { best: 0, worst: 20_000 },
    service_rate: undefined,
    service_refused: { best: 0, worst: 50 },
    composed_delay: { best: 0, worst: 50_000 },
  };

/** 0 to 10, not rounded; undefined of what is neither better nor worse. */
export function normalised(type: LevelZeroType, value: number): number | undefined {
  const range = bounds[type];
  if (range === undefined || !Number.isFinite(value)) return undefined;
  const share = (range.worst - value) / (range.worst - range.best);
  return 10 * Math.max(0, Math.min(1, share));
}

/** How several scores become one, by name. `worst-of`: a node is as good as what it has least of. */
export const aggregations = {
  'worst-of': (scores: readonly number[]) => Math.min(...scores),
  mean: (scores: readonly number[]) => scores.reduce((a, b) => a + b, 0) / scores.length,
} as const;
/** Name of the way in which several scores of a node become one. */
export type Aggregation = keyof typeof aggregations;

/** What a score recommends, in the draft's words. */
export const recommendationOf = (value: number): 'not recommended' | 'optional' | 'priority' =>
  value <= 3 ? 'not recommended' : value <= 7 ? 'optional' : 'priority';

/** Scores by category and of all, not rounded; a category of which nothing is known has none. */
export interface RawScores {
  readonly byCategory: ReadonlyMap<Category, number>;
  readonly total: number | undefined;
}

/** A score by category, of metrics at level 0; categories without a metric have none. */
export function rawScores(metrics: readonly Metric[], aggregation: Aggregation): RawScores {
  const combine = aggregations[aggregation];
  const byCategory = new Map<Category, number>();
  for (const category of categories) {
    const scores = metrics.flatMap(({ metric_type, value }) => {
      const type = metric_type as LevelZeroType;
      return levelZeroTypes[type]?.category === category ? (normalised(type, value) ?? []) : [];
    });
    if (scores.length > 0) byCategory.set(category, combine(scores));
  }
  const all = [...byCategory.values()];
  return { byCategory, total: all.length === 0 ? undefined : combine(all) };
}

/** Share of what is new in what is told: the rest is what was told before. */
const DAMPING = 0.5;

/** A score is told anew when it has moved by so much. */
const THRESHOLD = 0.75;

/** The scores of one node as they are told: damped, and only when they have moved. */
export class DampedScores {
  readonly #aggregation: Aggregation;
  readonly #smooth = new Map<string, number>();
  readonly #told = new Map<string, number>();

  constructor(aggregation: Aggregation) {
    this.#aggregation = aggregation;
  }

  /** Takes the raw metrics of a window. @returns the scores where one of them is another than was told, else undefined */
  update(metrics: readonly Metric[]): readonly Metric[] | undefined {
    const { byCategory, total } = rawScores(metrics, this.#aggregation);
    const now = new Map<string, number>(byCategory);
    if (total !== undefined) now.set('total', total);
    let hasMoved = false;
    for (const [type, value] of now) {
      const before = this.#smooth.get(type);
      const smooth = before === undefined ? value : before + DAMPING * (value - before);
      this.#smooth.set(type, smooth);
      const told = this.#told.get(type);
      if (told !== undefined && Math.abs(smooth - told) < THRESHOLD) continue;
      this.#told.set(type, Math.round(smooth));
      hasMoved = true;
    }
    return hasMoved ? this.scores() : undefined;
  }

  /** As they were told last. */
  scores(): readonly Metric[] {
    return [...categories, 'total' as const].flatMap((type) => {
      const value = this.#told.get(type);
      return value === undefined ? [] : [score(type, value)];
    });
  }
}
