/**
 * How source frameworks round an accumulator to a q-value, each as a plain function: what an integer requantiser is
 * fitted to and measured against.
 */

/** The source's own rounding of one channel: accumulator to q, before the clamp. Must not decrease. */
export interface SourceRounding {
  (acc: number): number;
  /** First accumulator of the upper side, where the source rounds in two ways, as half away from zero does. */
  readonly pivot?: number;
  /** Where ties go to the even number: the same with all ties up or down, and which lowest bit of q ties avoid. */
  readonly ties?: {
    readonly up: (acc: number) => number;
    readonly down: (acc: number) => number;
    readonly odd: 0 | 1;
  };
  /** What it rounds, where that is known: outputs of 16 bits have too many steps to find it out. */
  readonly real?: RealLine;
  /** What it is, where that is a line of integers. */
  readonly integers?: IntegerLine;
}

/** `round(acc * slope + by) + zeroPoint`; ties go to even if the bit is given that they avoid. */
export interface RealLine {
  readonly slope: number;
  readonly by: number;
  readonly zeroPoint: number;
  readonly odd?: 0 | 1;
}

/** `floor((acc * multiplier + offset) / 2^shift)`; below zero with `below` for the offset, if given. */
export interface IntegerLine {
  readonly multiplier: number;
  readonly offset: number;
  readonly shift: number;
  readonly below?: number;
}

const withReal = (rounding: SourceRounding, real: RealLine): SourceRounding =>
  Object.assign(rounding, { real });

/** A rounding whose sides meet at a pivot: the requantiser may then have a line on each side. */
export const pivoted = (rounding: (acc: number) => number, pivot: number): SourceRounding =>
  Object.assign(rounding, { pivot });

/** The lowest bit of the q values that a tie never becomes: rounding is to the even number before the zero point is added. */
export const oddBit = (zeroPoint: number): 0 | 1 => ((zeroPoint & 1) === 0 ? 1 : 0);

/** Ties of `real`, a source's value in steps of the output before rounding, to even. */
export function tiesToEven(real: (acc: number) => number, zeroPoint: number): SourceRounding {
  return Object.assign((acc: number) => roundHalfEven(real(acc)) + zeroPoint, {
    ties: {
      up: (acc: number) => Math.floor(real(acc) + 0.5) + zeroPoint,
      down: (acc: number) => Math.ceil(real(acc) - 0.5) + zeroPoint,
      odd: oddBit(zeroPoint),
    },
  });
}

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
  return withReal(
    tiesToEven((acc) => Math.fround(Math.fround(acc) * scale), zeroPoint),
    { slope: scale, by: 0, zeroPoint, odd: oddBit(zeroPoint) },
  );
}

/** The same with the zero point added in float32 before it is rounded, as the kernels of two activations do. */
export function shiftedRounding(scale: number, zeroPoint: number): SourceRounding {
  const f = Math.fround;
  return tiesToEven((acc) => f(f(f(acc) * scale) + zeroPoint), 0);
}

/** Rounds the exact `acc * scale` half to even: for sources whose own arithmetic is no function of the accumulator. */
export function idealRounding(scale: number, zeroPoint: number): SourceRounding {
  return tiesToEven((acc) => acc * scale, zeroPoint);
}

/**
 * Rounds `acc * scale + offset` half to even, for sources that compute it in float32 from parts. Where the scales make
 * ties come again and again, as equal ones and decimal fractions do, a value so near to one that float32 cannot tell it
 * apart is one.
 */
export function affineRounding(scale: number, offset: number, zeroPoint: number): SourceRounding {
  const real = (acc: number) => acc * scale + offset;
  const line = { slope: scale, by: offset, zeroPoint };
  if (tiesRecur(scale, offset))
    return withReal(
      tiesToEven((acc) => nearTie(real(acc)), zeroPoint),
      { ...line, odd: oddBit(zeroPoint) },
    );
  return withReal((acc) => roundHalfEven(real(acc)) + zeroPoint, line);
}

/** Of float32 and some operations on them. */
const TIE_NOISE = 2 ** -22;

/** How far float32 may leave a real of this size from where it is. */
export const noiseAt = (x: number): number => TIE_NOISE * (Math.abs(x) + 1);

/** The tie next to x, if float32 could not tell them apart. */
export function nearTie(x: number): number {
  const tie = Math.floor(x) + 0.5;
  return Math.abs(x - tie) <= noiseAt(x) ? tie : x;
}

/** Whether accumulators hit the ties of 8-bit outputs more often than by chance. */
function tiesRecur(scale: number, offset: number): boolean {
  let hits = 0;
  let byChance = 0;
  for (let q = -256; q < 256; q++) {
    const tie = q + 0.5;
    const nearest = Math.round((tie - offset) / scale) * scale + offset;
    if (Math.abs(nearest - tie) <= noiseAt(tie)) hits++;
    byChance += Math.min(1, (2 * noiseAt(tie)) / scale);
  }
  return hits >= 3 && hits > 4 * byChance + 3;
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
