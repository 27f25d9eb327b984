/**
 * How source frameworks round an accumulator to a q-value, each as a plain function: what an integer requantiser is
 * fitted to and measured against.
 */

/** The source's own rounding of one channel: accumulator to q, before the clamp. Must not decrease. */
export type SourceRounding = (acc: number) => number;

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

/**
 * How the TFLite reference kernels requantise (`MultiplyByQuantizedMultiplier` with two roundings): the scale is a
 * 31-bit multiplier and a power of two; the high half of the doubled product is rounded half up, then the shift half
 * away from zero.
 */
export function tfliteRounding(scale: number, zeroPoint: number): SourceRounding {
  if (scale === 0) return () => zeroPoint;
  let exponent = Math.floor(Math.log2(scale)) + 1;
  let multiplier = Math.round((scale / 2 ** exponent) * 2 ** 31);
  if (multiplier === 2 ** 31) {
    multiplier /= 2;
    exponent++;
  }
  const left = 2 ** Math.max(0, exponent);
  const right = 2 ** Math.max(0, -exponent);
  const high = Math.floor(multiplier / 2 ** 16);
  const low = multiplier % 2 ** 16;
  return (acc) => {
    const x = acc * left;
    // floor((x * multiplier + 2^30) / 2^31) in two halves, as the product has up to 62 bits.
    const product = Math.floor((x * high + Math.floor((x * low + 2 ** 30) / 2 ** 16)) / 2 ** 15);
    const magnitude = Math.floor(Math.abs(product) / right + 0.5);
    return (product < 0 ? -magnitude : magnitude) + zeroPoint;
  };
}
