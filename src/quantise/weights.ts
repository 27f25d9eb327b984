import { roundHalfEven } from '../model/requantiser.ts';

/** How many bits a weight has, and whether all outputs share one scale. */
export interface WeightOptions {
  readonly bits: 4 | 8;
  readonly perTensor: boolean;
}

/** Integers that stand for `scale * integer`. */
export interface QuantisedWeights {
  /** Row-major as the weights were; symmetric around zero. */
  readonly values: Int8Array;
  /** One, or one an output; float32. */
  readonly scales: Float32Array;
}

/** A bias beyond this many units of the accumulator would leave it no room in 32 bits. */
const MOST_BIAS = 2 ** 29;
/** Below this, products of scales are no normal float32 any more. */
const LEAST_SCALE = 2 ** -100;

/**
 * Integers of weights `[out][taps]`: -127..127 or -7..7. Of 8 bits the largest weight is the largest integer; of 4 bits
 * the scale is the one of least squared error, which cuts some off.
 */
export function quantiseWeights(
  weights: Float64Array,
  bias: Float64Array,
  inputScale: number,
  { bits, perTensor }: WeightOptions,
): QuantisedWeights {
  const outs = perTensor ? 1 : bias.length;
  const taps = weights.length / outs;
  const most = bits === 4 ? 7 : 127;
  const scales = Float32Array.from({ length: outs }, (_, o) => {
    const own = weights.subarray(o * taps, (o + 1) * taps);
    const biases = perTensor ? bias : bias.subarray(o, o + 1);
    const room = biases.reduce((max, b) => Math.max(max, Math.abs(b)), 0) / inputScale / MOST_BIAS;
    const largest = own.reduce((max, w) => Math.max(max, Math.abs(w)), 0) / most;
    return Math.max(bits === 4 ? bestScale(own, largest, most) : largest, room, LEAST_SCALE);
  });
  const values = Int8Array.from(weights, (w, i) => quantised(w, scales[Math.floor(i / taps)]!, most));
  return { values, scales };
}

const quantised = (w: number, scale: number, most: number): number =>
  Math.max(-most, Math.min(most, roundHalfEven(w / scale)));

const SHARES = Array.from({ length: 41 }, (_, i) => 1 - i / 80);

function bestScale(weights: Float64Array, largest: number, most: number): number {
  if (largest === 0) return 0;
  const error = (scale: number) =>
    weights.reduce((sum, w) => sum + (w - scale * quantised(w, scale, most)) ** 2, 0);
  const errors = SHARES.map((share) => error(share * largest));
  return SHARES[errors.indexOf(Math.min(...errors))]! * largest;
}

/** A bias in units of the accumulator: input scale times weight scale. */
export function quantiseBias(
  bias: Float64Array,
  inputScale: number,
  weightScales: Float32Array,
): { readonly values: Int32Array; readonly scales: Float32Array } {
  const scales = weightScales.map((scale) => Math.fround(inputScale * scale));
  const values = Int32Array.from(bias, (b, o) => Math.round(b / scales[scales.length === 1 ? 0 : o]!));
  return { values, scales };
}
