import { elementRange, type Interval, isWide, type TensorType } from './tensor.ts';

/** Bits of a two's complement integer that holds the interval. */
export function signedBits({ lo, hi }: Interval): number {
  const furthest = Math.max(hi, -lo - 1);
  // At least so many; the logarithm alone may be rounded.
  let bits = furthest >= 2 ? Math.min(1024, Math.floor(Math.log2(furthest))) : 1;
  while (lo < -(2 ** (bits - 1)) || hi > 2 ** (bits - 1) - 1) bits++;
  return bits;
}

/** Accumulators must fit in 31 bits and a sign: what int32 hardware and the frameworks use. */
const ACCUMULATOR_BITS = 32;

/** The same of 16-bit inputs: what the kernels of TFLite hold such sums in, and what doubles add exactly. */
const WIDE_ACCUMULATOR_BITS = 48;

/** Bits of the signed accumulator that sums of such inputs must fit: 32, or 48 for 16-bit elements. */
export const accumulatorBits = ({ element }: Pick<TensorType, 'element'>): number =>
  isWide(element) ? WIDE_ACCUMULATOR_BITS : ACCUMULATOR_BITS;

/**
 * Exact bounds of each output channel's accumulator when every input may be any element of its type: inputs come off
 * the wire, so nothing narrower may be assumed of them. `weights` is row-major, `[out][taps]`.
 */
export function accumulatorRanges(
  layer: { readonly weights: Int16Array; readonly bias: ArrayLike<number> },
  input: TensorType,
): Interval[] {
  const { lo, hi } = elementRange(input.element);
  const least = lo - input.zeroPoint;
  const most = hi - input.zeroPoint;
  const taps = layer.weights.length / layer.bias.length;
  return Array.from(layer.bias, (bias, o) => {
    let positive = 0;
    let negative = 0;
    for (let i = o * taps; i < (o + 1) * taps; i++) {
      const w = layer.weights[i]!;
      if (w > 0) positive += w;
      else negative += w;
    }
    return { lo: bias + positive * least + negative * most, hi: bias + positive * most + negative * least };
  });
}

/** Bounds of a bag's sum over all keys, known and unknown. */
export function embeddingRange({
  table,
  bag,
}: {
  readonly table: Int16Array;
  readonly bag: number;
}): Interval {
  const least = table.reduce((a, b) => Math.min(a, b), 0);
  const most = table.reduce((a, b) => Math.max(a, b), 0);
  return { lo: bag * least, hi: bag * most };
}

/** Bounds of the product of two elements, each less its zero point. */
export function productRange(a: TensorType, b: TensorType): Interval {
  const ends = ({ element, zeroPoint }: TensorType) => {
    const { lo, hi } = elementRange(element);
    return [lo - zeroPoint, hi - zeroPoint];
  };
  const products = ends(a).flatMap((x) => ends(b).map((y) => x * y));
  return { lo: Math.min(...products), hi: Math.max(...products) };
}
