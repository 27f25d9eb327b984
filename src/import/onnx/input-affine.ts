import type { InputAffine } from '../../model/model.ts';
import { elementCount } from '../../model/tensor.ts';
import type { NodeReader } from './node-reader.ts';
import type { FloatInput } from './values.ts';
import { realConstant } from './weights.ts';

/**
 * A float input and a constant, element by element: a scaler that stands before the QuantizeLinear of the input.
 *
 * @returns `undefined` if neither side is the input
 */
export function scaledInput(c: NodeReader, operator: 'Mul' | 'Add' | 'Sub' | 'Div'): FloatInput | undefined {
  const at = [0, 1].find((index) => c.input(index).kind === 'floatInput');
  if (at === undefined) return undefined;
  const input = c.input(at) as FloatInput;
  // What was done to an element is kept in the input's own order.
  if (input.sources !== undefined || input.pooled !== undefined)
    return c.refuseFloat(at, 'the input is moved first; scale it before it is transposed or cut');
  const constant = realConstant(c.input(1 - at));
  const values = constant && spread(constant, input.shape);
  if (values === undefined)
    return c.refuseFloat(1 - at, `before the QuantizeLinear of the input stand only constants of its shape`);
  const count = elementCount(input.shape);
  const before = input.affine ?? {
    factors: new Array<number>(count).fill(1),
    offsets: new Array<number>(count).fill(0),
  };
  switch (operator) {
    case 'Mul':
      return { ...input, affine: times(before, values) };
    case 'Add':
      return { ...input, affine: plus(before, values) };
    case 'Sub': {
      if (at === 0) return { ...input, affine: plus(before, negatives(values)) };
      return { ...input, affine: plus(times(before, negatives(values.map(() => 1))), values) };
    }
    case 'Div':
      if (at === 1 || values.includes(0))
        return c.refuseFloat(
          1,
          'the QuantizeLinear of the input is reached by no quotient of it but by constants',
        );
      return {
        ...input,
        affine: times(
          before,
          values.map((value) => 1 / value),
        ),
      };
  }
}

const negatives = (values: readonly number[]): number[] => values.map((value) => -value);

const times = ({ factors, offsets }: InputAffine, values: readonly number[]): InputAffine => ({
  factors: factors.map((f, i) => f * values[i]!),
  offsets: offsets.map((o, i) => o * values[i]!),
});

const plus = ({ factors, offsets }: InputAffine, values: readonly number[]): InputAffine => ({
  factors,
  offsets: offsets.map((o, i) => o + values[i]!),
});

/** One value, one a channel, or one an element, as one an element. */
function spread(
  { values, dims }: { readonly values: Float64Array; readonly dims: readonly number[] },
  shape: readonly number[],
): number[] | undefined {
  const count = elementCount(shape);
  const own = dims.slice(Math.max(0, dims.length - shape.length));
  if (values.length === 1) return new Array<number>(count).fill(values[0]!);
  if (values.length === count) return Array.from(values);
  const inner = count / shape[0]!;
  const isByChannel = own.length === shape.length && own[0] === shape[0] && values.length === shape[0];
  return isByChannel ? Array.from({ length: count }, (_, i) => values[Math.floor(i / inner)]!) : undefined;
}
