import { diagnostic, refuse } from '../../../diagnostics/index.ts';
import { elementCount, elementRange, type TensorType } from '../../../model/tensor.ts';
import { SCORE_BITS } from '../../../model/verify-trees.ts';
import type { Activation } from '../../builder.ts';
import { type Forest, lowerSums, lowerVotes, type TreeNode } from '../../lower/trees.ts';
import { onGrid } from '../materialise.ts';
import type { NodeReader } from '../node-reader.ts';
import { gridOver } from '../ranges.ts';
import { type Ensemble, type EnsembleNode, readEnsemble, readGeneralEnsemble } from '../tree-ensemble.ts';
import type { FloatInput, Value } from '../values.ts';

/** Classes by the votes of trees. The label alone is imported, as a verdict: probabilities are what it is the largest of. */
export function treeEnsembleClassifier(c: NodeReader): readonly Value[] {
  // They change the scores, but never which one is the largest.
  c.ignore('post_transform');
  const ensemble = readEnsemble(c, 'class');
  const labels = labelsOf(c);
  const scores = labels.length === 2 ? binaryScores(c, ensemble) : comparedScores(c, ensemble, labels.length);
  const { input, trees } = onFeatures(c, ensemble);
  const { scaled, base, bits } = wholeScores(c, scores);
  // The greatest distance that there can be, in 255 steps.
  const greatest = Math.max(...base) + trees.reduce((sum, _, t) => sum + greatestOf(scaled[t]!), 0);
  const shift = Math.max(0, Math.ceil(Math.log2(Math.max(1, greatest / 255))));
  const forest = { trees: withScores(trees, scaled), base, shift };
  c.builder.classes = labels.every((label, i) => label === String(i)) ? undefined : labels;
  c.builder.diagnostics.push(
    diagnostic('forest-verdict', { trees: trees.length, step: 2 ** (shift - bits) }, c.place()),
  );
  const activation = lowerVotes(c.builder, c.name, input, forest);
  return [
    { kind: 'quantised', activation },
    { kind: 'quantised', activation },
  ];
}

/** Sums or averages of trees, on a grid of 8 bits. */
export function treeEnsembleRegressor(c: NodeReader): Value {
  const post = c.string('post_transform', 'NONE');
  if (post !== 'NONE') c.refuseAttribute('post_transform', post, 'NONE');
  const aggregate = c.string('aggregate_function', 'SUM');
  if (aggregate !== 'SUM' && aggregate !== 'AVERAGE')
    c.refuseAttribute('aggregate_function', aggregate, 'SUM or AVERAGE');
  return sumsOf(c, readEnsemble(c, 'target'), c.int('n_targets', 1), aggregate === 'AVERAGE');
}

/** The operator that newer files have for all sums of trees. */
export function treeEnsemble(c: NodeReader): Value {
  const { targets, average, ...ensemble } = readGeneralEnsemble(c);
  return sumsOf(c, ensemble, targets, average);
}

function sumsOf(c: NodeReader, ensemble: Ensemble, targets: number, average: boolean): Value {
  const parts = manyScores(c, ensemble, targets);
  const share = average ? 1 / ensemble.trees.length : 1;
  const leaves = parts.leaves.map((tree) => tree.map((row) => row.map((value) => value * share)));
  const { input, trees } = onFeatures(c, ensemble);
  const ends = (end: 0 | 1) =>
    parts.base.map((value, s) =>
      leaves.reduce((sum, tree) => sum + endsOf(tree.map((row) => row[s]!))[end], value),
    );
  const range = c.builder.options.outputRange ?? [endsOf(ends(0))[0], endsOf(ends(1))[1]];
  const grid = gridOver(range);
  const args = { tensor: c.node.output[0] ?? c.name, element: grid.element, scale: grid.scale };
  c.builder.diagnostics.push(diagnostic('onnx-end-grid', args, c.place()));
  const shift = SUM_BITS;
  const whole = (value: number) => Math.round((value / grid.scale) * 2 ** shift);
  const scaled = leaves.map((tree) => tree.map((row) => row.map(whole)));
  const base = parts.base.map((value) => whole(value) + (grid.zeroPoint + 0.5) * 2 ** shift);
  const activation = lowerSums(
    c.builder,
    c.name,
    input,
    { trees: withScores(trees, scaled), base, shift },
    grid,
  );
  return { kind: 'quantised', activation };
}

