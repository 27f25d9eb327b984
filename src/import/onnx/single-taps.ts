import { roundHalfEven, type SourceRounding } from '../../model/requantiser.ts';
import { elementRange, isWide } from '../../model/tensor.ts';
import type { ModelBuilder, Quantisation } from '../builder.ts';
import { lineSource } from '../lower/functions-of-elements.ts';
import type { Clamp } from '../lower/linear.ts';
import type { LinearTerm } from './values.ts';

interface SingleTaps {
  readonly term: LinearTerm;
  /** By output. */
  readonly roundings: ReadonlyMap<number, SourceRounding>;
  /** Of the inputs of these outputs, how many are off. */
  readonly share: number;
}

/**
 * Outputs of one weight alone, as a matrix that picks or scales elements has them. Their sum in float32 has one order, so
 * that each step is known, down to how a tie falls: the weight goes from the accumulator into the rounding, which is then a
 * function of one element.
 */
export function singleTaps(builder: ModelBuilder, term: LinearTerm, to: Quantisation & Clamp): SingleTaps {
  const roundings = new Map<number, SourceRounding>();
  const wide = isWide(term.input.type.element) || isWide(to.element);
  if (term.fused || term.unrounded !== undefined || wide) return { term, roundings, share: 0 };
  const { input, bias, scale, offset } = term;
  const taps = term.weights.length / bias.length;
  const weights = Int16Array.from(term.weights);
  const kept = Float64Array.from(bias);
  const f = Math.fround;
  const { lo, hi } = elementRange(input.type.element);
  let off = 0;
  for (let o = 0; o < bias.length; o++) {
    const tap = onlyTap(weights.subarray(o * taps, (o + 1) * taps));
    if (tap === undefined) continue;
    const weight = weights[o * taps + tap]!;
    const real = f(weight * f(scale[o]! / input.type.scale));
    const summand = f(bias[o]! * scale[o]! + offset[o]!);
    const sign = Math.sign(weight);
    weights[o * taps + tap] = sign;
    kept[o] = 0;
    const rounded = (acc: number) => f(f(f(sign * acc * input.type.scale) * real + summand) / to.scale);
    const [a, b] = [lo - input.type.zeroPoint, hi - input.type.zeroPoint];
    const range = sign > 0 ? { lo: a, hi: b } : { lo: -b, hi: -a };
    const rounding = lineSource(builder, rounded, to.zeroPoint, range, to);
    roundings.set(o, rounding);
    for (let acc = range.lo; acc <= range.hi; acc++)
      if (rounding(acc) !== roundHalfEven(rounded(acc)) + to.zeroPoint) off++;
  }
  if (roundings.size === 0) return { term, roundings, share: 0 };
  return { term: { ...term, weights, bias: kept }, roundings, share: off / (256 * roundings.size) };
}

/** The index of the only weight that is not zero. */
function onlyTap(row: Int16Array): number | undefined {
  const first = row.findIndex((w) => w !== 0);
  return first < 0 || row.subarray(first + 1).some((w) => w !== 0) ? undefined : first;
}
