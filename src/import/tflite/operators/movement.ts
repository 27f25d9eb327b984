import { elementCount, elementRange } from '../../../model/tensor.ts';
import { boundedCount, concatSources, type Moved, movedBy, sliceSources } from '../../lower/gather.ts';
import { lowerFunction, lowerFunctions, lowerPad, lowerTranspose } from '../../lower/lookup.ts';
import { asImage, fromImage, likewise, reshapedTo } from '../layout.ts';
import { gathered } from '../movement.ts';
import type { NodeReader } from '../node-reader.ts';
import { withoutBatch } from '../shape.ts';
import type { Quantised, Value } from '../values.ts';
import { MOST_TABLES } from './pair.ts';
import { requireSameGrid } from './pooling.ts';

/** An axis of the source's tensor among those of the value, which has no batch. */
function axisOf(c: NodeReader, given: number, rank: number, shape: readonly number[]): number {
  const axis = (given < 0 ? given + rank : given) - (rank - shape.length);
  if (!(axis >= 0 && axis < shape.length)) c.refuseOption('axis', given, 'those behind the batch');
  return axis;
}

/** Brought to the output's grid where it has another, as `ConcatenationWithScaling` does in float32. */
function onGrid(c: NodeReader, input: Quantised): Quantised {
  const output = c.outputGrid;
  const { scale, zeroPoint, element } = input.activation.type;
  if (scale === output.scale && zeroPoint === output.zeroPoint && element === output.element) return input;
  const { lo, hi } = elementRange(output.element);
  const factor = Math.fround(Math.fround(1 / output.scale) * scale);
  const bias = Math.fround(-zeroPoint * factor);
  const f = (q: number) => {
    const x = Math.fround(Math.fround((q + zeroPoint) * factor) + bias);
    return Math.sign(x) * Math.floor(Math.abs(x) + 0.5) + output.zeroPoint;
  };
  const to = { ...output, min: lo, max: hi };
  return likewise(input, lowerFunction(c.builder, `${c.name}_grid`, input.activation, to, f));
}

/** An input on the output's grid, computed or constant. */
function part(c: NodeReader, index: number): Quantised {
  if (!c.isConstant(index)) return onGrid(c, c.activation(index));
  const computed = c.node.inputs.findIndex((_, i) => !c.isConstant(i));
  return onGrid(c, constantBeside(c, c.activation(Math.max(0, computed)), index));
}

/** A constant as a value: elements of another one, each by a table of the same number throughout. */
function constantBeside(c: NodeReader, beside: Quantised, index: number): Quantised {
  const { values, grid, shape: given } = c.constant(index);
  const shape = withoutBatch(given);
  if (values.length > MOST_TABLES) c.refuseShape(`a constant of up to ${MOST_TABLES} elements`, given);
  const from = gathered(c, [beside], {
    shape: [values.length],
    sources: new Int32Array(values.length),
  });
  const { lo, hi } = elementRange(grid.element);
  const functions = Array.from(values, (q) => () => q + grid.zeroPoint);
  const to = { ...grid, min: lo, max: hi };
  const activation = lowerFunctions(c.builder, `${c.name}_constant${index}`, from.activation, to, functions);
  return reshapedTo({ ...from, activation }, shape);
}

/** Options: axis, activation. */
export function concatenation(c: NodeReader): Value {
  if (c.node.inputs.some((_, i) => c.value(i)?.kind === 'integers')) return joined(c);
  const inputs = c.node.inputs.map((_, i) => part(c, i));
  if (c.option(1, 0) !== 0) c.refuseOption('fused_activation_function', c.option(1, 0), 'NONE');
  const { length } = c.tensor(0).shape;
  const given = c.optionInt(0, 0);
  const isBatch = (given < 0 ? given + length : given) === 0 && inputs[0]!.shape.length < length;
  // The batch, of one, is an axis like others here.
  const shapes = inputs.map((input) => (isBatch ? [1, ...input.shape] : input.shape));
  const shape = shapes[0]!;
  const axis = isBatch ? 0 : axisOf(c, given, length, shape);
  const alike = (s: readonly number[]) =>
    s.length === shape.length && s.every((size, i) => i === axis || size === shape[i]);
  for (const own of shapes) if (!alike(own)) c.refuseShape(`[${shape.join(', ')}] but for axis ${axis}`, own);
  return gathered(c, inputs, concatSources(shapes, axis));
}

