import { requantise } from '../../model/requantiser.ts';
import { thresholds } from '../../model/steps.ts';
import type { Interval } from '../../model/tensor.ts';
import type { Activation } from './activation.ts';
import { mostAligned } from './cover.ts';
import type { Linear } from './linear.ts';
import type { Sum, SumLayer, SumTable } from './program.ts';

/**
 * Least and most of what each input adds to each output, over the levels that it has.
 */
function contributions(linear: Linear, inputs: readonly Activation[]) {
  const least = [...linear.bias];
  const most = [...linear.bias];
  const lowest = linear.terms.map((terms, i) => {
    const levels = inputs[i]!.levels.map((q) => q - linear.zeroPoint);
    const [lo, hi] = [Math.min(...levels), Math.max(...levels)];
    return terms.map(({ output, weight }) => {
      const [a, b] = weight < 0 ? [weight * hi, weight * lo] : [weight * lo, weight * hi];
      least[output]! += a;
      most[output]! += b;
      return a;
    });
  });
  return { least, most, lowest };
}

/**
 * How the number of a sum follows from its accumulator. Where it fits the bits, the multiplier of the requantiser is folded
 * in, so that its steps stand at multiples of a power of two and cost one entry each.
 */
function scaleOf(linear: Linear, output: number, { lo, hi }: Interval, bits: number): Sum {
  const { multiplier, offset, shift } = linear.requantiser;
  const channel = linear.channels[output]!;
  const m = multiplier[channel]!;
  const step = 2 ** shift;
  if (m > 0 && m * (hi - lo) + step < 2 ** bits) {
    const above = m * lo + offset[channel]!;
    const base = above - Math.floor(above / step) * step;
    return { base, scale: m, least: lo, most: base + m * (hi - lo) };
  }
  // Room between the accumulators, in which thresholds can be moved to round numbers.
  const room = Math.max(1, 2 ** Math.floor(Math.log2((2 ** bits - 1) / Math.max(1, hi - lo))));
  return { base: 0, scale: room, least: lo, most: room * (hi - lo) };
}

/** The levels of an output by its sum: the requantiser and its clamp as thresholds, exactly. */
function outputActivation(
  linear: Linear,
  source: { readonly layer: number; readonly output: number },
  sum: Sum,
  range: Interval,
  bits: number,
): Activation {
  const { requantiser, channels } = linear;
  const channel = channels[source.output]!;
  const q = (acc: number) => requantise(requantiser, channel, acc);
  const { first, steps } = thresholds(q, range, requantiser.min, requantiser.max);
  const starts = [0];
  const levels = [first - 1];
  for (const [i, acc] of steps.entries()) {
    const number = sum.base + sum.scale * (acc - sum.least);
    // Any number above the last accumulator below the step does.
    const start = mostAligned(number - sum.scale, number);
    if (acc === steps[i - 1]) levels[levels.length - 1] = first + i;
    else {
      starts.push(start);
      levels.push(first + i);
    }
  }
  return {
    source: { kind: 'sum', ...source },
    bits,
    pieces: { starts, levels: levels.map((_, i) => i) },
    levels,
  };
}

/**
 * A layer of sums, one table an input, exact: each entry holds what its activation adds to all outputs.
 * @param bits that a sum may have
 * @returns no layer where a sum needs more bits, but how many
 */
export function lowerSums(
  linear: Linear,
  layer: number,
  inputs: readonly Activation[],
  bits: number,
): { layer?: SumLayer; activations: readonly Activation[]; need: number } {
  const { least, most, lowest } = contributions(linear, inputs);
  const sums = linear.bias.map((_, o) => scaleOf(linear, o, { lo: least[o]!, hi: most[o]! }, bits));
  const need = Math.max(...sums.map((s) => Math.floor(Math.log2(Math.max(1, s.most))) + 1));
  if (need > bits) return { activations: [], need };
  const read = inputs.flatMap((input, i) => (input.source === undefined ? [] : [i]));
  const tables = read.map((i, index): SumTable => {
    const key = inputs[i]!;
    const values = key.levels.map((q) => {
      const row: number[] = sums.map(({ base }) => (index === 0 ? base : 0));
      for (const [t, { output, weight }] of linear.terms[i]!.entries())
        row[output]! += sums[output]!.scale * (weight * (q - linear.zeroPoint) - lowest[i]![t]!);
      return row;
    });
    return { index, keys: [key], values };
  });
  const activations = sums.map((sum, o) =>
    outputActivation(linear, { layer, output: o }, sum, { lo: least[o]!, hi: most[o]! }, bits),
  );
  return { layer: { layer, tables, sums, bits }, activations, need };
}
