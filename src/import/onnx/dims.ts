import { refuse } from '../../diagnostics/index.ts';
import { elementCount } from '../../model/tensor.ts';
import type { NodeReader } from './node-reader.ts';
import type { Constant } from './tensor-data.ts';
import type { FloatInput, Quantised, QuantisedConstant, Real, Value } from './values.ts';

/** A value of the network; of constants the whole shape is known, of these all but the batch. */
export type Activity = Quantised | Real | FloatInput;

/** A value that does not depend on the input. */
export type Fixed = Constant | QuantisedConstant;

/** Whether its whole shape is known, the batch included. */
export const isFixed = (value: Value): value is Fixed =>
  value.kind === 'constant' || value.kind === 'quantisedConstant';

/** Shape without the batch. */
export function shapeOf(value: Activity): readonly number[] {
  return value.kind === 'quantised' ? value.activation.type.shape : value.shape;
}

/**
 * All dimensions of a value. The batch counts as one row, in front: what moves elements of a row moves them in every other
 * alike.
 */
export const dimsOf = (value: Activity | Fixed): readonly number[] =>
  isFixed(value) ? value.dims : [1, ...shapeOf(value)];

/** The value at an input, of whatever kind but one that was refused. */
export function valueAt(c: NodeReader, index: number): Activity | Fixed {
  const value = c.input(index);
  if (value.kind === 'refused') throw new Error('nodes that read a refused value are passed over');
  return value;
}

/** As messages show it: `[1, 28, 28]`. */
export const dimsText = (dims: readonly number[]): string => `[${dims.join(', ')}]`;

/** @throws DiagnosticError if the first dimension is not that of the batch any more */
export function withoutBatch(c: NodeReader, dims: readonly number[]): readonly number[] {
  const [batch, ...shape] = dims;
  if (batch !== 1 || shape.length === 0)
    refuse(
      'shape-mismatch',
      { expected: 'the batch in front, of which a packet carries one row', actual: dimsText(dims) },
      c.place(0),
    );
  return shape;
}

/** The same elements under other dimensions. */
export function seenAs(c: NodeReader, value: Activity | Fixed, dims: readonly number[]): Value {
  switch (value.kind) {
    case 'constant':
      return { ...value, dims };
    case 'quantisedConstant':
      return { ...value, dims, axis: axisIn(c, value, dims) };
    case 'quantised': {
      const { activation } = value;
      const shape = withoutBatch(c, dims);
      return { kind: 'quantised', activation: { ...activation, type: { ...activation.type, shape } } };
    }
    case 'real':
    case 'floatInput':
      return { ...value, shape: withoutBatch(c, dims) };
  }
}

/** Where the axis of the scales is among other dimensions; any where there is but one scale. */
function axisIn(
  c: NodeReader,
  { dims: from, axis, scales }: QuantisedConstant,
  to: readonly number[],
): number {
  if (scales.length === 1) return 0;
  const before = elementCount(from.slice(0, axis));
  const found = to.findIndex((size, i) => size === from[axis] && elementCount(to.slice(0, i)) === before);
  if (found < 0)
    refuse(
      'bad-quantisation',
      { what: `${c.operator} takes apart the axis along which its scales run` },
      c.place(0),
    );
  return found;
}

/** An axis counted from the end if negative. @throws DiagnosticError if there is none such */
export function axisOf(c: NodeReader, given: number, rank: number): number {
  const axis = given < 0 ? given + rank : given;
  if (!Number.isInteger(axis) || axis < 0 || axis >= rank)
    c.refuseAttribute('axis', given, `an axis of the ${rank} that there are`);
  return axis;
}

/** Whole numbers of a constant input. */
export const integersAt = (c: NodeReader, index: number, what: string): number[] =>
  Array.from(c.constant(index, what).values);

/** Whole numbers of an optional constant input. */
export const optionalIntegers = (c: NodeReader, index: number, what: string): number[] | undefined =>
  c.optional(index) === undefined ? undefined : integersAt(c, index, what);