const joined = (c: NodeReader): Value => ({
  kind: 'integers',
  values: c.node.inputs.flatMap((_, i) => c.integers(i, 'a part of a shape')),
});

/** Options: count, axis. Values of one shape side by side along a new axis; or numbers of a shape. */
export function pack(c: NodeReader): Value {
  if (c.node.inputs.some((_, i) => c.value(i)?.kind === 'integers')) return joined(c);
  const inputs = c.node.inputs.map((_, i) => part(c, i));
  const shape = withoutBatch(c.output.shape);
  if (inputs.length === 1) return reshapedTo(inputs[0]!, shape);
  const axis = axisOf(c, c.optionInt(1, 0), c.output.shape.length, shape);
  const one = shape.map((size, i) => (i === axis ? 1 : size));
  for (const input of inputs)
    if (elementCount(input.shape) !== elementCount(one)) c.refuseShape(`[${one.join(', ')}]`, input.shape);
  return gathered(
    c,
    inputs,
    concatSources(
      inputs.map(() => one),
      axis,
    ),
  );
}

/** Options: count, axis. */
export function unpack(c: NodeReader): Value[] {
  const input = c.activation(0);
  const axis = axisOf(c, c.optionInt(1, 0), c.tensor(0).shape.length, input.shape);
  return parts(c, input, axis, Array<number>(input.shape[axis]!).fill(1), (shape) => {
    const rest = shape.filter((_, i) => i !== axis);
    return rest.length === 0 ? [1] : rest;
  });
}

function parts(
  c: NodeReader,
  input: Quantised,
  axis: number,
  sizes: readonly number[],
  seen: (shape: readonly number[]) => readonly number[] = (shape) => shape,
): Value[] {
  if (sizes.reduce((a, b) => a + b, 0) !== input.shape[axis] || sizes.length !== c.node.outputs.length)
    c.refuseShape(`${c.node.outputs.length} parts of ${input.shape[axis]} elements`, sizes);
  let start = 0;
  return sizes.map((size) => {
    const moved = sliceSources(input.shape, axis, start, size);
    start += size;
    return gathered(c, [input], { ...moved, shape: seen(moved.shape) });
  });
}

/** Inputs: axis, value. */
export function split(c: NodeReader): Value[] {
  const input = c.activation(1);
  const axis = axisOf(c, c.integers(0, 'the axis')[0]!, c.tensor(1).shape.length, input.shape);
  const count = c.node.outputs.length;
  return parts(c, input, axis, Array<number>(count).fill(input.shape[axis]! / count));
}

/** Inputs: value, sizes, axis. */
export function splitV(c: NodeReader): Value[] {
  const input = c.activation(0);
  const axis = axisOf(c, c.integers(2, 'the axis')[0]!, c.tensor(0).shape.length, input.shape);
  const sizes = c.integers(1, 'the sizes');
  const known = sizes.reduce((sum, size) => sum + Math.max(0, size), 0);
  const whole = sizes.map((size) => (size < 0 ? input.shape[axis]! - known : size));
  return parts(c, input, axis, whole);
}

/** Numbers of the value's shape: the file's own may be open. */
export function shape(c: NodeReader): Value {
  const value = c.value(0);
  const { shape: given, open } = c.tensor(0);
  if (!open.includes(true) || (value?.kind !== 'quantised' && value?.kind !== 'floatInput'))
    return { kind: 'integers', values: given };
  const batch = given.length - value.shape.length;
  return { kind: 'integers', values: [...given.slice(0, Math.max(0, batch)), ...value.shape] };
}

