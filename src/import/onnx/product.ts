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
    const exactness = productExactness(fitted, term, to);
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
  const [best] = [
    idealRounding(ratio, to.zeroPoint),
    affineRounding(ratio, 0, to.zeroPoint),
    (acc: number) => Math.ceil(acc * ratio - 0.5) + to.zeroPoint,
    (acc: number) => Math.floor(acc * ratio + 0.5) + to.zeroPoint,
  ]
    .map((source) => builder.fit([source], range, to.min, to.max))
    .map((fitted) => ({ ...fitted, exactness: productExactness(fitted, term, to) }))
    .sort((x, y) => x.exactness.accumulators - y.exactness.accumulators || tieForms(x) - tieForms(y));
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

/** A form for ties costs instructions. */
const tieForms = ({ ties }: Requantiser): number => (ties === undefined ? 0 : 1);

/** Of all pairs of q-values; of 16 bits every so manieth. */
function productExactness(fitted: Requantiser, term: ProductTerm, to: Quantisation): Exactness {
  const round = pairRounding(term, to);
  const centred = ({ type: { element, zeroPoint } }: Activation) => {
    const { lo, hi } = elementRange(element);
    const step = isWide(element) ? WIDE_STEP : 1;
    const count = Math.ceil((hi - lo + 1) / step);
    return Array.from({ length: count }, (_, i) => lo + i * step - zeroPoint);
  };
  const [left, right] = [centred(term.a), centred(term.b)];
  let accumulators = 0;
  for (const x of left)
    for (const y of right) {
      const q = Math.max(fitted.min, Math.min(fitted.max, round(x, y)));
      if (q !== requantise(fitted, 0, x * y)) accumulators++;
    }
  return { channels: accumulators === 0 ? 0 : 1, accumulators, total: left.length * right.length };
}
