import type { InputAffine } from '../../model/model.ts';
import { elementCount } from '../../model/tensor.ts';
import { broadcastSources } from '../lower/gather.ts';
import type { NodeReader } from './node-reader.ts';
import type { FloatInput } from './values.ts';
import { realConstant } from './weights.ts';

/** `x * factors + offsets`, one of each an element. */
type Step = { readonly factors: readonly number[]; readonly offsets: readonly number[] };

/**
 * A float input and a constant, element by element: a scaler that stands before the QuantizeLinear of the input.
 *
 * @returns `undefined` if neither side is the input
 */
export function scaledInput(c: NodeReader, operator: 'Mul' | 'Add' | 'Sub' | 'Div'): FloatInput | undefined {
  const at = [0, 1].find((index) => c.input(index).kind === 'floatInput');
  if (at === undefined) return undefined;
  const input = c.input(at) as FloatInput;
  const constant = realConstant(c.input(1 - at));
  const values = constant && spread(constant, input.shape);
  if (values === undefined)
    return c.refuseFloat(1 - at, `before the QuantizeLinear of the input stand only constants of its shape`);
  const all = (value: number) => values.map(() => value);
  const opposite = values.map((value) => -value);
  switch (operator) {
    case 'Mul':
      return stepped(c, at, input, { factors: values, offsets: all(0) });
    case 'Add':
      return stepped(c, at, input, { factors: all(1), offsets: values });
    case 'Sub':
      return stepped(
        c,
        at,
        input,
        at === 0 ? { factors: all(1), offsets: opposite } : { factors: all(-1), offsets: values },
      );
    case 'Div':
      if (at === 1 || values.includes(0))
        return c.refuseFloat(
          1,
          'the QuantizeLinear of the input is reached by no quotient of it but by constants',
        );
      return stepped(c, at, input, { factors: values.map((value) => 1 / value), offsets: all(0) });
  }
}

/** The float input of index 0, each channel, its first axis, by a factor and an offset: a normalisation. */
export function normalisedInput(
  c: NodeReader,
  input: FloatInput,
  factors: readonly number[],
  offsets: readonly number[],
): FloatInput {
  const count = elementCount(input.shape);
  const inner = count / factors.length;
  const each = (values: readonly number[]) =>
    Array.from({ length: count }, (_, i) => values[Math.floor(i / inner)]!);
  return stepped(c, 0, input, { factors: each(factors), offsets: each(offsets) });
}

function stepped(c: NodeReader, at: number, input: FloatInput, step: Step): FloatInput {
  if (input.pooled !== undefined)
    return c.refuseFloat(at, 'there is no QuantizeLinear between the maxima of the input and this operator');
  const own = inOrderOfInput(c, at, input, step);
  const before = input.affine;
  if (before === undefined) return { ...input, affine: own };
  return {
    ...input,
    affine: {
      factors: before.factors.map((f, i) => f * own.factors[i]!),
      offsets: before.offsets.map((o, i) => o * own.factors[i]! + own.offsets[i]!),
    },
  };
}

/** Of an input that was moved before: what is done to its elements, in the input's own order. */
function inOrderOfInput(
  c: NodeReader,
  at: number,
  { shape, from = shape, sources }: FloatInput,
  step: Step,
): InputAffine {
  if (sources === undefined) return step;
  const factors = new Array<number>(elementCount(from)).fill(1);
  const offsets = new Array<number>(elementCount(from)).fill(0);
  const seen = new Set<number>();
  for (const [i, source] of sources.entries()) {
    const [factor, offset] = [step.factors[i]!, step.offsets[i]!];
    const isOther = seen.has(source) && (factors[source] !== factor || offsets[source] !== offset);
    if (source < 0 || isOther)
      return c.refuseFloat(at, 'the input is padded or repeated first; scale it before that');
    seen.add(source);
    factors[source] = factor;
    offsets[source] = offset;
  }
  return { factors, offsets };
}

/** One value an element, repeated along axes of size 1. */
function spread(
  { values, dims }: { readonly values: Float64Array; readonly dims: readonly number[] },
  shape: readonly number[],
): number[] | undefined {
  if (values.length === elementCount(shape)) return Array.from(values);
  const lead = dims.length - shape.length;
  if (dims.slice(0, Math.max(0, lead)).some((size) => size !== 1)) return undefined;
  const own = dims.slice(Math.max(0, lead));
  const fits = own.every((size, i) => size === 1 || size === shape[shape.length - own.length + i]);
  return fits ? Array.from(broadcastSources(own, shape).sources, (at) => values[at]!) : undefined;
}