/** Bits below a step of the result: what is lost of a leaf is nothing beside it. */
const SUM_BITS = 36;

/** Leaves as rows of scores, a tree after the other, before they are whole numbers. */
interface Scores {
  readonly leaves: readonly (readonly (readonly number[])[])[];
  readonly base: readonly number[];
}

function labelsOf(c: NodeReader): readonly string[] {
  const names = c.strings('classlabels_strings');
  const numbers = c.ints('classlabels_int64s');
  const labels = names ?? numbers?.map(String) ?? [];
  if (labels.length < 2 || labels.length > 256)
    c.refuseAttribute(
      names ? 'classlabels_strings' : 'classlabels_int64s',
      `${labels.length} labels`,
      '2 to 256',
    );
  return labels;
}

/** Scores of which the largest counts: one that nothing adds to is none to ONNX Runtime, and not 0, where others are negative. */
function comparedScores(c: NodeReader, ensemble: Ensemble, count: number): Scores {
  const scores = manyScores(c, ensemble, count);
  const { leaves } = ensemble;
  if (leaves.flat(2).some(({ weight }) => weight < 0))
    for (let s = 0; s < count; s++)
      if (!leaves.some((tree) => tree.every((leaf) => leaf.some(({ id }) => id === s))))
        refuse('forest-unscored', { score: s }, c.place());
  return scores;
}

function manyScores(c: NodeReader, ensemble: Ensemble, count: number): Scores {
  const { leaves, base } = ensemble;
  if (base.length !== 0 && base.length !== count)
    c.refuseAttribute('base_values', `${base.length} values`, `none or ${count}`);
  const wrong = leaves.flat(2).find(({ id }) => id < 0 || id >= count);
  if (wrong !== undefined)
    refuse('onnx-malformed', { reason: `a leaf adds to score ${wrong.id} of ${count}` }, c.place());
  const rows = leaves.map((tree) =>
    tree.map((leaf) => {
      const row = new Array<number>(count).fill(0);
      for (const { id, weight } of leaf) row[id]! += weight;
      return row;
    }),
  );
  return { leaves: rows, base: base.length === 0 ? new Array<number>(count).fill(0) : base };
}

/**
 * Two classes: ONNX Runtime compares one number with a half, where all weights are positive and of one class, and with zero
 * else; a base is added to the first class's number alone. The first score here is what it compares with, the second the number.
 */
function binaryScores(c: NodeReader, { leaves, base }: Ensemble): Scores {
  const all = leaves.flat(2);
  const ids = new Set(all.map(({ id }) => id));
  const one = ids.size === 1;
  const decisive = one ? [...ids][0]! : 1;
  if (base.length > 1)
    c.refuseAttribute('base_values', `${base.length} values`, 'none or one, of two classes');
  if (!one && !leaves.some((tree) => tree.every((leaf) => leaf.some(({ id }) => id === decisive))))
    refuse('forest-unscored', { score: decisive }, c.place());
  if (!one) c.builder.diagnostics.push(diagnostic('forest-two-scores', {}, c.place()));
  const half = one && all.every(({ weight }) => weight >= 0) ? 0.5 : 0;
  const rows = leaves.map((tree) =>
    tree.map((leaf) => {
      const sum = leaf.reduce((total, { id, weight }) => (id === decisive ? total + weight : total), 0);
      return [0, sum];
    }),
  );
  return { leaves: rows, base: [half, decisive === 0 ? (base[0] ?? 0) : 0] };
}

