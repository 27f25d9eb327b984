import { refuse } from '../../../diagnostics/index.ts';
import { elementCount } from '../../../model/tensor.ts';
import { broadcastSources, concatSources, type Moved, movedBy } from '../../lower/gather.ts';
import {
  type Activity,
  axisOf,
  dimsOf,
  dimsText,
  type Fixed,
  integersAt,
  isFixed,
  optionalIntegers,
  valueAt,
} from '../dims.ts';
import { moveValues } from '../moves.ts';
import type { NodeReader } from '../node-reader.ts';
import { DataType } from '../tensor-data.ts';
import type { Value } from '../values.ts';
import { realConstant } from '../weights.ts';

/** Operators that move elements and compute nothing. */

/** Without `perm` the axes are reversed. */
export function transpose(c: NodeReader): Value {
  const x = valueAt(c, 0);
  const dims = dimsOf(x);
  const perm = c.ints('perm') ?? dims.map((_, axis) => dims.length - 1 - axis);
  if ([...perm].sort((a, b) => a - b).join() !== dims.map((_, axis) => axis).join())
    c.refuseAttribute('perm', dimsText(perm), `${dims.map((_, axis) => axis).join(', ')} in some order`);
  const shape = perm.map((axis) => dims[axis]!);
  return moveValues(
    c,
    [x],
    movedBy(shape, dims, (place) => {
      const from = new Array<number>(dims.length);
      for (const [d, axis] of perm.entries()) from[axis] = place[d]!;
      return from;
    }),
  );
}

/** Activations and constants alike. */
export function concat(c: NodeReader): Value {
  const values = c.node.input.map((_, i) => valueAt(c, i));
  return joined(c, values);
}

/** Side by side along the attribute's axis. */
export function joined(c: NodeReader, values: readonly (Activity | Fixed)[]): Value {
  const dims = values.map(dimsOf);
  const axis = axisOf(c, c.int('axis', c.opset < 4 ? 1 : Number.NaN), dims[0]!.length);
  const others = (shape: readonly number[]) => shape.map((size, i) => (i === axis ? 0 : size)).join();
  const odd = dims.findIndex((shape) => others(shape) !== others(dims[0]!));
  if (odd >= 0)
    refuse(
      'shape-mismatch',
      { expected: `${dimsText(dims[0]!)} but for axis ${axis}`, actual: dimsText(dims[odd]!) },
      c.place(odd),
    );
  return moveValues(c, values, concatSources(dims, axis));
}

/** By sizes that are given, else in equal parts of which the last may be smaller. */
export function split(c: NodeReader): readonly Value[] {
  const x = valueAt(c, 0);
  const dims = dimsOf(x);
  const axis = axisOf(c, c.int('axis', 0), dims.length);
  const outputs = c.node.output.length;
  const given = c.opset < 13 ? c.ints('split') : optionalIntegers(c, 1, 'the sizes');
  if (c.opset >= 18) c.ignore('num_outputs');
  const each = Math.ceil(dims[axis]! / outputs);
  const sizes = given ?? Array.from({ length: outputs }, (_, i) => Math.min(each, dims[axis]! - i * each));
  if (sizes.length !== outputs || sizes.some((s) => s < 1) || sizes.reduce((a, b) => a + b) !== dims[axis])
    c.refuseAttribute('split', dimsText(sizes), `${outputs} sizes that sum up to ${dims[axis]}`);
  let start = 0;
  return sizes.map((size) => {
    const first = start;
    start += size;
    return moveValues(c, [x], ranged(dims, [{ axis, start: first, size, step: 1 }]));
  });
}

interface Range {
  readonly axis: number;
  readonly start: number;
  readonly size: number;
  readonly step: number;
}

