import type { ForestLayer } from '../../model/model.ts';
import { elementCount, elementRange } from '../../model/tensor.ts';
import { deepestFirst, type ForestSizes, featureBytes, NODE, type Run } from './forest-sizes.ts';
import type { ElementwisePlan } from './plan.ts';

type ForestPlan = ElementwisePlan & { readonly layer: ForestLayer; readonly forest: ForestSizes };

/**
 * Steps of all trees of a run, however early they reach a leaf: a leaf leads to itself. Without a branch the verifier walks each
 * once, and no processor guesses wrong.
 */
export function forestBody(p: ForestPlan): string[] {
  const { layer } = p;
  const { runs, scores } = p.forest;
  let first = 0;
  return [
    `\tconst __u8 *nodes = (const __u8 *)w->layer${p.index}_nodes;`,
    '',
    `\tfor (int s = 0; s < ${scores}; s++)`,
    `\t\tsums[s] = w->layer${p.index}_base[s];`,
    ...runs.flatMap((run) => {
      first += run.trees;
      return runBody(p, run, first - run.trees);
    }),
    ...(layer.result === 'verdict' ? verdict(p) : sums(layer)),
  ];
}

const NODE_BYTES = 8;

function runBody(p: ForestPlan, { trees, depth }: Run, first: number): string[] {
  const { abreast, nodes, rows, scores } = p.forest;
  const each = Array.from({ length: abreast }, (_, k) => k);
  const featureAt = featureShift(p);
  const at = (offset: string) => `*(const __u64 *)(nodes + ${offset})`;
  // The place of the child, in bytes: what stands below and above it is cut off.
  const places = `0x${((nodes - 1) * NODE_BYTES).toString(16)}`;
  return [
    '#pragma clang loop unroll(disable)',
    `\tfor (int t = ${first}; t < ${first + trees}; t += ${abreast}) {`,
    `\t\t__u64 ${each.map((k) => `n${k} = ${at(`(t + ${k}) * ${NODE_BYTES}`)}`).join(', ')};`,
    '',
    '#pragma clang loop unroll(disable)',
    `\t\tfor (int d = 0; d < ${depth}; d++) {`,
    ...each.map(
      (k) =>
        `\t\t\tn${k} = ${at(`((n${k} - from0[n${k} >> ${featureAt}]) >> ${NODE.child - 3} & ${places})`)};`,
    ),
    '\t\t}',
    ...each.map(
      (k) =>
        `\t\tconst __u64 *row${k} = w->layer${p.index}_scores + (n${k} >> ${NODE.row} & ${rows - 1}) * ${scores};`,
    ),
    '',
    '#pragma clang loop unroll(disable)',
    `\t\tfor (int s = 0; s < ${scores}; s++)`,
    `\t\t\tsums[s] += ${each.map((k) => `row${k}[s]`).join(' + ')};`,
    '\t}',
  ];
}

/** The uppermost bits of a node are its feature. */
const featureShift = ({ inputs }: Pick<ForestPlan, 'inputs'>): number =>
  64 - Math.log2(featureBytes(elementCount(inputs[0]!.shape)));

/** As that of `argmax`, over numbers of more bits. */
function verdict({ index, forest: { scores } }: ForestPlan): string[] {
  if (scores === 1) return ['\tto[0] = 0;', '\tto[1] = 255;'];
  return [
    '\t__s64 best = 0, second = 0;',
    '',
    '#pragma clang loop unroll(disable)',
    `\tfor (int s = 0; s < ${scores}; s++) {`,
    '\t\t__s64 key = (__s64)(sums[s] << 8) + (0xff - s);',
    '\t\t__s64 most = intransit_max(best, key);',
    '',
    '\t\tsecond = intransit_max(second, best + key - most);',
    '\t\tbest = most;',
    '\t}',
    '\tto[0] = 0xff - (best & 0xff);',
    `\tto[1] = intransit_clamp(((best >> 8) - (second >> 8)) >> (w->layer${index}_shift[0] & 63), 0, 255);`,
  ];
}

function sums({ base, shift, output }: ForestLayer): string[] {
  const { lo, hi } = elementRange(output.element);
  return [
    '#pragma clang loop unroll(disable)',
    `\tfor (int s = 0; s < ${base.length}; s++)`,
    `\t\tto[s] = intransit_clamp((__s64)sums[s] >> ${shift}, ${lo}, ${hi}) - ${lo};`,
  ];
}

/** Instructions that the verifier walks. */
export function forestInstructions({ abreast, runs, scores }: ForestSizes): number {
  const groups = runs.map(
    ({ trees, depth }) =>
      (trees / abreast) * (depth * (10 * abreast + 4) + scores * (3 * abreast + 6) + 12 * abreast),
  );
  return groups.reduce((sum, steps) => sum + steps, 40 * scores);
}

/** Words of the nodes: roots first, the deepest tree's first; then each node's two children side by side, that of what is beyond first. */
export function nodeWords(p: ForestPlan): bigint[] {
  const { layer, forest } = p;
  const { nodes } = layer;
  const { lo } = elementRange(p.inputs[0]!.element);
  const roots = deepestFirst(layer).map(({ root }) => root);
  const order = [...roots, ...new Array<number>(forest.trees - roots.length).fill(-1)];
  const children = new Map<number, number>();
  for (let i = 0; i < order.length; i++) {
    const node = order[i]!;
    if (node < 0 || nodes.feature[node]! < 0) continue;
    children.set(i, order.length);
    order.push(nodes.high[node]!, nodes.low[node]!);
  }
  const noScores = layer.scores.length / layer.base.length;
  const leaf = (place: number, row: number) => word(255, place, row);
  const featureAt = BigInt(featureShift(p));
  const words = order.map((node, place) => {
    if (node < 0) return leaf(place, noScores);
    const high = children.get(place);
    if (high === undefined) return leaf(place, nodes.low[node]!);
    // Thresholds are of unsigned activations; below all of them, every element is beyond.
    const threshold = Math.min(255, nodes.threshold[node]! - lo);
    const split = threshold < 0 ? word(255, high, 0) : word(threshold, high + 1, 0);
    return split | (BigInt(nodes.feature[node]!) << featureAt);
  });
  return [...words, ...new Array<bigint>(forest.nodes - words.length).fill(0n)];
}

const word = (threshold: number, child: number, row: number): bigint =>
  BigInt(threshold) | (BigInt(child) << BigInt(NODE.child)) | (BigInt(row) << BigInt(NODE.row));

/** Rows of scores, one more of zeros, and room up to a power of two. */
export function scoreWords(layer: ForestLayer, { rows, scores }: ForestSizes): bigint[] {
  const words = Array.from(layer.scores, BigInt);
  return [...words, ...new Array<bigint>(rows * scores - words.length).fill(0n)];
}