/** Inputs: value, permutation. */
export function transpose(c: NodeReader): Value {
  const input = c.activation(0);
  const given = c.integers(1, 'the permutation');
  const { length } = c.tensor(0).shape;
  if (given.length !== length || [...given].sort((a, b) => a - b).some((axis, i) => axis !== i))
    c.refuseOption('perm', `[${given.join(', ')}]`, `a permutation of ${length} axes`);
  // The batch, of one, may stand anywhere: nothing moves by that.
  const batch = length - input.shape.length;
  const axes = given.filter((axis) => axis >= batch).map((axis) => axis - batch);
  const shape = axes.map((axis) => input.shape[axis]!);
  if (input.order === 'source') {
    const from = { ...input.activation, type: { ...input.activation.type, shape: input.shape } };
    const activation = lowerTranspose(c.builder, c.name, from, axes);
    return { kind: 'quantised', activation, shape, order: 'source' };
  }
  const inverse = input.shape.map((_, d) => axes.indexOf(d));
  const moved = movedBy(shape, input.shape, (place) => inverse.map((d) => place[d]!));
  return gathered(c, [input], moved);
}

/** Pads by axis, without those of the batch. */
function padsOf(c: NodeReader, input: Quantised): (readonly [before: number, behind: number])[] {
  const pads = c.integers(1, 'the pads');
  const { length } = c.tensor(0).shape;
  const batch = length - input.shape.length;
  const all = Array.from({ length }, (_, i) => [pads[2 * i] ?? -1, pads[2 * i + 1] ?? -1] as const);
  if (
    pads.some((n) => n < 0) ||
    pads.length !== 2 * length ||
    all
      .slice(0, batch)
      .flat()
      .some((n) => n !== 0)
  )
    c.refuseOption('paddings', `[${pads.join(', ')}]`, 'whole numbers behind the batch');
  return all.slice(batch);
}

const padded = (shape: readonly number[], pads: readonly (readonly [number, number])[]): number[] =>
  shape.map((size, i) => size + pads[i]![0] + pads[i]![1]);

/** Inputs: value, pads; of PADV2 the q-value that is put around, real zero without. */
export function pad(c: NodeReader): Value {
  const input = c.activation(0);
  const { zeroPoint } = input.activation.type;
  requireSameGrid(c);
  const pads = padsOf(c, input);
  const value =
    c.optional(2) === undefined ? zeroPoint : c.constant(2).values[0]! + c.constant(2).grid.zeroPoint;
  const image = asImage(c.builder, c.name, input);
  const [before, behind] = pads.at(-1) ?? [1, 1];
  if (image !== undefined && before === 0 && behind === 0) {
    const [vertical, horizontal] = pads.length === 3 ? [pads[0]!, pads[1]!] : [[0, 0] as const, pads[0]!];
    const around = [vertical[0], horizontal[0], vertical[1], horizontal[1]] as const;
    const made = fromImage(lowerPad(c.builder, c.name, image, around, value));
    return { ...made, shape: padded(input.shape, pads) };
  }
  const moved = movedBy(padded(input.shape, pads), input.shape, (place) => {
    const inside = place.map((at, i) => at - pads[i]![0]);
    return inside.every((at, i) => at >= 0 && at < input.shape[i]!) ? inside : undefined;
  });
  return gathered(c, [input], moved, value);
}