/** Scores times a power of two: whole numbers, if there are bits enough for all that they are. */
function wholeScores(
  c: NodeReader,
  { leaves, base }: Scores,
): { scaled: number[][][]; base: number[]; bits: number } {
  const values = [...leaves.flat(2), ...base];
  const most =
    leaves.reduce((sum, tree) => sum + endsOf(tree.flat().map(Math.abs))[1], 0) +
    Math.max(...base.map(Math.abs));
  if (!Number.isFinite(most)) refuse('onnx-malformed', { reason: 'a weight is not finite' }, c.place());
  const room = SCORE_BITS - 2 - Math.ceil(Math.log2(Math.max(most, 2 ** -900)));
  const need = values.reduce((bits, value) => Math.max(bits, fractionBits(value)), 0);
  const bits = Math.min(need, room);
  if (bits < need) c.builder.diagnostics.push(diagnostic('forest-rounded', { bits: SCORE_BITS }, c.place()));
  const whole = (value: number) => Math.round(value * 2 ** bits);
  return {
    scaled: leaves.map((tree) => tree.map((row) => row.map(whole))),
    base: base.map(whole),
    bits,
  };
}

/** Bits behind the point that a number has. */
function fractionBits(value: number): number {
  let bits = 0;
  for (let rest = value; !Number.isInteger(rest); bits++) rest *= 2;
  return bits;
}

/** Least and greatest of any number of values: more than a call takes arguments. */
const endsOf = (values: readonly number[]): readonly [least: number, greatest: number] =>
  values.reduce(([lo, hi], value) => [Math.min(lo, value), Math.max(hi, value)] as const, [
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ] as const);

const greatestOf = (rows: readonly (readonly number[])[]): number => {
  const [least, greatest] = endsOf(rows.flat());
  return greatest - least;
};

/** A tree over the integers of the input, its leaves numbered in the order of the rows. */
type Split = Exclude<TreeNode, { readonly scores: readonly number[] }> | { readonly leaf: number };

const withScores = (
  trees: readonly (readonly Split[])[],
  rows: readonly (readonly (readonly number[])[])[],
): Forest['trees'] =>
  trees.map((tree, t) => tree.map((node) => ('leaf' in node ? { scores: rows[t]![node.leaf]! } : node)));

/** A leaf, or a node that parts the integers: how, as `sides` says. */
interface Parted {
  readonly node: EnsembleNode;
  readonly first?: boolean;
  readonly count?: number;
}

/** The input's integers, and the trees over them. */
function onFeatures(
  c: NodeReader,
  ensemble: Ensemble,
): { input: Activation; trees: readonly (readonly Split[])[] } {
  const x = c.input(0);
  const input = x.kind === 'floatInput' ? featureGrid(c, ensemble, x) : integersOf(c, x);
  const affine = x.kind === 'floatInput' ? x.affine : undefined;
  const { type } = input;
  const features = elementCount(type.shape);
  const realsAt = realsByFeature(realsOf(type, ensemble.single), affine);
  let coinciding = 0;
  /** The node, or the first below it that parts integers. */
  const splitFrom = (nodes: readonly EnsembleNode[], t: number, at: number): Parted => {
    for (let node = nodes[at]!; ; coinciding++) {
      if (node.leaf !== undefined) return { node };
      if (node.feature >= features)
        refuse(
          'onnx-malformed',
          { reason: `node ${node.id} of tree ${t} reads feature ${node.feature} of ${features}` },
          c.place(),
        );
      const xs = realsAt(node.feature);
      const { first, count } = sides(xs, node);
      if (count > 0 && count < xs.length) return { node, first, count };
      // Whatever the element, the same side: there is no split.
      node = nodes[first === count > 0 ? node.yes : node.no]!;
    }
  };
  const { lo } = elementRange(type.element);
  const trees = ensemble.trees.map((nodes, t) => {
    const splits: Split[] = [];
    // Without recursion: a tree may be one long chain.
    const open: { readonly at: number; readonly link?: (place: number) => void }[] = [{ at: 0 }];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const { node, first, count = 0 } = splitFrom(nodes, t, next.at);
      next.link?.(splits.length);
      if (node.leaf !== undefined) {
        splits.push({ leaf: node.leaf });
        continue;
      }
      const split = { feature: node.feature, threshold: lo + count - 1, low: 0, high: 0 };
      const [below, above] = first ? [node.yes, node.no] : [node.no, node.yes];
      splits.push(split);
      open.push(
        { at: above, link: (place) => (split.high = place) },
        { at: below, link: (place) => (split.low = place) },
      );
    }
    return splits;
  });
  if (coinciding > 0)
    c.builder.diagnostics.push(diagnostic('forest-no-split', { count: coinciding }, c.place()));
  return { input, trees };
}

