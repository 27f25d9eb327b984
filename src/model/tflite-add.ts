import type { PairRounding } from './add-fit.ts';
import { multiplyByQuantized, quantizeMultiplier, type TfliteRounding } from './tflite-rounding.ts';

/** Bits to the left before the operands are brought to one scale. */
const LEFT_SHIFT = { narrow: 20, wide: 15 } as const;

/**
 * How TFLite's ADD rounds (`AddElementwise`, `reference_integer_ops`): both operands go to the scale
 * `2 * max(sa, sb) / 2^20` (of int16 2^15) by multipliers of their own, and the sum to the output's by a third; each rounds once or twice.
 *
 * @param scales float32
 * @param sign -1: SUB, which takes away what it has rounded
 */
export function tfliteAddRounding(
  scales: readonly [a: number, b: number, output: number],
  zeroPoint: number,
  kind: TfliteRounding = 'double',
  sign: 1 | -1 = 1,
  width: keyof typeof LEFT_SHIFT = 'narrow',
): PairRounding {
  const unit = 2 ** LEFT_SHIFT[width];
  const [sa, sb, so] = scales;
  const twice = 2 * Math.max(sa, sb);
  const ma = quantizeMultiplier(sa / twice);
  const mb = quantizeMultiplier(sb / twice);
  const mo = quantizeMultiplier(twice / (unit * so));
  const rounding = (a: number, b: number): number => {
    const sum = multiplyByQuantized(a * unit, ma, kind) + sign * multiplyByQuantized(b * unit, mb, kind);
    return multiplyByQuantized(sum, mo, kind) + zeroPoint;
  };
  return Object.assign(rounding, { fine: true } as const);
}
