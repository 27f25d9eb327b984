import { quantizeMultiplier, roundingDivideByPot } from '../../model/tflite-rounding.ts';

/** int16 arithmetic of the reference kernel of HARD_SWISH (`hard_swish.h`). */

const saturate = (x: number): number => Math.max(-32768, Math.min(32767, x));

/** 16-bit `SaturatingRoundingDoublingHighMul`. */
const roundingHigh = (a: number, b: number): number => saturate(Math.floor((a * b + 2 ** 14) / 2 ** 15));

/** Its fellow that cuts off instead (`SaturatingDoublingHighMul`). */
const truncatingHigh = (a: number, b: number): number => saturate(Math.trunc((a * b) / 2 ** 15));

/** `QuantizeMultiplier`, then 16 bits of it (`DownScaleInt32ToInt16Multiplier`). */
function multiplier16(real: number): { readonly multiplier: number; readonly exponent: number } {
  const { multiplier, exponent } = quantizeMultiplier(real);
  const rounded =
    multiplier >= 2 ** 31 - 2 ** 15 ? 2 ** 15 - 1 : Math.floor((multiplier + 2 ** 15) / 2 ** 16);
  return { multiplier: rounded, exponent };
}

/**
 * `x * clamp(x + 3, 0, 6) / 6` from `q - zeroPoint` of the input to `q - zeroPoint` of the output, before the clamp. The
 * input is brought to 7 more bits; there it is once scaled to the output, and once to [-1, 1] for [-3, 3], saturating.
 *
 * @returns undefined if the output's scale is finer than 1/128 of the input's, which the kernel refuses
 */
export function hardSwish(inputScale: number, outputScale: number): ((q: number) => number) | undefined {
  const fine = Math.fround(inputScale / 128);
  const output = multiplier16(Math.fround(fine / outputScale));
  const relu = multiplier16(Math.fround(fine / Math.fround(3 / 32768)));
  if (output.exponent > 0) return undefined;
  return (q) => {
    const x = q * 128;
    const scaled = roundingHigh(x, output.multiplier);
    const lifted = relu.exponent > 0 ? saturate(x * 2 ** (relu.exponent - 1)) : x;
    let factor = roundingHigh(lifted, relu.multiplier);
    if (relu.exponent > 0) factor = saturate(factor * 2);
    if (relu.exponent < 0) factor = roundingDivideByPot(factor, -relu.exponent);
    const half = Math.floor((factor + 2 ** 15) / 2);
    return roundingDivideByPot(truncatingHigh(half, scaled), -output.exponent);
  };
}
