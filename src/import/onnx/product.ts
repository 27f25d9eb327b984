import { productRange } from '../../model/ranges.ts';
import {
  affineRounding,
  type Exactness,
  float32Rounding,
  idealRounding,
  type Requantiser,
  requantise,
  roundHalfEven,
} from '../../model/requantiser.ts';
import { elementRange } from '../../model/tensor.ts';
import type { Activation, ModelBuilder, Quantisation } from '../builder.ts';
import type { Clamp } from '../lower/linear.ts';
import { lowerMul } from '../lower/product.ts';
import type { ProductTerm } from './values.ts';

/**
 * In float32: one product of the scales by the kernel of integers. Else each value by itself, so that two pairs of the same
 * product may differ next to a tie: all pairs are tried, and those counted at which the integers differ.
 */
export function lowerProduct(builder: ModelBuilder, term: ProductTerm, to: Quantisation & Clamp): Activation {
  const { a, b, fused } = term;
  if (fused) {
    const scale = Math.fround(Math.fround(a.type.scale * b.type.scale) / to.scale);
    return lowerMul(builder, { ...term, output: to, rounding: float32Rounding(scale, to.zeroPoint) });
  }
  const ratio = (a.type.scale * b.type.scale) / to.scale;
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

/** A form for ties costs instructions. */
const tieForms = ({ ties }: Requantiser): number => (ties === undefined ? 0 : 1);

/** Of all pairs of q-values: DequantizeLinear of both, Mul and QuantizeLinear, a float32 operation each. */
function productExactness(fitted: Requantiser, { a, b }: ProductTerm, to: Quantisation): Exactness {
  const f = Math.fround;
  const centred = ({ type: { element, zeroPoint } }: Activation) => {
    const { lo, hi } = elementRange(element);
    return Array.from({ length: hi - lo + 1 }, (_, i) => lo + i - zeroPoint);
  };
  const [left, right] = [centred(a), centred(b)];
  let accumulators = 0;
  for (const x of left)
    for (const y of right) {
      const steps = f(f(f(x * a.type.scale) * f(y * b.type.scale)) / to.scale);
      const q = Math.max(fitted.min, Math.min(fitted.max, roundHalfEven(steps) + to.zeroPoint));
      if (q !== requantise(fitted, 0, x * y)) accumulators++;
    }
  return { channels: accumulators === 0 ? 0 : 1, accumulators, total: left.length * right.length };
}
