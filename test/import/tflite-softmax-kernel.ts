/** Softmax of the reference kernels in gemmlowp's fixed point, in 64-bit integers, beside and not with the importer's. */
import { clamp, high, pot, quantize, scale } from './tflite-kernels.ts';

const ONE = (1n << 31n) - 1n;
const saturated = (x: bigint): bigint => (x > ONE ? ONE : x < -ONE - 1n ? -ONE - 1n : x);

/** `exp_on_interval_between_negative_one_quarter_and_0_excl`: a series around -1/8. */
function expNearZero(a: bigint): bigint {
  const x = a + (1n << 28n);
  const [square, atMinusEighth, third] = [high(x, x), 1895147668n, 715827883n];
  const [cube, fourth] = [high(square, x), high(square, square)];
  const rest = pot(high(pot(fourth, 2n) + cube, third) + square, 1n);
  return saturated(atMinusEighth + high(atMinusEighth, x + rest));
}

/** `exp_on_negative_values` of a number with 5 bits before the point. */
export function expOf(a: bigint): bigint {
  const quarter = 1n << 24n;
  const low = (a & (quarter - 1n)) - quarter;
  let result = expNearZero(low << 5n);
  const rest = low - a;
  for (const [i, factor] of [
    1672461947n,
    1302514674n,
    790015084n,
    290630308n,
    39332535n,
    720401n,
    242n,
  ].entries())
    if ((rest & (1n << BigInt(24 + i))) !== 0n) result = high(result, factor);
  return a === 0n ? ONE : result;
}

/** `one_over_one_plus_x_for_x_in_0_1`: three steps of Newton's method, with 2 bits before the point. */
function reciprocal(a: bigint): bigint {
  const half = (a + ONE + 1n) / 2n;
  let x = 1515870810n + high(half, -1010580540n);
  for (let i = 0; i < 3; i++) x += saturated(high(x, (1n << 29n) - high(half, x)) << 2n);
  return saturated(x << 1n);
}

/** int8 to int8 of the grid 1/256, -128. */
export function softmax(row: readonly number[], inputScale: number, beta: number): number[] {
  const multiplier = quantize(Math.min(beta * inputScale * 2 ** 26, 2 ** 31 - 1));
  const least = -Math.floor((31 * 2 ** 26) / 2 ** multiplier.exponent);
  const most = Math.max(...row);
  const powers = row.map((q) => (q - most < least ? undefined : expOf(BigInt(scale(q - most, multiplier)))));
  const sum = powers.reduce<bigint>((total, p) => total + (p === undefined ? 0n : pot(p, 12n)), 0n);
  const headroom = 32 - sum.toString(2).length;
  const shifted = reciprocal((sum << BigInt(headroom)) - (1n << 31n));
  const exponent = BigInt(12 - headroom + 31 - 8);
  return powers.map((p) => (p === undefined ? -128 : clamp(Number(pot(high(shifted, p), exponent)) - 128)));
}
