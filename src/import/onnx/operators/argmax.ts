import { refuse } from '../../../diagnostics/index.ts';
import { elementCount } from '../../../model/tensor.ts';
import { type Activation, viewed } from '../../builder.ts';
import type { NodeReader } from '../node-reader.ts';
import { scoresOf } from '../ranges.ts';
import { isFree, type Real, type Value } from '../values.ts';

/** The softmax of one row keeps the order of what it is taken of. */
function beforeSoftmax({ term, clamp, shape }: Real): Activation | undefined {
  if (term.kind !== 'softmax' || !isFree(clamp) || term.size !== elementCount(shape)) return undefined;
  return viewed(term.input, shape);
}

/**
 * The index of the largest element of the whole tensor: our verdict layer, whose second byte is the margin.
 * Dequantising keeps the order, so reals on a grid are compared by their integers.
 */
export function argMax(c: NodeReader): Value {
  c.requireInt('select_last_index', 0);
  // The verdict has a shape of its own.
  c.ignore('keepdims');
  const x = c.input(0);
  const input =
    x.kind === 'quantised'
      ? x.activation
      : x.kind === 'real'
        ? (beforeSoftmax(x) ?? scoresOf(c, x))
        : c.refuseFloat(0, 'there is no QuantizeLinear before it');
  const { shape } = input.type;
  const given = c.int('axis', 0);
  const axis = given < 0 ? given + shape.length + 1 : given;
  const count = elementCount(shape);
  if (axis === 0 || shape[axis - 1] !== count)
    c.refuseAttribute('axis', given, `the axis that holds all ${count} elements`);
  if (count > 256)
    refuse('shape-mismatch', { expected: 'at most 256 classes', actual: String(count) }, c.place(0));
  const output = { element: 'uint8', shape: [2], scale: 1, zeroPoint: 0 } as const;
  const activation = c.builder.add(c.name, { kind: 'argmax', inputs: [input.value], output });
  return { kind: 'quantised', activation };
}
