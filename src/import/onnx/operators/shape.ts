import { refuse } from '../../../diagnostics/index.ts';
import { elementCount } from '../../../model/tensor.ts';
import { axisOf, dimsOf, dimsText, isFixed, seenAs, valueAt } from '../dims.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Value } from '../values.ts';

/** Operators that see the same elements under other dimensions; the batch stays in front. */

/** Axes up to the attribute's become one, and the rest another. */
export function flatten(c: NodeReader): Value {
  const x = valueAt(c, 0);
  const dims = dimsOf(x);
  const given = c.int('axis', 1);
  const axis = given === dims.length ? given : axisOf(c, given, dims.length);
  if (axis === 0 && !isFixed(x)) c.refuseAttribute('axis', given, '1 and above (the batch stays in front)');
  return seenAs(c, x, [elementCount(dims.slice(0, axis)), elementCount(dims.slice(axis))]);
}

/** Target `[batch, ...]`: 0 copies a size, one -1 takes what is left. */
export function reshape(c: NodeReader): Value {
  const x = valueAt(c, 0);
  const target = Array.from(c.constant(1, 'the shape').values);
  const dims = dimsOf(x);
  const allowZero = c.opset >= 14 && c.int('allowzero', 0) === 1;
  const sizes = target.map((size, i) => (size === 0 && !allowZero ? (dims[i] ?? 0) : size));
  // A batch of a fixed size is one row here as well.
  if (
    !isFixed(x) &&
    sizes.length > 1 &&
    !sizes.includes(-1) &&
    elementCount(sizes.slice(1)) === elementCount(dims)
  )
    sizes[0] = 1;
  const known = sizes.filter((size) => size !== -1).reduce((a, b) => a * b, 1);
  const resolved = sizes.map((size) => (size === -1 ? elementCount(dims) / known : size));
  const isSize = (size: number) => Number.isInteger(size) && size >= (isFixed(x) ? 0 : 1);
  if (!resolved.every(isSize) || elementCount(resolved) !== elementCount(dims))
    refuse(
      'shape-mismatch',
      { expected: `a shape of ${elementCount(dims)} elements`, actual: dimsText(target) },
      c.place(0),
    );
  return seenAs(c, x, resolved);
}

/** Drops axes of size 1. */
export function squeeze(c: NodeReader): Value {
  const x = valueAt(c, 0);
  const dims = dimsOf(x);
  const axes = axesOf(c)?.map((axis) => axisOf(c, axis, dims.length));
  if (axes?.some((a) => dims[a] !== 1 || (!isFixed(x) && a === 0)))
    c.refuseAttribute('axes', dimsText(axes), 'axes of size 1 behind the batch');
  const isBatch = (i: number) => i === 0 && !isFixed(x);
  const stays = (size: number, i: number) =>
    isBatch(i) || (axes === undefined ? size !== 1 : !axes.includes(i));
  const left = dims.filter(stays);
  // One element a row is still one.
  return seenAs(c, x, left.length === 1 && !isFixed(x) ? [...left, 1] : left);
}

/** Inserts axes of size 1, counted in the result. */
export function unsqueeze(c: NodeReader): Value {
  const x = valueAt(c, 0);
  const dims = [...dimsOf(x)];
  const given = axesOf(c) ?? [];
  const rank = dims.length + given.length;
  const axes = given.map((a) => axisOf(c, a, rank)).sort((a, b) => a - b);
  if (!isFixed(x) && axes.includes(0))
    c.refuseAttribute('axes', dimsText(given), '1 and above: the batch stays in front');
  for (const axis of axes) dims.splice(axis, 0, 1);
  return seenAs(c, x, dims);
}

/** An attribute up to operator set 12, an input from 13 on. */
export function axesOf(c: NodeReader, since = 13): readonly number[] | undefined {
  if (c.opset < since) return c.ints('axes');
  return c.optional(1) === undefined ? undefined : Array.from(c.constant(1, 'the list of axes').values);
}

/** The very value of its input: no layer comes of it. */
export const identity = (c: NodeReader): Value => c.input(0);

/** Outside of training nothing is dropped. */
export function dropout(c: NodeReader): Value {
  c.ignore('ratio', 'seed');
  c.optional(1);
  const training = c.optional(2) === undefined ? undefined : c.constant(2, 'the mode');
  if (training?.values.some((on) => on !== 0)) c.refuseAttribute('training_mode', 'true', 'false');
  return c.input(0);
}
