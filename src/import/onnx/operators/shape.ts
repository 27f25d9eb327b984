import { refuse } from '../../../diagnostics/index.ts';
import { elementCount } from '../../../model/tensor.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Value } from '../values.ts';

/** The value under another view of its elements; the batch stays in front. */
function reshapedTo(c: NodeReader, value: Value, shape: readonly number[]): Value {
  switch (value.kind) {
    case 'quantised': {
      const { activation } = value;
      return { kind: 'quantised', activation: { ...activation, type: { ...activation.type, shape } } };
    }
    case 'real':
    case 'floatInput':
      return { ...value, shape };
    default:
      return refuse('onnx-malformed', { reason: `${c.operator} of a quantised constant` }, c.place(0));
  }
}

/** Shape without the batch. */
function shapeOf(c: NodeReader, value: Value): readonly number[] {
  switch (value.kind) {
    case 'quantised':
      return value.activation.type.shape;
    case 'real':
    case 'floatInput':
      return value.shape;
    default:
      return refuse('onnx-malformed', { reason: `${c.operator} of a constant` }, c.place(0));
  }
}

export function flatten(c: NodeReader): Value {
  const x = c.input(0);
  const shape = shapeOf(c, x);
  const axis = c.int('axis', 1);
  if (axis !== 1 && axis !== -shape.length) c.refuseAttribute('axis', axis, '1 (the batch stays in front)');
  return reshapedTo(c, x, [elementCount(shape)]);
}

/** Target `[batch, ...]`: 0 copies a size, one -1 takes what is left. */
export function reshape(c: NodeReader): Value {
  const x = c.input(0);
  const target = Array.from(c.constant(1, 'the shape').values);
  if (x.kind === 'constant') return { ...x, dims: resolve(c, target, x.dims) };
  const shape = shapeOf(c, x);
  const [batch, ...rest] = target;
  const to = resolve(c, rest, shape, batch === -1);
  return reshapedTo(c, x, to);
}

function resolve(
  c: NodeReader,
  target: readonly number[],
  shape: readonly number[],
  batchTaken = false,
): readonly number[] {
  const allowZero = c.int('allowzero', 0) === 1;
  const sizes = target.map((size, i) => (size === 0 && !allowZero ? (shape[i] ?? 0) : size));
  const known = sizes.filter((size) => size !== -1).reduce((a, b) => a * b, 1);
  const count = elementCount(shape);
  const resolved = batchTaken ? sizes : sizes.map((size) => (size === -1 ? count / known : size));
  if (resolved.some((size) => size < 1 || !Number.isInteger(size)) || elementCount(resolved) !== count)
    refuse(
      'shape-mismatch',
      { expected: `a shape of ${count} elements behind the batch`, actual: `[${target.join(', ')}]` },
      c.place(0),
    );
  return resolved;
}

/** Drops axes of size 1; without the batch, axis `a` of the source is `a - 1` here. */
export function squeeze(c: NodeReader): Value {
  const x = c.input(0);
  const shape = shapeOf(c, x);
  const axes = axesOf(c, shape.length + 1);
  if (axes?.some((a) => a < 1 || shape[a - 1] !== 1))
    c.refuseAttribute('axes', `[${axes.join(', ')}]`, 'axes of size 1 behind the batch');
  return reshapedTo(
    c,
    x,
    shape.filter((size, i) => (axes === undefined ? size !== 1 : !axes.includes(i + 1))),
  );
}

/** Inserts axes of size 1, counted in the result. */
export function unsqueeze(c: NodeReader): Value {
  const x = c.input(0);
  const shape = [...shapeOf(c, x)];
  const given = axesOf(c) ?? [];
  const rank = shape.length + 1 + given.length;
  const axes = given.map((a) => (a < 0 ? a + rank : a)).sort((a, b) => a - b);
  if (axes.some((a) => a < 1 || a >= rank)) c.refuseAttribute('axes', `[${given.join(', ')}]`, '1 and above');
  for (const axis of axes) shape.splice(axis - 1, 0, 1);
  return reshapedTo(c, x, shape);
}

/** An attribute up to operator set 12, an input from 13 on. */
function axesOf(c: NodeReader, rank?: number): readonly number[] | undefined {
  const listed = () =>
    c.optional(1) === undefined ? undefined : Array.from(c.constant(1, 'the list of axes').values);
  const axes = c.opset < 13 ? c.ints('axes') : listed();
  return rank === undefined ? axes : axes?.map((a) => (a < 0 ? a + rank : a));
}

export const identity = (c: NodeReader): Value => c.input(0);

/** Outside of training nothing is dropped. */
export function dropout(c: NodeReader): Value {
  c.ignore('ratio', 'seed');
  c.optional(1);
  const training = c.optional(2) === undefined ? undefined : c.constant(2, 'the mode');
  if (training?.values.some((on) => on !== 0)) c.refuseAttribute('training_mode', 'true', 'false');
  return c.input(0);
}
