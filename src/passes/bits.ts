import type { Requantiser } from '../model/requantiser.ts';
import type { Levels } from './levels.ts';

/**
 * A dense layer by counting bits. Its inputs have few levels, `x = least + step * u`, and lie as bits, 64 a word, a plane a bit
 * of u; its weights are -1, 0 and 1 times a factor of their output. With `s` the bits of the weights that are 1,
 *
 *     sum of w * u = sum over the planes b of 2^b * (ones in s - ones in (u_b ^ s))
 *
 * where weights of 0 are masked off on either side. So an output is a number less a step for each bit that is counted.
 */
export interface BitLayout {
  /** Bits of u, 1 to 4. */
  readonly planes: number;
  /** Words of a plane: of 64 inputs each. */
  readonly words: number;
  /** Whether some weight is 0: then each word of the weights has a mask. */
  readonly ternary: boolean;
  readonly levels: Levels;
  /** Outputs of two values are the upper one up to some count. Absent: the count becomes a sum, which is scaled and clamped. */
  readonly outputs?: Levels;
}

/** Bits of a word. */
export const WORD_BITS = 64;

/** Most bits of an input: with more, lanes cost as little. */
const MOST_PLANES = 4;

/** Counts are added up in lanes of 16 bits. */
const MOST_COUNT = 2 ** 16 - 1;

/** Words of all planes together, which lie where sums do that have no registers. */
const MOST_WORDS = 512;

/** The factor of each output, 0 where all weights are; undefined where some output's weights differ in more than sign. */
export function rowFactors(weights: Int16Array, outputs: number): number[] | undefined {
  const taps = weights.length / outputs;
  const factors: number[] = [];
  for (let o = 0; o < outputs; o++) {
    let factor = 0;
    for (let i = o * taps; i < (o + 1) * taps; i++) {
      const size = Math.abs(weights[i]!);
      if (size === 0) continue;
      if (factor !== 0 && size !== factor) return undefined;
      factor = size;
    }
    factors.push(factor);
  }
  return factors;
}

/** What counting bits would be, where it can be done at all. */
export function layBits(
  layer: {
    readonly weights: Int16Array;
    readonly bias: ArrayLike<number>;
    readonly requantiser: Requantiser;
  },
  levels: Levels,
  outputs: Levels,
): BitLayout | undefined {
  const planes = Math.ceil(Math.log2(levels.count));
  const taps = layer.weights.length / layer.bias.length;
  const words = Math.ceil(taps / WORD_BITS);
  if (planes < 1 || planes > MOST_PLANES || planes * words > MOST_WORDS) return undefined;
  if (taps * (2 ** planes - 1) > MOST_COUNT) return undefined;
  // Bits of several planes stand side by side in a byte.
  if (planes > 1 && !Number.isInteger(Math.log2(levels.step))) return undefined;
  if (rowFactors(layer.weights, layer.bias.length) === undefined) return undefined;
  const ternary = layer.weights.includes(0);
  return { planes, words, ternary, levels, ...(outputs.count === 2 && { outputs }) };
}

/**
 * What counting costs, in multiplies of lanes with their loads, as measured (bench/README.md): each word of an output, each plane
 * behind the first, the output itself, and packing an input.
 */
const COST = {
  word: { false: 4, true: 4.4 },
  plane: 2.7,
  output: { step: 5.5, line: 14 },
  input: 0.3,
} as const;

/** Multiplies of lanes that take as long as counting does; to be compared with `lanesCost`. */
export function bitsCost(bits: BitLayout, taps: number, outputs: number): number {
  const { planes, words, ternary } = bits;
  const result = COST.output[bits.outputs === undefined ? 'line' : 'step'];
  const perOutput = planes * words * COST.word[`${ternary}`] + (planes - 1) * COST.plane + result;
  return planes * taps * COST.input + outputs * perOutput;
}
