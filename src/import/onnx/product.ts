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
    if (best?.exactness.accumulators === 0 && best.ties === undefined) break;
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

/** All pairs by their product, which is all that integers see of them. */
interface Pairs {
  readonly total: number;
  /** Of 16 bits they take 33. */
  readonly products: Float64Array;
  /** What the source makes of a product, as a rule. */
  readonly wanted: Int32Array;
  /** So often. */
  readonly counts: Int32Array;
  /** The pairs of which it makes something else, though their product is the same. */
  readonly others: readonly { readonly product: number; readonly wanted: number }[];
}

/** All pairs of q-values less their zero points; of 16 bits every so manieth. */
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
  const products = new Float64Array(total);
  const [wanted, counts] = [new Int32Array(total), new Int32Array(total)];
  const others: { product: number; wanted: number }[] = [];
  const [low, high] = endsOf(left, right);
  // Of 16 bits nearly every pair has a product of its own.
  const places = high - low < MOST_PLACES ? new Int32Array(high - low + 1) : undefined;
  let next = 0;
  for (const x of left)
    for (const y of right) {
      const product = x * y;
      const q = Math.max(to.min, Math.min(to.max, round(x, y)));
      const known = places?.[product - low] ?? 0;
      const at = known === 0 ? next++ : known - 1;
      if (known === 0) {
        if (places !== undefined) places[product - low] = next;
        products[at] = product;
        wanted[at] = q;
      }
      if (wanted[at] === q) counts[at]!++;
      else others.push({ product, wanted: q });
    }
  return { total, products: products.subarray(0, next), wanted, counts, others };
}

/** Products that a place each is kept for: those of bytes. */
const MOST_PLACES = 2 ** 17;

function endsOf(left: readonly number[], right: readonly number[]): readonly [number, number] {
  const corners = [left[0]!, left.at(-1)!].flatMap((x) => [x * right[0]!, x * right.at(-1)!]);
  return [Math.min(...corners), Math.max(...corners)];
}

/** @param limit of pairs at which the integers differ, where counting ends */
function productExactness(
  fitted: Requantiser,
  { total, products, wanted, counts, others }: Pairs,
  limit = total + 1,
): Exactness {
  let accumulators = 0;
  for (const other of others) if (other.wanted !== requantise(fitted, 0, other.product)) accumulators++;
  for (let i = 0; i < products.length && accumulators < limit; i++)
    if (wanted[i] !== requantise(fitted, 0, products[i]!)) accumulators += counts[i]!;
  return { channels: accumulators === 0 ? 0 : 1, accumulators, total };
}