function ranged(dims: readonly number[], ranges: readonly Range[]): Moved {
  const of = new Map(ranges.map((r) => [r.axis, r]));
  const shape = dims.map((size, axis) => of.get(axis)?.size ?? size);
  return movedBy(shape, dims, (place) =>
    place.map((at, axis) => {
      const r = of.get(axis);
      return r === undefined ? at : r.start + at * r.step;
    }),
  );
}

/** Bounds are inputs from operator set 10 on, attributes before. */
export function slice(c: NodeReader): Value {
  const x = valueAt(c, 0);
  const dims = dimsOf(x);
  const isOld = c.opset < 10;
  const starts = isOld ? (c.ints('starts') ?? []) : integersAt(c, 1, 'the beginnings');
  const ends = isOld ? (c.ints('ends') ?? []) : integersAt(c, 2, 'the ends');
  const axes = (isOld ? c.ints('axes') : optionalIntegers(c, 3, 'the axes')) ?? starts.map((_, i) => i);
  const steps = (isOld ? undefined : optionalIntegers(c, 4, 'the steps')) ?? starts.map(() => 1);
  const ranges = starts.map((given, i): Range => {
    const axis = axisOf(c, axes[i]!, dims.length);
    const size = dims[axis]!;
    const step = steps[i]!;
    if (!Number.isInteger(step) || step === 0) c.refuseAttribute('steps', step, 'a whole number but 0');
    const inside = (at: number) => {
      const own = at < 0 ? at + size : at;
      return step > 0 ? Math.max(0, Math.min(size, own)) : Math.max(-1, Math.min(size - 1, own));
    };
    const start = inside(given);
    const count = Math.ceil((inside(ends[i]!) - start) / step);
    if (!(count >= 1))
      refuse('shape-mismatch', { expected: 'at least one element', actual: 'an empty slice' }, c.place(0));
    return { axis, start, size: count, step };
  });
  return moveValues(c, [x], ranged(dims, ranges));
}

/** Slices by constant indices. */
export function gather(c: NodeReader): Value {
  const x = valueAt(c, 0);
  const dims = dimsOf(x);
  const axis = axisOf(c, c.int('axis', 0), dims.length);
  const indices = c.constant(1, 'the list of indices');
  const size = dims[axis]!;
  const at = Array.from(indices.values, (i) => (i < 0 ? i + size : i));
  const wrong = at.find((i) => !Number.isInteger(i) || i < 0 || i >= size);
  if (wrong !== undefined)
    refuse('shape-mismatch', { expected: `indices below ${size}`, actual: `${wrong}` }, c.place(1));
  const shape = [...dims.slice(0, axis), ...indices.dims, ...dims.slice(axis + 1)];
  const strides = indices.dims.map((_, i) => elementCount(indices.dims.slice(i + 1)));
  const moved = movedBy(shape, dims, (place) => {
    const index = strides.reduce((sum, stride, i) => sum + stride * place[axis + i]!, 0);
    return [...place.slice(0, axis), at[index]!, ...place.slice(axis + indices.dims.length)];
  });
  return moveValues(c, [x], moved);
}

/** Repeats axes of size 1; sizes that are already larger stay. */
export function expand(c: NodeReader): Value {
  const x = valueAt(c, 0);
  const dims = dimsOf(x);
  const wanted = integersAt(c, 1, 'the shape');
  const rank = Math.max(dims.length, wanted.length);
  const aligned = (list: readonly number[]) => [...new Array<number>(rank - list.length).fill(1), ...list];
  const [from, to] = [aligned(dims), aligned(wanted)];
  const shape = from.map((size, i) => (size === 1 ? to[i]! : size));
  if (shape.some((size, i) => size !== to[i] && to[i] !== 1))
    refuse('shape-mismatch', { expected: dimsText(wanted), actual: dimsText(dims) }, c.place(0));
  return moveValues(c, [x], broadcastSources(from, shape));
}

