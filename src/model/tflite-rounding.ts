import { type IntegerLine, pivoted, type SourceRounding } from './rounding.ts';

/**
 * The integers of the TFLite reference kernels, from the formulas that gemmlowp (`fixedpoint.h`) and TFLite
 * (`quantization_util.cc`, `common.h`) document. A positive real is held as `multiplier * 2^(exponent - 31)`.
 */
export interface QuantizedMultiplier {
  /** 2^30..2^31 - 1, or 0. */
  readonly multiplier: number;
  /** Above zero to the left. */
  readonly exponent: number;
}

/** `QuantizeMultiplier`: `frexp`, then 31 bits, rounded half away from zero. Reals below 2^-32 become 0. */
export function quantizeMultiplier(real: number): QuantizedMultiplier {
  if (!(real > 0)) return { multiplier: 0, exponent: 0 };
  let exponent = Math.floor(Math.log2(real)) + 1;
  let multiplier = Math.round((real / 2 ** exponent) * 2 ** 31);
  if (multiplier === 2 ** 31) {
    multiplier /= 2;
    exponent++;
  }
  return exponent < -31 ? { multiplier: 0, exponent: 0 } : { multiplier, exponent };
}

/**
 * `SaturatingRoundingDoublingHighMul` of 32 bits: `floor((a * b + 2^30) / 2^31)`. gemmlowp writes it with a nudge by the
 * sign and a division that truncates, which is the same: ties go up. Exact for `|a| < 2^37`, `0 <= b < 2^31`.
 */
export function roundingDoublingHighMul(a: number, b: number): number {
  const high = Math.floor(b / 2 ** 16);
  const low = b % 2 ** 16;
  // In two halves, as the product has up to 62 bits.
  return Math.floor((a * high + Math.floor((a * low + 2 ** 30) / 2 ** 16)) / 2 ** 15);
}

/** `RoundingDivideByPOT`: `x / 2^exponent`, ties away from zero. */
export function roundingDivideByPot(x: number, exponent: number): number {
  const magnitude = Math.floor(Math.abs(x) / 2 ** exponent + 0.5);
  return x < 0 ? -magnitude : magnitude;
}

/**
 * How `MultiplyByQuantizedMultiplier` rounds: `double` as TFLite Micro and TensorFlow before 2.20, `single` as TensorFlow from
 * 2.20 on (`TFLITE_SINGLE_ROUNDING`).
 */
export type TfliteRounding = 'double' | 'single';

/** `MultiplyByQuantizedMultiplier`. With two roundings: shift left, high half of the product, shift right. */
export function multiplyByQuantized(
  x: number,
  { multiplier, exponent }: QuantizedMultiplier,
  rounding: TfliteRounding = 'double',
): number {
  if (rounding === 'single') return roundOnce(x, multiplier, 31 - exponent);
  const product = roundingDoublingHighMul(x * 2 ** Math.max(0, exponent), multiplier);
  return roundingDivideByPot(product, Math.max(0, -exponent));
}

/** `floor((x * multiplier + 2^(shift - 1)) / 2^shift)`: the whole product, rounded once, ties up. */
function roundOnce(x: number, multiplier: number, shift: number): number {
  // A scale beyond what the kernels take: nothing is left to round.
  if (shift < 1) return x * multiplier * 2 ** -shift;
  // Steeper than any line between two 8-bit grids.
  if (shift < 17) return Number((BigInt(x) * BigInt(multiplier) + 2n ** BigInt(shift - 1)) >> BigInt(shift));
  // In two halves, as the product has up to 62 bits.
  const high = Math.floor(multiplier / 2 ** 16);
  const low = multiplier % 2 ** 16;
  return Math.floor((x * high + Math.floor((x * low) / 2 ** 16) + 2 ** (shift - 17)) / 2 ** (shift - 16));
}

/**
 * How the TFLite reference kernels requantise an int32 accumulator: `MultiplyByQuantizedMultiplier(acc) + zeroPoint`. On
 * each side of zero it is a line: with `M` the multiplier and `r` bits to the right,
 * `floor((acc * M + 2^30 + 2^(30 + r)) / 2^(31 + r))` from 0 on, and 2^31 less in the numerator below. Rounded once it is one
 * line.
 */
export function tfliteRounding(
  scale: number,
  zeroPoint: number,
  rounding: TfliteRounding = 'double',
): SourceRounding {
  return byMultiplier(quantizeMultiplier(scale), zeroPoint, rounding);
}

/** The same with a multiplier at hand. */
export function byMultiplier(
  multiplier: QuantizedMultiplier,
  zeroPoint: number,
  rounding: TfliteRounding,
): SourceRounding {
  const of = (acc: number) => multiplyByQuantized(acc, multiplier, rounding) + zeroPoint;
  const integers = integerLine(multiplier, zeroPoint, rounding);
  return Object.assign(rounding === 'single' ? of : pivoted(of, 0), integers && { integers });
}

/** The line that it is; undefined of a scale beyond those of the kernels. */
function integerLine(
  { multiplier, exponent }: QuantizedMultiplier,
  zeroPoint: number,
  rounding: TfliteRounding,
): IntegerLine | undefined {
  const shift = 31 - exponent;
  if (shift < 1) return undefined;
  const zero = zeroPoint * 2 ** shift;
  // Bits to the left come first, so there is but one rounding.
  if (rounding === 'single' || shift <= 31) return { multiplier, offset: zero + 2 ** (shift - 1), shift };
  const offset = zero + 2 ** 30 + 2 ** (shift - 1);
  return { multiplier, offset, shift, below: offset - 2 ** 31 };
}

/**
 * How the kernels requantise the sums of 16-bit inputs, in 64 bits (`MultiplyByQuantizedMultiplier` of int64): the multiplier
 * rounded to 16 bits, then one rounding, ties up.
 */
export function tfliteWideRounding(scale: number, zeroPoint: number): SourceRounding {
  const { multiplier, exponent } = quantizeMultiplier(scale);
  const reduced = multiplier < 0x7fff0000 ? Math.floor((multiplier + 2 ** 15) / 2 ** 16) : 0x7fff;
  const shift = 15 - exponent;
  const [by, half] = [BigInt(reduced), 2n ** BigInt(shift - 1)];
  const of = (acc: number) => Number((BigInt(acc) * by + half) >> BigInt(shift)) + zeroPoint;
  const offset = zeroPoint * 2 ** shift + 2 ** (shift - 1);
  return Object.assign(of, { integers: { multiplier: reduced, offset, shift } });
}
