import type {
  EmbeddingLayer,
  GatherLayer,
  PadLayer,
  SoftmaxLayer,
  TransposeLayer,
} from '../../model/model.ts';
import { elementCount, elementRange } from '../../model/tensor.ts';
import { transposeSources } from '../../reference/lookup.ts';
import {
  bufferBytes,
  elementBytesOf,
  hasBorder,
  isRowMajor,
  pixelAt,
  rowElements,
  type ValueBuffer,
  wordOf,
} from './buffers.ts';
import { emitRuns, findRuns, NO_IDIOM, placesOf, type Run } from './emit-moves.ts';
import type { ElementwisePlan } from './plan.ts';

/** C bodies of layers that move elements or look them up; `from0` is read, `to` written. */

/** The moves of a layer that computes nothing, by input. */
export function layerMoves(p: ElementwisePlan): readonly (readonly Run[])[] {
  const { layer } = p;
  if (layer.kind !== 'gather') return [layerRuns(p)];
  const targets = placesOf(p.to, layer.output.shape);
  let first = 0;
  return p.inputs.map(({ shape }, k) => {
    const places = placesOf(p.from[k]!, shape);
    const start = first;
    first += places.length;
    const moved = Array.from(layer.sources.keys()).filter(
      (i) => layer.sources[i]! >= start && layer.sources[i]! < first,
    );
    return findRuns(
      Int32Array.from(moved, (i) => places[layer.sources[i]! - start]!),
      Int32Array.from(moved, (i) => targets[i]!),
    );
  });
}

function layerRuns(p: ElementwisePlan): readonly Run[] {
  const from = p.from[0]!;
  const { layer } = p;
  if (layer.kind === 'transpose') {
    const places = placesOf(from, layer.from);
    const sources = transposeSources(layer).map((source) => places[source]!);
    return findRuns(sources, placesOf(p.to, layer.output.shape));
  }
  if (layer.kind !== 'pad') throw new Error('layer computes');
  // The image keeps its place among the pixels around it.
  const [top, left, bottom, right] = layer.pads;
  const [bufferTop, bufferLeft, bufferBottom, bufferRight] = p.to.border;
  const inner: ValueBuffer = {
    ...p.to,
    height: p.to.height - top - bottom,
    width: p.to.width - left - right,
    border: [bufferTop + top, bufferLeft + left, bufferBottom + bottom, bufferRight + right],
  };
  const { shape } = p.inputs[0]!;
  return findRuns(placesOf(from, shape), placesOf(inner, shape));
}

/** Copies runs of elements that stay together. */
export const transposeBody = (p: ElementwisePlan & { readonly layer: TransposeLayer }): string[] =>
  emitRuns(layerRuns(p), 'from0', 'to');

/** What no element moves to is filled first. */
export function gatherBody(p: ElementwisePlan & { readonly layer: GatherLayer }): string[] {
  const moves = layerMoves(p).flatMap((runs, k) => emitRuns(runs, `from${k}`, 'to'));
  return fills(p) ? [...filling(p), ...moves] : moves;
}

const fills = ({ layer }: ElementwisePlan): boolean =>
  layer.kind === 'pad' || (layer.kind === 'gather' && layer.sources.includes(-1));

type Filled = ElementwisePlan & { readonly layer: PadLayer | GatherLayer };

/** The whole image: that is a word at a time, or a row where it has a border of another value. */
function filling(p: Filled): string[] {
  const value = p.layer.value - elementRange(p.layer.output.element).lo;
  const digits = value.toString(16).padStart(2 * elementBytesOf(p.to), '0');
  const loop =
    hasBorder(p.to) && p.to.fill !== value
      ? [
          '#pragma clang loop unroll(disable)',
          `\tfor (int y = 0; y < ${p.to.height}; y++)`,
          '#pragma clang loop unroll_count(4)',
          `\tfor (int x = 0; x < ${p.to.width * p.to.channels}; x++) {`,
          `\t\tto[${pixelAt(p.to, 0, 0)} + y * ${rowElements(p.to)} + x] = 0x${digits};`,
        ]
      : [
          '#pragma clang loop unroll_count(8)',
          `\tfor (int i = 0; i < ${Math.ceil(bufferBytes(p.to) / 8)}; i++) {`,
          `\t\t((__u64 *)to)[i] = 0x${wordOf(p.to, value)}ULL;`,
        ];
  return [...loop, `\t\t${NO_IDIOM}`, '\t}'];
}

/** Fills the output with the value, then copies what is inside. */
export const padBody = (p: ElementwisePlan & { readonly layer: PadLayer }): string[] => [
  ...filling(p),
  ...emitRuns(layerRuns(p), 'from0', 'to'),
];

/** Bytes or words that are filled. */
export function filledStores(p: Filled): number {
  if (!fills(p)) return 0;
  const value = p.layer.value - elementRange(p.layer.output.element).lo;
  return hasBorder(p.to) && p.to.fill !== value
    ? elementCount(p.layer.output.shape)
    : Math.ceil(bufferBytes(p.to) / 8);
}

/**
 * Three passes over each row, which lies in a row of memory: the largest, the sum, the shares. Of a quotient the verifier knows
 * nothing; it is clamped, and only stored.
 */
