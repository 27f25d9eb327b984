/**
 * How source frameworks round an accumulator to a q-value, each as a plain function: what an integer requantiser is
 * fitted to and measured against.
 */

/** The source's own rounding of one channel: accumulator to q, before the clamp. Must not decrease. */
export interface SourceRounding {
  (acc: number): number;
  /** First accumulator of the upper side, where the source rounds in two ways, as half away from zero does. */
  readonly pivot?: number;
}

/** A rounding whose sides meet at a pivot: the requantiser may then have a line on each side. */
export const pivoted = (rounding: (acc: number) => number, pivot: number): SourceRounding =>
  Object.assign(rounding, { pivot });

/** Rounds half to even, as IEEE 754 does by default. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Rounds `acc * scale` computed in float32, half to even; scale is a float32. */
export function float32Rounding(scale: number, zeroPoint: number): SourceRounding {
  // The product of two float32 is exact in a double, so one `fround` gives the float32 product.
  return (acc) => roundHalfEven(Math.fround(Math.fround(acc) * scale)) + zeroPoint;
}

/** Rounds the exact `acc * scale` half to even: for sources whose own arithmetic is no function of the accumulator. */
export function idealRounding(scale: number, zeroPoint: number): SourceRounding {
  return (acc) => roundHalfEven(acc * scale) + zeroPoint;
}

/** Rounds the exact `acc * scale` half up: what integer hardware does with one added half. */
export function halfUpRounding(scale: number, zeroPoint: number): SourceRounding {
  return (acc) => Math.floor(acc * scale + 0.5) + zeroPoint;
}

/**
 * How ONNX Runtime's fused kernels requantise an int32 accumulator: in float32, half to even
 * (`nearbyint(float(acc) * float(sx * sw / sy)) + zeroPoint`).
 */
export function onnxRounding(
  inputScale: number,
  weightScale: number,
  outputScale: number,
  zeroPoint: number,
): SourceRounding {
  return float32Rounding(Math.fround(Math.fround(inputScale * weightScale) / outputScale), zeroPoint);
}
