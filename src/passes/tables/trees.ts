import type { ForestLayer } from '../../model/model.ts';
import { elementRange } from '../../model/tensor.ts';
import { SCORE_BITS } from '../../model/verify-trees.ts';
import { type Activation, constantActivation } from './activation.ts';
import type { SumLayer, TreeTable } from './program.ts';
import { codeTrees, type LeafRun } from './tree-codes.ts';

/** How the scores of a forest become sums of so many bits. */
export interface ScoreBits {
  readonly bits: number;
  /** Whether lower bits of scores may be rounded off where they do not fit; else a forest that does not fit has no layer. */
  readonly rounded: boolean;
}

/** A forest as tables, or how many bits its sums need. */
export interface LoweredForest {
  readonly layer?: SumLayer;
  /** Of sums what they stand for; of a verdict the sums that it compares. Both class and margin where no input matters. */
  readonly activations: readonly Activation[];
  readonly need: number;
  /** Of a verdict: 2^stepBits of its sums are a step of the margin. */
  readonly stepBits?: number;
}

/** Whole numbers that the leaves of trees add to sums, none of which becomes negative. */
interface Scores {
  /** By row of leaves and score. */
  readonly rows: readonly (readonly number[])[];
  readonly base: readonly number[];
  /** As in the model: bits below a step. May be a fraction where scores had a divisor in common. */
  readonly shift: number;
}

/** The largest margin that is told. */
const MOST_MARGIN = 255;

/**
 * A forest as codes of its features, then a table a tree that matches them: its leaf's row is added to all scores. Equal to the
 * reference where its sums fit.
 * @param index of the layer in the model
 */
export function lowerForest(
  forest: ForestLayer,
  index: number,
  inputs: readonly Activation[],
  { bits, rounded }: ScoreBits,
): LoweredForest {
  const ranks = inputs.map(ranksOf);
  const leaves = Array.from(forest.roots, (root) => leafRuns(forest, root, ranks));
  const given = scoresOf(forest);
  // What is compared stays below half of its bits, so that the sign of a difference is the uppermost one.
  const room = forest.result === 'verdict' ? bits - 1 : bits;
  const asking = leaves.filter((tree) => tree.length > 1);
  // Nothing is added up where no input is asked for: scores may be as large as they are.
  if (asking.length === 0) {
    const result = constantResult(forest, startOf(leaves, given), given.shift);
    return { activations: result.map(constantActivation), need: 0 };
  }
  const scores = fittingScores(leaves, given, forest.result, room, rounded);
  if (scores === undefined) return { activations: [], need: bitsOf(leaves, given) + bits - room };
  const start = startOf(leaves, scores);
  const { codes, trees } = codeTrees(asking, inputs, (feature) => ranks[feature]!.byLevel);
  const tables = trees.map(
    (tree, t): TreeTable => ({
      index: t,
      codes: tree.codes,
      rows: tree.matches.map((match) => ({
        codes: match.codes,
        values: start.map((base, s) => (t === 0 ? base : 0) + scores.rows[match.row]![s]!),
      })),
    }),
  );
  const most = largestSums(leaves, scores);
  const sums = most.map((n) => ({ base: 0, scale: 1, least: 0, most: n }));
  const layer: SumLayer = { layer: index, tables: [], trees: { codes, tables }, sums, bits };
  const activations = most.map((n, s) => resultOf(forest, index, s, n, scores.shift, bits));
  const stepBits = forest.result === 'verdict' ? Math.max(0, Math.floor(scores.shift)) : undefined;
  return { layer, activations, need: bits, ...(stepBits !== undefined && { stepBits }) };
}

/** Sums before any input is asked for: bases, and the leaves of trees that have no other. */
const startOf = (leaves: readonly (readonly LeafRun[])[], { rows, base }: Scores): number[] =>
  base.map((value, s) =>
    leaves.reduce((sum, tree) => (tree.length > 1 ? sum : sum + rows[tree[0]!.row]![s]!), value),
  );

/** q-values of an activation in order, and the place of each level's among them. */
interface Ranks {
  readonly values: readonly number[];
  readonly byLevel: readonly number[];
}

function ranksOf({ levels }: Activation): Ranks {
  const values = [...new Set(levels)].sort((a, b) => a - b);
  const places = new Map(values.map((q, rank) => [q, rank]));
  return { values, byLevel: levels.map((q) => places.get(q)!) };
}

