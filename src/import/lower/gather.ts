import { refuse } from '../../diagnostics/index.ts';
import { elementCount } from '../../model/tensor.ts';
import type { Activation, ModelBuilder } from '../builder.ts';

/** Elements of a tensor that is made of others: more than any target holds. One that was that long before may stay so. */
const MOST_ELEMENTS = 2 ** 22;

/**
 * Elements of a shape before anything of it is made. Whoever walks the graph knows the place of what is thrown.
 * @param from elements of what it is made of @throws DiagnosticError `too-large`
 */
export function boundedCount(shape: readonly number[], from = 0): number {
  const limit = Math.max(MOST_ELEMENTS, from);
  const count = elementCount(shape);
  if (count <= limit && shape.every((size) => Number.isSafeInteger(size) && size >= 0)) return count;
  return refuse('too-large', { what: `would make a tensor of [${shape.slice(0, 8).join(', ')}]`, limit });
}

/** Elements of a shape by place, and the shape: what a movement of data makes of them. */
export interface Moved {
  readonly shape: readonly number[];
  /** Index of each element among those of the inputs, one after the other; -1 for none. */
  readonly sources: Int32Array;
}

/**
 * Elements of values of one grid in another order; -1 is `value`, real zero if absent. What leaves all as it is makes no layer.
 */
export function lowerGather(
  builder: ModelBuilder,
  name: string,
  inputs: readonly Activation[],
  shape: readonly number[],
  sources: Int32Array,
  value = inputs[0]!.type.zeroPoint,
): Activation {
  const { type, value: first } = inputs[0]!;
  const output = { ...type, shape };
  const same = sources.length === elementCount(type.shape) && sources.every((source, i) => source === i);
  if (same) return { value: first, type: output };
  builder.spend(sources.length);
  return builder.add(name, { kind: 'gather', inputs: inputs.map((i) => i.value), output, sources, value });
}

/** Index of each element of `shape`, as `read` sees its place. */
export function movedBy(
  shape: readonly number[],
  from: readonly number[],
  read: (place: readonly number[]) => readonly number[] | undefined,
): Moved {
  const strides = from.map((_, axis) => elementCount(from.slice(axis + 1)));
  const place = shape.map(() => 0);
  const sources = Int32Array.from({ length: boundedCount(shape, elementCount(from)) }, () => {
    const source = read(place);
    const index = source?.reduce((sum, at, axis) => sum + at * strides[axis]!, 0) ?? -1;
    for (let axis = shape.length - 1; axis >= 0 && ++place[axis]! === shape[axis]; axis--) place[axis] = 0;
    return index;
  });
  return { shape, sources };
}

/** The inputs side by side along an axis. @pre all other sizes are equal */
export function concatSources(shapes: readonly (readonly number[])[], axis: number): Moved {
  const first = shapes[0]!;
  const total = shapes.reduce((sum, shape) => sum + shape[axis]!, 0);
  const shape = first.map((size, i) => (i === axis ? total : size));
  const outer = elementCount(first.slice(0, axis));
  const sources = new Int32Array(boundedCount(shape));
  const runs = shapes.map((s) => elementCount(s.slice(axis)));
  let at = 0;
  for (let o = 0; o < outer; o++) {
    let before = 0;
    for (const run of runs) {
      for (let i = 0; i < run; i++) sources[at++] = before + o * run + i;
      before += outer * run;
    }
  }
  return { shape, sources };
}

/** Every `step`-th of `[start, start + step * size)` along an axis; the step may be negative. */
export const sliceSources = (
  from: readonly number[],
  axis: number,
  start: number,
  size: number,
  step = 1,
): Moved =>
  movedBy(
    from.map((s, i) => (i === axis ? size : s)),
    from,
    (place) => place.map((at, i) => (i === axis ? start + at * step : at)),
  );

/** The shape's elements repeated along its axes of size 1, matched from the last axis, until they have the other's. */
export function broadcastSources(from: readonly number[], to: readonly number[]): Moved {
  const padded = [...to.slice(from.length).map(() => 1), ...from];
  return movedBy(to, padded, (place) => place.map((at, i) => (padded[i] === 1 ? 0 : at)));
}
