import { roundHalfEven } from '../../model/requantiser.ts';
import type { Quantisation } from '../builder.ts';

/** Real functions of one element that a table can hold, by the names of the JSON format. */
export const realFunctions = {
  sigmoid: (x: number): number => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  /** `x * Phi(x)` with the normal distribution function. */
  gelu: (x: number): number => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  silu: (x: number): number => x / (1 + Math.exp(-x)),
  /** `x * clamp(x + 3, 0, 6) / 6` */
  hardSwish: (x: number): number => (x * Math.max(0, Math.min(6, x + 3))) / 6,
  exp: Math.exp,
} as const;

/** Abramowitz and Stegun, formula 7.1.26: off by at most 1.5e-7, far below a step of 8 bits. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const coefficients = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const polynomial = coefficients.reduce((sum, c) => sum * t + c, 0) * t;
  return Math.sign(x) * (1 - polynomial * Math.exp(-x * x));
}

/**
 * The function between two grids, as ONNX Runtime builds its tables: real, function and quotient each in float32, then half
 * to even. Takes `q - zeroPoint`.
 */
export const tabulated =
  (f: (x: number) => number, input: Quantisation, output: Quantisation) =>
  (q: number): number => {
    const real = Math.fround(f(Math.fround(q * input.scale)));
    return roundHalfEven(Math.fround(real / output.scale)) + output.zeroPoint;
  };
