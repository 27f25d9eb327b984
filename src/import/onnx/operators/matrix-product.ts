import { refuse } from '../../../diagnostics/index.ts';
import { productRange } from '../../../model/ranges.ts';
import { elementCount, elementRange, type Interval, type TensorType } from '../../../model/tensor.ts';
import { type Activation, sameShape } from '../../builder.ts';
import { lowerGather } from '../../lower/gather.ts';
import { requireBytes } from '../../lower/lookup.ts';
import { lowerMul } from '../../lower/product.ts';
import type { LinearReal } from '../affine.ts';
import type { NodeReader } from '../node-reader.ts';
import { type LinearTerm, unclamped } from '../values.ts';

/** Products of elements, each a multiplication that is written out. */
const MOST_PRODUCTS = 2 ** 16;

/**
 * A matrix of activations by another, one for each index of the axes in front: all products of elements, exactly, as values of 16 bits;
 * then their sums, which are those of a convolution whose weights are 1.
 */
export function matrixProduct(c: NodeReader, a: Activation, b: Activation): LinearReal {
  requireBytes(c.builder, c.name, [a.type.element, b.type.element], 'a product of two matrices');
  const { lead, rows, inner, columns } = sizesOf(c, a.type, b.type);
  const count = lead * rows * columns * inner;
  if (count > MOST_PRODUCTS)
    refuse(
      'too-large',
      {
        what: `multiplies ${count} pairs of activations, where one matrix is no constant`,
        limit: MOST_PRODUCTS,
      },
      c.place(),
    );
  c.builder.spend(2 * count);
  const [left, right] = [new Int32Array(count), new Int32Array(count)];
  let at = 0;
  for (let matrix = 0; matrix < lead; matrix++)
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        for (let k = 0; k < inner; k++, at++) {
          left[at] = (matrix * rows + row) * inner + k;
          right[at] = (matrix * inner + k) * columns + column;
        }
  const shape = [1, count / inner, inner];
  const part = (side: Activation, sources: Int32Array, name: string) =>
    lowerGather(c.builder, `${c.name}_${name}`, [side], shape, sources);
  const products = lowerMul(c.builder, {
    name: `${c.name}_products`,
    a: part(a, left, 'rows'),
    b: part(b, right, 'columns'),
    ...wholeProducts(a.type, b.type),
  });
  const conv = { kernel: [1, inner], strides: [1, 1], pads: [0, 0, 0, 0], groups: 1 } as const;
  const term: LinearTerm = {
    kind: 'linear',
    name: c.name,
    input: products,
    weights: new Int16Array(inner).fill(1),
    bias: new Float64Array(1),
    scale: Float64Array.of(products.type.scale),
    offset: new Float64Array(1),
    conv,
    fused: false,
  };
  return { kind: 'real', term, clamp: unclamped, shape: [...a.type.shape.slice(0, -1), columns] };
}

function sizesOf(c: NodeReader, a: TensorType, b: TensorType) {
  const [left, right] = [a.shape, b.shape];
  const [rows, inner] = left.slice(-2) as [number, number];
  const [other, columns] = right.slice(-2) as [number, number];
  const lead = left.slice(0, -2);
  if (left.length < 2 || right.length < 2 || inner !== other || !sameShape(lead, right.slice(0, -2)))
    refuse(
      'shape-mismatch',
      {
        expected: '[batch, ..., rows, inner] and [batch, ..., inner, columns] of two matrices of activations',
        actual: `[batch, ${left.join(', ')}] and [batch, ${right.join(', ')}]`,
      },
      c.place(),
    );
  return { lead: elementCount(lead), rows, inner, columns };
}

/** A grid that holds each product of two such q-values less their zero points as it is: there are 65,026 at most. */
function wholeProducts(a: TensorType, b: TensorType) {
  const { lo, hi }: Interval = productRange(a, b);
  const range = elementRange('int16');
  const zeroPoint = Math.max(range.lo - lo, Math.min(range.hi - hi, 0));
  const [min, max] = [lo + zeroPoint, hi + zeroPoint];
  return {
    output: { element: 'int16', scale: a.scale * b.scale, zeroPoint, min, max } as const,
    rounding: {
      multiplier: [1],
      offset: [zeroPoint],
      shift: 0,
      min,
      max,
      exactness: { channels: 0, accumulators: 0, total: hi - lo + 1 },
    },
  };
}
