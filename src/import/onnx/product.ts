import { WIDE_STEP } from '../../model/add-fit.ts';
import { productRange } from '../../model/ranges.ts';
import {
  affineRounding,
  type Exactness,
  idealRounding,
  type Requantiser,
  requantise,
  roundHalfEven,
  shiftedRounding,
} from '../../model/requantiser.ts';
import { elementRange, isWide } from '../../model/tensor.ts';
import type { Activation, ModelBuilder, Quantisation } from '../builder.ts';
import { lowerElement } from '../lower/functions-of-elements.ts';
import type { Clamp } from '../lower/linear.ts';
import { lowerMul } from '../lower/product.ts';
import { isSameValue } from './moves.ts';
import type { ProductTerm } from './values.ts';

/**
 * In float32: one product of the scales by the kernel of integers. Else each value by itself, so that two pairs of the same
 * product may differ next to a tie: all pairs are tried, and those counted at which the integers differ.
 */
export function lowerProduct(builder: ModelBuilder, term: ProductTerm, to: Quantisation & Clamp): Activation {
  const { a, b, fused } = term;
  const ratio = (a.type.scale * b.type.scale) / to.scale;
  if ([a.type, b.type, to].some(({ element }) => isWide(element))) {
    const [range, rounding] = [productRange(a.type, b.type), affineRounding(ratio, 0, to.zeroPoint)];
    const fitted = builder.fit([rounding], [range], to.min, to.max);
    const exactness = productExactness(fitted, pairsOf(term, to));
    return lowerMul(builder, { ...term, output: to, rounding: { ...fitted, exactness } });
  }
  if (isSameValue(a, b)) {
    const product = fusedRounding(term, to);
    const round = fused ? (x: number, y: number) => product(x * y) : pairRounding(term, to);
    const apart = a.type.zeroPoint - b.type.zeroPoint;
    return lowerElement(builder, term.name, a, to, (acc) => round(acc, acc + apart));
  }
  if (fused) return lowerMul(builder, { ...term, output: to, rounding: fusedRounding(term, to) });
  const range = [productRange(a.type, b.type)];
  const pairs = pairsOf(term, to);
  let best: Requantiser | undefined;
  for (const source of [
    idealRounding(ratio, to.zeroPoint),
    affineRounding(ratio, 0, to.zeroPoint),
    (acc: number) => Math.ceil(acc * ratio - 0.5) + to.zeroPoint,
    (acc: number) => Math.floor(acc * ratio + 0.5) + to.zeroPoint,
  ]) {
    const fitted = builder.fit([source], range, to.min, to.max);
    // One that is as good is better if it has no form for ties, which costs instructions.
    const isSimpler = best?.ties !== undefined && fitted.ties === undefined;
    const limit = (best?.exactness.accumulators ?? pairs.total) + (best === undefined || isSimpler ? 1 : 0);
    const exactness = productExactness(fitted, pairs, limit);
    if (exactness.accumulators < limit) best = { ...fitted, exactness };
  }
  return lowerMul(builder, { ...term, output: to, rounding: best! });
}

/** By the kernel of integers, from the product of both. */
const fusedRounding = ({ a, b }: ProductTerm, to: Quantisation) =>
  shiftedRounding(Math.fround(Math.fround(a.type.scale * b.type.scale) / to.scale), to.zeroPoint);

/** DequantizeLinear of both, Mul and QuantizeLinear, a float32 operation each; from q-values less their zero points. */
function pairRounding({ a, b }: ProductTerm, to: Quantisation): (x: number, y: number) => number {
  const f = Math.fround;
  return (x, y) => roundHalfEven(f(f(f(x * a.type.scale) * f(y * b.type.scale)) / to.scale)) + to.zeroPoint;
}

interface Pairs {
  /** q-values less their zero points. */
  readonly left: readonly number[];
  readonly right: readonly number[];
  readonly total: number;
  /** What the source makes of each pair. */
  readonly wanted: Int32Array;
}

/** All pairs of q-values; of 16 bits every so manieth. */
function pairsOf(term: ProductTerm, to: Quantisation & Clamp): Pairs {
  const round = pairRounding(term, to);
  const centred = ({ type: { element, zeroPoint } }: Activation) => {
    const { lo, hi } = elementRange(element);
    const step = isWide(element) ? WIDE_STEP : 1;
    const count = Math.ceil((hi - lo + 1) / step);
    return Array.from({ length: count }, (_, i) => lo + i * step - zeroPoint);
  };
  const [left, right] = [centred(term.a), centred(term.b)];
  const total = left.length * right.length;
  const wanted = new Int32Array(total);
  let at = 0;
  for (const x of left) for (const y of right) wanted[at++] = Math.max(to.min, Math.min(to.max, round(x, y)));
  return { left, right, total, wanted };
}

/** @param limit of pairs at which the integers differ, where counting ends */
function productExactness(
  fitted: Requantiser,
  { left, right, total, wanted }: Pairs,
  limit = total + 1,
): Exactness {
  let accumulators = 0;
  let at = 0;
  for (const x of left) {
    if (accumulators >= limit) break;
    for (const y of right) if (wanted[at++] !== requantise(fitted, 0, x * y)) accumulators++;
  }
  return { channels: accumulators === 0 ? 0 : 1, accumulators, total };
}