export function softmaxBody(
  p: ElementwisePlan & { readonly layer: SoftmaxLayer },
  walkStart: (b: ValueBuffer, name: string) => string,
  walkOn: (b: ValueBuffer, name: string) => string[],
): string[] {
  const { size, output } = p.layer;
  const { lo, hi } = elementRange(output.element);
  const over = (body: readonly string[]) => [
    '#pragma clang loop unroll_count(2)',
    `\t\tfor (int k = 0; k < ${size}; k++) {`,
    ...body.map((line) => `\t\t\t${line}`),
    '\t\t}',
  ];
  const entry = (table: string) => `w->layer${p.index}_${table}[(most - row[k]) & 0xff]`;
  return [
    walkStart(p.to, '_to'),
    '',
    '#pragma clang loop unroll(disable)',
    `\tfor (int b = 0; b < ${elementCount(output.shape) / size}; b++) {`,
    `\t\tconst __u8 *row = from0 + b * ${size};`,
    '\t\t__s64 most = 0;',
    '\t\t__u64 sum = 0;',
    '',
    ...over(['most = intransit_max(most, row[k]);']),
    '\t\tINTRANSIT_OPAQUE(most);',
    ...over([`sum += ${entry('exponentials')};`]),
    ...over([
      `__u64 share = (2 * ${entry('numerators')} + sum) / (2 * sum);`,
      '',
      `to[at_to] = intransit_clamp((__s64)share + ${output.zeroPoint}, ${lo}, ${hi}) - ${lo};`,
      ...walkOn(p.to, '_to').map((line) => line.slice(2)),
    ]),
    '\t}',
  ];
}

/** Columns whose sums are in registers while the keys of a bag go by. */
export const EMBEDDING_COLUMNS = 4;

/**
 * Rows of the table in memory: a key is cut to so many bits, which is the bound that the verifier sees. At least two, as it
 * would know the entries of a row alone, and follow both values of a mask that meets a known number.
 */
export const tableRows = ({ rows }: EmbeddingLayer): number => Math.max(2, 2 ** Math.ceil(Math.log2(rows)));

/**
 * Sums of some columns at a time. What a key that is not in the table reads is masked off: a branch would make the verifier
 * walk both ways, for each key of a bag.
 * @param result C of the requantised `acc`
 */
export function embeddingBody(
  p: ElementwisePlan & { readonly layer: EmbeddingLayer },
  result: (acc: string) => string,
  walkStart: (b: ValueBuffer, name: string) => string,
  walkOn: (b: ValueBuffer, name: string) => string[],
): string[] {
  const { keyBytes, bag, rows, width, output } = p.layer;
  const bags = elementCount(output.shape) / width;
  const key = Array.from({ length: keyBytes }, (_, b) => `(__u32)key[${b}]${b > 0 ? ` << ${8 * b}` : ''}`);
  const type = p.narrow ? '__s8' : '__s16';
  const some = rows < 256 ** keyBytes;
  const block = (column: string, count: number): string[] => {
    const sums = Array.from({ length: count }, (_, i) => `sum${i}`);
    return [
      `\t\tconst __u8 *key = from0 + ${pixelAt(p.from[0]!, 0, 0)} + b * ${bag * keyBytes};`,
      `\t\t__s64 ${sums.map((sum) => `${sum} = 0`).join(', ')};`,
      '',
      '#pragma clang loop unroll(disable)',
      `\t\tfor (int k = 0; k < ${bag}; k++, key += ${keyBytes}) {`,
      `\t\t\t__u64 row = ${key.join(' | ')};`,
      ...(some ? [`\t\t\t__s64 known = intransit_sign((__s64)row - ${rows});`] : []),
      `\t\t\tconst ${type} *entries = w->layer${p.index}_table + ${column};`,
      '',
      // Or clang cuts another register than the one that it adds.
      ...(some ? ['\t\t\tINTRANSIT_OPAQUE(row);', `\t\t\trow &= ${tableRows(p.layer) - 1};`] : []),
      // Or it adds up the numbers first, from below zero on, and the verifier loses the bound.
      '\t\t\tINTRANSIT_OPAQUE(entries);',
      `\t\t\tentries += row * ${width};`,
      ...sums.map((sum, i) => `\t\t\t${sum} += entries[${i}]${some ? ' & known' : ''};`),
      '\t\t}',
      ...sums.flatMap((sum, i) =>
        isRowMajor(p.to)
          ? [`\t\tto[b * ${width} + ${column} + ${i}] = ${result(sum)};`]
          : [`\t\tto[at_to] = ${result(sum)};`, ...walkOn(p.to, '_to')],
      ),
    ];
  };
  const whole = Math.floor(width / EMBEDDING_COLUMNS);
  const rest = width % EMBEDDING_COLUMNS;
  return [
    ...(isRowMajor(p.to) ? [] : [walkStart(p.to, '_to')]),
    '#pragma clang loop unroll(disable)',
    `\tfor (int b = 0; b < ${bags}; b++) {`,
    ...(whole > 0
      ? [
          '#pragma clang loop unroll(disable)',
          `\tfor (int j = 0; j < ${whole * EMBEDDING_COLUMNS}; j += ${EMBEDDING_COLUMNS}) {`,
          ...block('j', EMBEDDING_COLUMNS),
          '\t}',
        ]
      : []),
    ...(rest > 0 ? ['\t{', ...block(`${whole * EMBEDDING_COLUMNS}`, rest), '\t}'] : []),
    '\t}',
  ];
}
