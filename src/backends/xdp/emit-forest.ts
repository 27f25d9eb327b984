import type { ForestLayer } from '../../model/model.ts';
import { elementCount, elementRange } from '../../model/tensor.ts';
import { type ForestSizes, featureBytes, NODE } from './forest-sizes.ts';
import type { ElementwisePlan } from './plan.ts';

export type ForestPlan = ElementwisePlan & { readonly layer: ForestLayer; readonly forest: ForestSizes };

/**
 * Steps of all trees, however early they reach a leaf: a leaf leads to itself. Without a branch the verifier walks each once, and
 * no processor guesses wrong.
 */
export function forestBody(p: ForestPlan): string[] {
  const { layer } = p;
  const { abreast, trees, nodes, rows, scores, depth } = p.forest;
  const features = featureBytes(elementCount(p.inputs[0]!.shape));
  const each = Array.from({ length: abreast }, (_, k) => k);
  const field = (k: number, shift: number) => `(n${k} >> ${shift})`;
  const array = (part: string) => `w->layer${p.index}_${part}`;
  return [
    `\tconst __u64 *nodes = ${array('nodes')};`,
    '',
    `\tfor (int s = 0; s < ${scores}; s++)`,
    `\t\tsums[s] = ${array('base')}[s];`,
    '#pragma clang loop unroll(disable)',
    `\tfor (int t = 0; t < ${trees}; t += ${abreast}) {`,
    `\t\t__u64 ${each.map((k) => `n${k} = nodes[t + ${k}]`).join(', ')};`,
    '',
    '#pragma clang loop unroll(disable)',
    `\t\tfor (int d = 0; d < ${depth}; d++) {`,
    ...each.flatMap((k) => [
      `\t\t\t__u64 beyond${k} = (n${k} & 0xff) - from0[${field(k, NODE.feature)} & ${features - 1}];`,
      '',
      `\t\t\tINTRANSIT_OPAQUE(beyond${k});`,
      `\t\t\tn${k} = nodes[(${field(k, NODE.low)} + (beyond${k} >> 63)) & ${nodes - 1}];`,
    ]),
    '\t\t}',
    ...each.map(
      (k) =>
        `\t\tconst __u64 *row${k} = ${array('scores')} + (${field(k, NODE.row)} & ${rows - 1}) * ${scores};`,
    ),
    '',
    '#pragma clang loop unroll(disable)',
    `\t\tfor (int s = 0; s < ${scores}; s++)`,
    `\t\t\tsums[s] += ${each.map((k) => `row${k}[s]`).join(' + ')};`,
    '\t}',
    ...(layer.result === 'verdict' ? verdict(p) : sums(layer)),
  ];
}

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
export function forestInstructions({ abreast, trees, scores, depth }: ForestSizes): number {
  const steps = depth * (14 * abreast + 6) + scores * (3 * abreast + 6) + 12 * abreast;
  return (trees / abreast) * steps + 40 * scores;
}

/** Words of the nodes: roots first, then each node's two children side by side; thresholds are of unsigned activations. */
export function nodeWords(layer: ForestLayer, { trees, nodes: room }: ForestSizes, low: number): bigint[] {
  const { nodes } = layer;
  const order = [...layer.roots, ...new Array<number>(trees - layer.roots.length).fill(-1)];
  const children = new Map<number, number>();
  for (let i = 0; i < order.length; i++) {
    const node = order[i]!;
    if (node < 0 || nodes.feature[node]! < 0) continue;
    children.set(i, order.length);
    order.push(nodes.low[node]!, nodes.high[node]!);
  }
  const noScores = layer.scores.length / layer.base.length;
  const leaf = (place: number, row: number) => word(255, 0, place, row);
  const words = order.map((node, place) => {
    if (node < 0) return leaf(place, noScores);
    const first = children.get(place);
    if (first === undefined) return leaf(place, nodes.low[node]!);
    // A step goes to the second child where the threshold is less than the element.
    const threshold = Math.max(-1, Math.min(255, nodes.threshold[node]! - low));
    return threshold < 0
      ? word(255, nodes.feature[node]!, first + 1, 0)
      : word(threshold, nodes.feature[node]!, first, 0);
  });
  return [...words, ...new Array<bigint>(room - words.length).fill(0n)];
}

const word = (threshold: number, feature: number, low: number, row: number): bigint =>
  BigInt(threshold) |
  (BigInt(feature) << BigInt(NODE.feature)) |
  (BigInt(low) << BigInt(NODE.low)) |
  (BigInt(row) << BigInt(NODE.row));

/** Rows of scores, one more of zeros, and room up to a power of two. */
export function scoreWords(layer: ForestLayer, { rows, scores }: ForestSizes): bigint[] {
  const words = Array.from(layer.scores, BigInt);
  return [...words, ...new Array<bigint>(rows * scores - words.length).fill(0n)];
}
