import { refuse } from '../../diagnostics/index.ts';
import { roundHalfEven } from '../../model/requantiser.ts';
import { elementCount, elementRange } from '../../model/tensor.ts';
import {
  type Activation,
  CONSTANT_COST,
  type ModelBuilder,
  type Quantisation,
  sameShape,
  viewed,
} from '../builder.ts';
import { lowerGather, type Moved } from '../lower/gather.ts';
import { type Activity, type Fixed, isFixed, withoutBatch } from './dims.ts';
import type { NodeReader } from './node-reader.ts';
import type { Numbers } from './tensor-data.ts';
import { type FloatInput, isFree, type MovedTerm, realActivation, unclamped, type Value } from './values.ts';

/**
 * The elements of these values in another order. Rounding is done element by element, so values are moved before it as well
 * as behind it.
 *
 * @param moved dimensions with the batch, if any of the values has one
 * @param fill real that stands where the source is -1
 */
export function moveValues(
  c: NodeReader,
  values: readonly (Activity | Fixed)[],
  moved: Moved,
  fill = 0,
): Value {
  c.builder.spend(moved.sources.length * (values.every(isFixed) ? CONSTANT_COST : 1));
  if (values.every(isFixed)) return movedConstant(c, values, moved, fill);
  const shape = withoutBatch(c, moved.shape);
  const { sources } = moved;
  const [first] = values as [Activity | Fixed];
  if (first.kind === 'floatInput' && values.length === 1) {
    const before = first.sources;
    if (first.pooled !== undefined) return c.refuseFloat(0, 'there is no QuantizeLinear before it');
    if (first.fill !== undefined && sources.includes(-1) && first.fill !== fill)
      return c.refuseFloat(0, 'the input is padded twice, with different values');
    const from = first.from ?? first.shape;
    return {
      ...first,
      shape,
      from,
      ...(sources.includes(-1) && { fill }),
      sources: before === undefined ? sources : sources.map((s) => (s < 0 ? s : before[s]!)),
    };
  }
  if (values.every((value) => value.kind === 'quantised')) {
    const activations = values.map(({ activation }) => activation);
    requireOneGrid(c, activations);
    const activation = lowerGather(c.builder, c.name, activations, shape, sources, fill);
    return { kind: 'quantised', activation };
  }
  const reals = values.map((value, i) =>
    value.kind === 'real'
      ? value
      : c.refuseFloat(i, 'there is no QuantizeLinear and DequantizeLinear before it'),
  );
  const term: MovedTerm = { kind: 'moved', name: c.name, of: reals, shape, sources, fill };
  const onGrid = movedOnGrid(c, term);
  return onGrid === undefined ? { kind: 'real', term, clamp: unclamped, shape } : realActivation(onGrid);
}

/** The integers of the input, in the order into which the graph moved its reals. */
export function movedInput(
  builder: ModelBuilder,
  name: string,
  input: Activation,
  { shape, sources, fill = 0 }: Pick<FloatInput, 'shape' | 'sources' | 'fill'>,
): Activation {
  if (sources === undefined) return viewed(input, shape);
  return lowerGather(builder, `${name}_moved`, [input], shape, sources, onGridOf(fill, input.type));
}

/** All of it on the one grid on which its parts are already; undefined if they are on none, or on several. */
export function movedOnGrid(
  c: NodeReader,
  { name, of, shape, sources, fill }: MovedTerm,
): Activation | undefined {
  const parts: Activation[] = [];
  for (const { term, clamp, shape: seen } of of) {
    if (term.kind !== 'activation' || !isFree(clamp)) return undefined;
    parts.push({ ...term.activation, type: { ...term.activation.type, shape: seen } });
  }
  const { type } = parts[0]!;
  if (!parts.every((part) => isSameGrid(part.type, type))) return undefined;
  if (!sources.includes(-1)) return lowerGather(c.builder, name, parts, shape, sources);
  const q = onGridOf(fill, type);
  const isExact = Math.fround((q - type.zeroPoint) * type.scale) === Math.fround(fill);
  return isExact ? lowerGather(c.builder, name, parts, shape, sources, q) : undefined;
}

/** The q-value of a real on a grid, as QuantizeLinear rounds it. */
export function onGridOf(real: number, { element, scale, zeroPoint }: Quantisation): number {
  const { lo, hi } = elementRange(element);
  return Math.max(lo, Math.min(hi, roundHalfEven(Math.fround(Math.fround(real) / scale)) + zeroPoint));
}

/** Whether a q-value means the same real on both. */
export const isSameGrid = (a: Quantisation, b: Quantisation): boolean =>
  a.element === b.element && Object.is(a.scale, b.scale) && a.zeroPoint === b.zeroPoint;

/** Both are the same integers, perhaps on two grids: each pair is one element twice. */
export const isSameValue = (a: Activation, b: Activation): boolean =>
  a.value === b.value && sameShape(a.type.shape, b.type.shape);

function requireOneGrid(c: NodeReader, activations: readonly Activation[]): void {
  const { type } = activations[0]!;
  const other = activations.findIndex((a) => !isSameGrid(a.type, type));
  if (other >= 0)
    refuse(
      'bad-quantisation',
      { what: `${c.operator} puts integers of different scales together` },
      c.place(other),
    );
}

function movedConstant(
  c: NodeReader,
  values: readonly Fixed[],
  { shape, sources }: Moved,
  fill: number,
): Value {
  const [first] = values as [Fixed];
  if (first.kind === 'quantisedConstant') {
    if (values.length > 1 || sources.includes(-1))
      return refuse('onnx-malformed', { reason: `${c.operator} of quantised constants` }, c.place(0));
    const { reals } = first;
    return {
      ...first,
      dims: shape,
      ...movedScales(c, first, { shape, sources }),
      ...(reals && { reals: Float64Array.from(sources, (s) => reals[s]!) }),
    };
  }
  if (values.some((value) => value.kind !== 'constant'))
    return refuse('onnx-malformed', { reason: `${c.operator} of quantised constants` }, c.place(0));
  const all = values.flatMap((value) => Array.from(value.values));
  const moved = Float64Array.from(sources, (s) => (s < 0 ? fill : all[s]!));
  return { ...first, dims: shape, values: moved };
}

/** Integers in another order, and the axis along which their scales run then. */
function movedScales(
  c: NodeReader,
  { values, dims, axis, scales, zeroPoints }: Extract<Fixed, { kind: 'quantisedConstant' }>,
  { shape, sources }: Moved,
): { values: Numbers; axis: number; scales: readonly number[]; zeroPoints: readonly number[] } {
  const moved = Int32Array.from(sources, (s) => values[s]!);
  if (scales.length === 1) return { values: moved, axis: 0, scales, zeroPoints };
  const inner = elementCount(dims.slice(axis + 1));
  const channelOf = (s: number) => Math.floor(s / inner) % dims[axis]!;
  for (const [i, size] of shape.entries()) {
    const step = elementCount(shape.slice(i + 1));
    const at = (index: number) => Math.floor(index / step) % size;
    const channels = Array.from({ length: size }, (_, k) => channelOf(sources[k * step]!));
    if (sources.every((s, index) => channelOf(s) === channels[at(index)]))
      return {
        values: moved,
        axis: i,
        scales: channels.map((ch) => scales[ch]!),
        zeroPoints: channels.map((ch) => zeroPoints[ch]!),
      };
  }
  const what = `${c.operator} takes apart the axis along which its scales run`;
  return refuse('bad-quantisation', { what }, c.place(0));
}