function integersOf(c: NodeReader, x: Value): Activation {
  if (x.kind === 'quantised') return x.activation;
  if (x.kind === 'real') return onGrid(c, x, 0);
  return c.refuseFloat(0, 'trees read the input of the graph, or integers on a grid');
}

/** Real value of each integer of the type, ascending. */
const realsOf = ({ element, scale, zeroPoint }: TensorType, single: boolean): number[] => {
  const { lo, hi } = elementRange(element);
  const step = Number.isNaN(scale) ? 1 : scale;
  const real = (q: number) => (q - zeroPoint) * step;
  return Array.from({ length: hi - lo + 1 }, (_, i) => (single ? Math.fround(real(lo + i)) : real(lo + i)));
};

/** What each integer is to the trees: scaled by feature, if a scaler stands before them. Found once a feature. */
function realsByFeature(
  reals: readonly number[],
  affine: FloatInput['affine'],
): (feature: number) => readonly number[] {
  if (affine === undefined) return () => reals;
  const known = new Map<number, readonly number[]>();
  return (feature) => {
    const there = known.get(feature);
    if (there !== undefined) return there;
    const [factor, offset] = [Math.fround(affine.factors[feature]!), Math.fround(affine.offsets[feature]!)];
    const made = reals.map((x) => Math.fround(Math.fround(x * factor) + offset));
    known.set(feature, made);
    return made;
  };
}

/**
 * How the integers, ascending, are parted: `count` of them below and the rest above; `first`: those below go to the node's
 * `yes`.
 */
function sides(xs: readonly number[], node: EnsembleNode): { first: boolean; count: number } {
  const goes = xs.map((x) => holds(node, x));
  const first = goes[0]!;
  const end = goes.indexOf(!first);
  return { first, count: end < 0 ? xs.length : end };
}

function holds({ mode, value }: EnsembleNode, x: number): boolean {
  switch (mode) {
    case 'BRANCH_LEQ':
      return x <= value;
    case 'BRANCH_LT':
      return x < value;
    case 'BRANCH_GTE':
      return x >= value;
    case 'BRANCH_GT':
      return x > value;
  }
}

/**
 * The grid of a float input: whole numbers of 8 bits, if every threshold parts them; of the range that is named otherwise.
 */
function featureGrid(c: NodeReader, ensemble: Ensemble, x: FloatInput): Activation {
  if (x.sources !== undefined || x.pooled !== undefined)
    return c.refuseFloat(0, 'the input is moved before the trees read it');
  const { inputRange } = c.builder.options;
  if (inputRange !== undefined) return c.builder.setInput({ ...gridOver(inputRange), shape: [...x.shape] });
  const nodes = ensemble.trees.flatMap((tree, t) => tree.map((node) => ({ node, tree: t })));
  let fault: { readonly node: EnsembleNode; readonly tree: number } | undefined;
  for (const element of ['uint8', 'int8'] as const) {
    const type = { element, shape: [...x.shape], scale: 1, zeroPoint: 0 };
    const realsAt = realsByFeature(realsOf(type, ensemble.single), x.affine);
    const outside = nodes.find(({ node }) => {
      if (node.leaf !== undefined || node.feature >= elementCount(x.shape)) return false;
      const xs = realsAt(node.feature);
      return sides(xs, node).count === xs.length;
    });
    if (outside === undefined) return c.builder.setInput(type);
    fault ??= outside;
  }
  const { node, tree } = fault!;
  return refuse(
    'forest-threshold',
    { tree, node: node.id, feature: node.feature, threshold: node.value },
    c.place(),
  );
}