/** Repeats each axis as a whole. */
export function tile(c: NodeReader): Value {
  const x = valueAt(c, 0);
  const dims = dimsOf(x);
  const repeats = integersAt(c, 1, 'the repeats');
  const shape = dims.map((size, i) => size * (repeats[i] ?? 1));
  return moveValues(
    c,
    [x],
    movedBy(shape, dims, (place) => place.map((at, i) => at % dims[i]!)),
  );
}

/** Elements of one value or of the other, by a constant; of the two at most one number is a constant. */
export const where = (c: NodeReader): Value =>
  chosen(c, valueAt(c, 1), valueAt(c, 2), (constant) => scalarAt(c, constant === 'a' ? 1 : 2));

/** @param number the constant among both, which is one number */
export function chosen(
  c: NodeReader,
  a: Activity | Fixed,
  b: Activity | Fixed,
  number: (constant: 'a' | 'b') => number,
): Value {
  const condition = c.constant(0, 'the condition');
  const spread = (dims: readonly number[], to: readonly number[]) => broadcastSources(dims, to).sources;
  const constant = isFixed(a) ? 'a' : isFixed(b) ? 'b' : undefined;
  const activities = [a, b].filter((value) => !isFixed(value));
  const dims = [condition.dims, dimsOf(a), dimsOf(b)].reduce((all, own) => {
    const rank = Math.max(all.length, own.length);
    const size = (of: readonly number[], i: number) => of[of.length - rank + i] ?? 1;
    return Array.from({ length: rank }, (_, i) => Math.max(size(all, i), size(own, i)));
  });
  const fill = constant === undefined ? 0 : number(constant);
  const [chosen, ofA, ofB] = [condition.dims, dimsOf(a), dimsOf(b)].map((own) => spread(own, dims)) as [
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  const behind = constant === undefined ? elementCount(dimsOf(a)) : 0;
  const sources = chosen.map((at, i) => {
    const isA = condition.values[at] !== 0;
    if (constant === (isA ? 'a' : 'b')) return -1;
    return isA ? ofA[i]! : behind + ofB[i]!;
  });
  return moveValues(c, activities, { shape: dims, sources }, fill);
}

/** A border of one value, of what is there mirrored, or of the last element repeated. */
export function pad(c: NodeReader): Value {
  const x = valueAt(c, 0);
  const dims = dimsOf(x);
  const mode = c.string('mode', 'constant');
  const isOld = c.opset < 11;
  const given = isOld ? (c.ints('pads') ?? []) : integersAt(c, 1, 'the pads');
  const value = isOld ? c.float('value', 0) : scalarAt(c, 2);
  const axes = c.opset < 18 ? undefined : optionalIntegers(c, 3, 'the axes');
  const padded = (axes ?? dims.map((_, axis) => axis)).map((axis) => axisOf(c, axis, dims.length));
  if (given.length !== 2 * padded.length)
    c.refuseAttribute('pads', dimsText(given), 'beginning and end of each axis');
  const before = dims.map(() => 0);
  const after = dims.map(() => 0);
  for (const [i, axis] of padded.entries()) {
    before[axis] = given[i]!;
    after[axis] = given[i + padded.length]!;
  }
  const shape = dims.map((size, axis) => size + before[axis]! + after[axis]!);
  if (shape.some((size) => size < 1))
    refuse('shape-mismatch', { expected: 'elements left by the pads', actual: dimsText(shape) }, c.place(0));
  const place = borderOf(c, mode, dims);
  const moved = movedBy(shape, dims, (at) => {
    const inside = at.map((p, axis) => place(p - before[axis]!, axis));
    return inside.includes(Number.NaN) ? undefined : inside;
  });
  return moveValues(c, [x], moved, value);
}

/** What stands at a place of an axis, which may be outside; NaN for nothing. */
function borderOf(
  c: NodeReader,
  mode: string,
  dims: readonly number[],
): (at: number, axis: number) => number {
  switch (mode) {
    case 'constant':
      return (at, axis) => (at >= 0 && at < dims[axis]! ? at : Number.NaN);
    case 'edge':
      return (at, axis) => Math.max(0, Math.min(dims[axis]! - 1, at));
    case 'reflect':
      return (at, axis) => {
        const last = dims[axis]! - 1;
        if (last === 0) return 0;
        const round = ((at % (2 * last)) + 2 * last) % (2 * last);
        return round > last ? 2 * last - round : round;
      };
    case 'wrap':
      return (at, axis) => ((at % dims[axis]!) + dims[axis]!) % dims[axis]!;
    default:
      return c.refuseAttribute('mode', mode, 'constant, edge, reflect, wrap');
  }
}

/** An optional constant of one element; 0 without. */
function scalarAt(c: NodeReader, index: number): number {
  const value = c.optional(index);
  if (value === undefined) return 0;
  const constant = realConstant(value);
  if (constant?.values.length !== 1)
    return refuse('onnx-dynamic', { tensor: c.tensor(index), what: 'the value' }, c.place(index));
  return constant.values[0]!;
}

/** Blocks of channels become pixels. */
export function depthToSpace(c: NodeReader): Value {
  const x = valueAt(c, 0);
  const [n, channels, height, width] = imageDims(c, x);
  const block = c.int('blocksize', 0);
  const mode = c.string('mode', 'DCR');
  if (mode !== 'DCR' && mode !== 'CRD') c.refuseAttribute('mode', mode, 'DCR, CRD');
  const area = block * block;
  if (!(block >= 1) || channels % area !== 0)
    c.refuseAttribute('blocksize', block, `a number whose square divides ${channels} channels`);
  const depth = channels / area;
  const shape = [n, depth, height * block, width * block];
  const moved = movedBy(shape, dimsOf(x), ([b, ch, y, i]) => {
    const [dy, dx] = [y! % block, i! % block];
    const offset = dy * block + dx;
    const from = mode === 'DCR' ? offset * depth + ch! : ch! * area + offset;
    return [b!, from, Math.floor(y! / block), Math.floor(i! / block)];
  });
  return moveValues(c, [x], moved);
}

/** Pixels become blocks of channels. */
export function spaceToDepth(c: NodeReader): Value {
  const x = valueAt(c, 0);
  const [n, channels, height, width] = imageDims(c, x);
  const block = c.int('blocksize', 0);
  if (!(block >= 1) || height % block !== 0 || width % block !== 0)
    c.refuseAttribute('blocksize', block, `a divisor of ${height} and ${width}`);
  const shape = [n, channels * block * block, height / block, width / block];
  const moved = movedBy(shape, dimsOf(x), ([b, ch, y, i]) => {
    const offset = Math.floor(ch! / channels);
    const [dy, dx] = [Math.floor(offset / block), offset % block];
    return [b!, ch! % channels, y! * block + dy, i! * block + dx];
  });
  return moveValues(c, [x], moved);
}

function imageDims(c: NodeReader, x: Activity | Fixed): [number, number, number, number] {
  const dims = dimsOf(x);
  if (dims.length !== 4)
    refuse(
      'shape-mismatch',
      { expected: '[batch, channels, height, width]', actual: dimsText(dims) },
      c.place(0),
    );
  return dims as unknown as [number, number, number, number];
}

/** The dimensions of a value; of the batch, of which a packet carries one row, that is 1. */
export function shape(c: NodeReader): Value {
  const dims = dimsOf(valueAt(c, 0));
  const bound = (given: number) =>
    Math.max(0, Math.min(dims.length, given < 0 ? given + dims.length : given));
  const part = c.opset < 15 ? dims : dims.slice(bound(c.int('start', 0)), bound(c.int('end', dims.length)));
  return {
    kind: 'constant',
    name: c.node.output[0] ?? c.name,
    dims: [part.length],
    dataType: DataType.int64,
    values: Float64Array.from(part),
  };
}