/** Options: mode, REFLECT or SYMMETRIC (the edge itself is repeated). */
export function mirrorPad(c: NodeReader): Value {
  const input = c.activation(0);
  const pads = padsOf(c, input);
  const edge = c.option(0, 0);
  const most = (size: number) => size - 1 + edge;
  if (pads.some((p, i) => Math.max(...p) > most(input.shape[i]!)))
    c.refuseOption('paddings', `[${pads.flat().join(', ')}]`, 'less than the image');
  const folded = (at: number, size: number) =>
    at < 0 ? -at - edge : at >= size ? 2 * size - 2 - at + edge : at;
  const moved: Moved = movedBy(padded(input.shape, pads), input.shape, (place) =>
    place.map((at, i) => folded(at - pads[i]![0], input.shape[i]!)),
  );
  return gathered(c, [input], moved);
}

/** Inputs: value, how often along each axis. */
export function tile(c: NodeReader): Value {
  const input = c.activation(0);
  const batch = c.tensor(0).shape.length - input.shape.length;
  const repeats = c.integers(1, 'the repeats');
  if (repeats.slice(0, batch).some((n) => n !== 1) || repeats.some((n) => n < 1))
    c.refuseOption('multiples', `[${repeats.join(', ')}]`, 'whole numbers behind the batch');
  const shape = input.shape.map((size, i) => size * (repeats[i + batch] ?? 1));
  return gathered(
    c,
    [input],
    movedBy(shape, input.shape, (place) => place.map((at, i) => at % input.shape[i]!)),
  );
}

/** Inputs: value, height and width. Options: corners aligned, centres of pixels at a half. */
export function resizeNearest(c: NodeReader): Value {
  const input = c.activation(0);
  const [height, width, channels] = input.shape;
  const sizes = c.integers(1, 'the size');
  if (channels === undefined || input.shape.length !== 3 || sizes.length !== 2 || sizes.some((n) => n < 1))
    return c.refuseShape('[height, width, channels] and a size of two', input.shape);
  const aligned = c.node.options?.bool(0) ?? false;
  const half = c.node.options?.bool(1) ?? false;
  const f = Math.fround;
  const table = (from: number, to: number): number[] => {
    const scale = f(aligned && to > 1 ? (from - 1) / (to - 1) : from / to);
    return Array.from({ length: to }, (_, at) => {
      const place = f(f(at + (half ? 0.5 : 0)) * scale);
      // Half away from zero, as all is positive here.
      return Math.max(0, Math.min(from - 1, aligned ? Math.floor(place + 0.5) : Math.floor(place)));
    });
  };
  const shape = [...sizes, channels];
  boundedCount(shape, elementCount(input.shape));
  const [rows, columns] = [table(height!, sizes[0]!), table(width!, sizes[1]!)];
  return gathered(
    c,
    [input],
    movedBy(shape, input.shape, ([y, x, ch]) => [rows[y!]!, columns[x!]!, ch!]),
  );
}

/** Options: block. Channels become pixels, or pixels channels. */
export const depthToSpace = (c: NodeReader): Value => blocked(c, true);
/** Options: block. Pixels become channels. */
export const spaceToDepth = (c: NodeReader): Value => blocked(c, false);

function blocked(c: NodeReader, toSpace: boolean): Value {
  const input = c.activation(0);
  const [height, width, channels] = input.shape as [number, number, number];
  const block = c.optionInt(0, 0);
  const fits = toSpace
    ? channels % (block * block) === 0
    : height % block === 0 && width % block === 0 && block > 0;
  if (input.shape.length !== 3 || !(block >= 1) || !fits)
    c.refuseOption('block_size', block, `one that divides [${input.shape.join(', ')}]`);
  const depth = toSpace ? channels / (block * block) : channels;
  const shape = toSpace
    ? [height * block, width * block, depth]
    : [height / block, width / block, channels * block * block];
  const moved = movedBy(shape, input.shape, ([y, x, ch]) => {
    if (toSpace) {
      const within = (y! % block) * block + (x! % block);
      return [Math.floor(y! / block), Math.floor(x! / block), within * depth + ch!];
    }
    const within = Math.floor(ch! / depth);
    return [y! * block + Math.floor(within / block), x! * block + (within % block), ch! % depth];
  });
  return gathered(c, [input], moved);
}
