import { refuse } from '../../../diagnostics/index.ts';
import { elementCount } from '../../../model/tensor.ts';
import type { Activation } from '../../builder.ts';
import { type Moved, movedBy } from '../../lower/gather.ts';
import { axisOf } from '../dims.ts';
import { onGrid } from '../materialise.ts';
import { moveValues } from '../moves.ts';
import type { NodeReader } from '../node-reader.ts';
import { scoresOf } from '../ranges.ts';
import { type Real, realActivation, type SoftmaxTerm, unclamped, type Value } from '../values.ts';

/** Along an axis; before operator set 13 over all elements from the axis on. */
function softmaxOf(c: NodeReader, log: boolean): Value {
  const x = c.input(0);
  if (x.kind !== 'real') return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
  return softmaxReal(c, scoresOf(c, x), c.opset < 13 ? 1 : -1, c.opset < 13, log);
}

/** Shares of 1 along an axis, behind the batch. */
export const softmax = (c: NodeReader): Value => softmaxOf(c, false);
/** The logarithms of those shares, in the same layer. */
export const logSoftmax = (c: NodeReader): Value => softmaxOf(c, true);

/** @param flattens whether all axes from the named one on are one */
export function softmaxReal(
  c: NodeReader,
  input: Activation,
  absent: number,
  flattens: boolean,
  log: boolean,
): Real {
  const { shape } = input.type;
  const axis = axisOf(c, c.int('axis', absent), shape.length + 1);
  if (axis === 0)
    return refuse(
      'onnx-attribute',
      { attribute: 'axis', value: '0', supported: 'an axis behind the batch' },
      c.place(),
    );
  const at = axis - 1;
  const isLast = elementCount(shape.slice(axis)) === 1;
  const term = (of: Activation, size: number): Real => {
    const made: SoftmaxTerm = { kind: 'softmax', name: c.name, input: of, size, log };
    return { kind: 'real', term: made, clamp: unclamped, shape: of.type.shape };
  };
  if (flattens) return term(input, elementCount(shape.slice(at)));
  if (isLast) return term(input, shape[at]!);
  // The axis is brought to the end and back.
  const others = shape.map((_, i) => i).filter((i) => i !== at);
  const there = permuted([1, ...shape], [0, ...others.map((i) => i + 1), axis]);
  const moved = moveValues(c, [realActivation(input)], there);
  if (moved.kind !== 'real') throw new Error('reals stay reals');
  const rows = term(onGrid(c, moved, 0), shape[at]!);
  const back = [0, ...others.map((i) => i + 1), axis].reduce<number[]>((perm, from, to) => {
    perm[from] = to;
    return perm;
  }, []);
  const result = moveValues(c, [rows], permuted(there.shape, back));
  if (result.kind !== 'real') throw new Error('reals stay reals');
  return result;
}

/** Dimension d of the result is dimension `perm[d]`. */
export function permuted(dims: readonly number[], perm: readonly number[]): Moved {
  const shape = perm.map((axis) => dims[axis]!);
  return movedBy(shape, dims, (place) => {
    const from = new Array<number>(dims.length);
    for (const [d, axis] of perm.entries()) from[axis] = place[d]!;
    return from;
  });
}
