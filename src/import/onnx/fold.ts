import { refuse } from '../../diagnostics/index.ts';
import { elementCount } from '../../model/tensor.ts';
import { CONSTANT_COST } from '../builder.ts';
import { boundedCount, broadcastSources } from '../lower/gather.ts';
import type { NodeReader } from './node-reader.ts';
import { type Constant, DataType, isFloat } from './tensor-data.ts';
import type { Value } from './values.ts';

/**
 * Arithmetic between constants, as exporters leave it in a graph: of shapes most of all. Floats in float32 steps, whole
 * numbers exactly, quotients of whole numbers towards zero.
 *
 * @returns `undefined` if the operator is none of these or an input is no constant
 */
export function folded(c: NodeReader, inputs: readonly (Value | undefined)[]): Value | undefined {
  // A file may name an operator as JavaScript names what every object has.
  const fold = Object.hasOwn(folds, c.operator) ? folds[c.operator] : undefined;
  if (fold === undefined || c.node.domain || inputs.length === 0) return undefined;
  if (!inputs.every((value) => value?.kind === 'constant')) return undefined;
  const made = fold(
    c,
    inputs.map((_, i) => c.constant(i, 'the value')),
  );
  c.builder.spend(CONSTANT_COST * made.values.length);
  return made;
}

type Fold = (c: NodeReader, inputs: readonly Constant[]) => Constant;

const result = (
  c: NodeReader,
  dims: readonly number[],
  dataType: number,
  values: Iterable<number>,
): Constant => ({
  kind: 'constant',
  name: c.node.output[0] ?? c.name,
  dims,
  dataType,
  values: isFloat(dataType) ? Float32Array.from(values) : Float64Array.from(values),
});

const each =
  (of: (x: number) => number, dataType?: number): Fold =>
  (c, [x]) =>
    result(c, x!.dims, dataType ?? x!.dataType, Array.from(x!.values, of));

/** Element by element, each input repeated along its axes of size 1. */
const pairs =
  (of: (a: number, b: number, isReal: boolean) => number, dataType?: number): Fold =>
  (c, [a, b]) => {
    const dims = broadcastDims(a!.dims, b!.dims);
    boundedCount(dims, Math.max(a!.values.length, b!.values.length));
    const [at, bt] = [a!, b!].map((x) => broadcastSources(x.dims, dims).sources);
    const isReal = isFloat(a!.dataType);
    const values = Array.from({ length: elementCount(dims) }, (_, i) =>
      of(a!.values[at![i]!]!, b!.values[bt![i]!]!, isReal),
    );
    return result(c, dims, dataType ?? a!.dataType, values);
  };

/** All elements joined, two at a time: of a shape, which has one axis. */
const whole =
  (of: (a: number, b: number) => number): Fold =>
  (c, [x, given]) => {
    const { values, dims, dataType } = x!;
    const axes = c.ints('axes') ?? (given && Array.from(given.values)) ?? [];
    const none = axes.length === 0 && c.int('noop_with_empty_axes', 0) !== 0;
    if (none || (axes.length !== 0 && axes.length !== dims.length))
      c.refuseAttribute('axes', axes.join(', '), 'all axes of a constant');
    const made = c.int('keepdims', 1) === 0 ? [] : dims.map(() => 1);
    return result(c, made, dataType, values.length === 0 ? [] : [Array.from(values).reduce(of)]);
  };

function broadcastDims(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  const size = (dims: readonly number[], i: number) => dims[dims.length - rank + i] ?? 1;
  return Array.from({ length: rank }, (_, i) => Math.max(size(a, i), size(b, i)));
}

const folds: Readonly<Record<string, Fold>> = {
  Abs: each(Math.abs),
  Add: pairs((a, b) => a + b),
  And: pairs((a, b) => Number(a !== 0 && b !== 0), DataType.bool),
  Ceil: each(Math.ceil),
  Div: pairs((a, b, isReal) => (isReal ? a / b : Math.trunc(a / b))),
  Equal: pairs((a, b) => Number(a === b), DataType.bool),
  Exp: each(Math.exp),
  Floor: each(Math.floor),
  Greater: pairs((a, b) => Number(a > b), DataType.bool),
  GreaterOrEqual: pairs((a, b) => Number(a >= b), DataType.bool),
  Less: pairs((a, b) => Number(a < b), DataType.bool),
  LessOrEqual: pairs((a, b) => Number(a <= b), DataType.bool),
  Log: each(Math.log),
  Max: pairs((a, b) => Math.max(a, b)),
  Min: pairs((a, b) => Math.min(a, b)),
  Mod: pairs((a, b) => a - b * Math.floor(a / b)),
  Mul: pairs((a, b) => a * b),
  Neg: each((x) => -x),
  Not: each((x) => Number(!x), DataType.bool),
  Or: pairs((a, b) => Number(a !== 0 || b !== 0), DataType.bool),
  Pow: pairs((a, b) => a ** b),
  Range: (c, [start, limit, step]) => {
    const [from, to, by] = [start!, limit!, step!].map((x) => x.values[0]!) as [number, number, number];
    if (!(by !== 0 && Number.isFinite((to - from) / by)))
      refuse('shape-mismatch', { expected: 'a step that comes to an end', actual: `${by}` }, c.place(2));
    const count = boundedCount([Math.max(0, Math.ceil((to - from) / by))]);
    return result(
      c,
      [count],
      start!.dataType,
      Array.from({ length: count }, (_, i) => from + i * by),
    );
  },
  Reciprocal: each((x) => 1 / x),
  ReduceMax: whole((a, b) => Math.max(a, b)),
  ReduceMin: whole((a, b) => Math.min(a, b)),
  ReduceProd: whole((a, b) => a * b),
  ReduceSum: whole((a, b) => a + b),
  Sign: each(Math.sign),
  Size: (c, [x]) => result(c, [], DataType.int64, [x!.values.length]),
  Sqrt: each(Math.sqrt),
  Sub: pairs((a, b) => a - b),
  Where: (c, [condition, a, b]) => {
    const dims = broadcastDims(broadcastDims(condition!.dims, a!.dims), b!.dims);
    const [ct, at, bt] = [condition!, a!, b!].map((x) => broadcastSources(x.dims, dims).sources);
    const values = Array.from({ length: elementCount(dims) }, (_, i) =>
      condition!.values[ct![i]!] ? a!.values[at![i]!]! : b!.values[bt![i]!]!,
    );
    return result(c, dims, a!.dataType, values);
  },
};

/** A shape filled with one value. */
export function constantOfShape(c: NodeReader): Value {
  const dims = Array.from(c.constant(0, 'the shape').values);
  const given = c.tensorAttribute('value');
  const dataType = given?.dataType ?? DataType.float;
  const raw = given?.floatData[0] ?? given?.int64Data[0] ?? given?.int32Data[0];
  const value = raw ?? firstOf(given?.rawData, dataType);
  const count = boundedCount(dims);
  c.builder.spend(CONSTANT_COST * count);
  return result(c, dims, dataType, new Array<number>(count).fill(value));
}

function firstOf(raw: Uint8Array | undefined, dataType: number): number {
  if (raw === undefined || raw.length === 0) return 0;
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  if (dataType === DataType.float) return view.getFloat32(0, true);
  if (dataType === DataType.int64) return Number(view.getBigInt64(0, true));
  return dataType === DataType.int32 ? view.getInt32(0, true) : view.getInt8(0);
}