/** The leaves that some input reaches. */
function leafRuns({ nodes }: ForestLayer, root: number, ranks: readonly Ranks[]): LeafRun[] {
  const found: LeafRun[] = [];
  const open: { node: number; runs: LeafRun['runs'] }[] = [{ node: root, runs: new Map() }];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const { node, runs } = at;
    const feature = nodes.feature[node]!;
    if (feature < 0) {
      found.push({ row: nodes.low[node]!, runs });
      continue;
    }
    const { values } = ranks[feature]!;
    const [first, last] = runs.get(feature) ?? [0, values.length - 1];
    const threshold = nodes.threshold[node]!;
    const above = values.findIndex((q) => q > threshold);
    const middle = above < 0 ? values.length : above;
    const go = (child: number, run: readonly [number, number]) =>
      open.push({
        node: child,
        runs: run[0] === first && run[1] === last ? runs : new Map(runs).set(feature, run),
      });
    if (middle <= last) go(nodes.high[node]!, [Math.max(first, middle), last]);
    if (middle > first) go(nodes.low[node]!, [first, Math.min(last, middle - 1)]);
  }
  return found;
}

/** Rows and bases as the model has them; of sums so that none is negative, by whole steps. */
function scoresOf({ scores, base, shift, result }: ForestLayer): Scores {
  const count = base.length;
  const rows = Array.from({ length: scores.length / count }, (_, r) =>
    Array.from(scores.subarray(r * count, (r + 1) * count)),
  );
  const lifted = base.map((value) =>
    result === 'verdict' ? value : value + liftOf(value, shift) * 2 ** shift,
  );
  return { rows, base: lifted, shift };
}

/** Steps by which a sum is lifted, so that its base is not negative. */
const liftOf = (base: number, shift: number): number => Math.max(0, -Math.floor(base / 2 ** shift));

/** The same but for a divisor that all numbers have in common. */
function divided({ rows, base, shift }: Scores): Scores {
  const all = [...rows.flat(), ...base];
  const divisor = all.reduce(greatestCommonDivisor, 0) || 1;
  const less = (n: number) => n / divisor;
  return { rows: rows.map((row) => row.map(less)), base: base.map(less), shift: shift - Math.log2(divisor) };
}

const greatestCommonDivisor = (a: number, b: number): number => {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
};

/** The given ones, or others that give the same verdict, or nearly the same, in so many bits. */
function fittingScores(
  leaves: readonly (readonly LeafRun[])[],
  given: Scores,
  result: ForestLayer['result'],
  bits: number,
  rounded: boolean,
): Scores | undefined {
  const fits = (scores: Scores) => bitsOf(leaves, scores) <= bits;
  if (fits(given)) return given;
  const least = result === 'verdict' ? divided(given) : given;
  if (fits(least)) return least;
  // Of sums a step has to remain one.
  const most = result === 'verdict' ? SCORE_BITS : given.shift;
  for (let off = 1; rounded && off <= most; off++) {
    const scores = roundedBy(given, off);
    if (fits(scores)) return scores;
  }
  return undefined;
}

/** The same with so many bits less. */
function roundedBy({ rows, base, shift }: Scores, off: number): Scores {
  const less = (n: number) => Math.round(n / 2 ** off);
  return { rows: rows.map((row) => row.map(less)), base: base.map(less), shift: shift - off };
}

function largestSums(leaves: readonly (readonly LeafRun[])[], { rows, base }: Scores): number[] {
  return base.map((start, s) =>
    leaves.reduce(
      (sum, tree) => sum + tree.reduce((most, { row }) => Math.max(most, rows[row]![s]!), 0),
      start,
    ),
  );
}

const bitsOf = (leaves: readonly (readonly LeafRun[])[], scores: Scores): number =>
  Math.floor(Math.log2(Math.max(1, ...largestSums(leaves, scores)))) + 1;

/** What a finished sum stands for: itself, where it is compared, else a step of the result. */
function resultOf(
  { result, base, shift: given, output }: ForestLayer,
  layer: number,
  score: number,
  most: number,
  shift: number,
  bits: number,
): Activation {
  const source = { kind: 'sum', layer, output: score } as const;
  if (result === 'verdict') return { source, bits, pieces: { starts: [0], levels: [0] }, levels: [0] };
  const { lo, hi } = elementRange(output.element);
  const lift = liftOf(base[score]!, given);
  const of = (n: number) => Math.max(lo, Math.min(hi, Math.floor(n / 2 ** shift) - lift));
  const [first, last] = [of(0), of(most)];
  const levels = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const starts = levels.map((q, i) => (i === 0 ? 0 : (q + lift) * 2 ** shift));
  return { source, bits, pieces: { starts, levels: levels.map((_, i) => i) }, levels };
}

/** The result of scores that no input changes: class and margin, or what each sum stands for. */
function constantResult(
  { result, base, output, shift: given }: ForestLayer,
  sums: readonly number[],
  shift: number,
): number[] {
  if (result === 'sums') {
    const { lo, hi } = elementRange(output.element);
    return sums.map((n, s) =>
      Math.max(lo, Math.min(hi, Math.floor(n / 2 ** shift) - liftOf(base[s]!, given))),
    );
  }
  const best = sums.indexOf(Math.max(...sums));
  const second = Math.max(...sums.filter((_, s) => s !== best));
  return [best, Math.min(MOST_MARGIN, Math.floor((sums[best]! - second) / 2 ** shift))];
}
