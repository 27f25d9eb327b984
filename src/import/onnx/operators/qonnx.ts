import { refuse } from '../../../diagnostics/index.ts';
import { roundHalfEven } from '../../../model/requantiser.ts';
import { elementCount, elementRange } from '../../../model/tensor.ts';
import type { Activation, Quantisation } from '../../builder.ts';
import { dimsText } from '../dims.ts';
import { type LevelRounding, materialise, materialiseBy, mirrored, towardsZero } from '../materialise.ts';
import type { NodeReader } from '../node-reader.ts';
import { type Constant, DataType } from '../tensor-data.ts';
import { type QuantisedConstant, type Real, realActivation, type Term, type Value } from '../values.ts';
import { realConstant } from '../weights.ts';
import { quantisedInput } from './quantise.ts';

/**
 * The operators of QONNX, as Brevitas, QKeras and FINN write them: reals in, reals on a grid out, of any width up to 8 bits.
 */

/** Of Quant: whole numbers `lo`..`hi` times the scale, less the zero point. */
interface Levels {
  readonly scales: readonly number[];
  readonly scaleDims: readonly number[];
  readonly zeroPoint: number;
  readonly bits: number;
  readonly signed: boolean;
  readonly lo: number;
  readonly hi: number;
}

/** `x, scale, zero point, bit width`; attributes `signed`, `narrow`, `rounding_mode`. */
export function quant(c: NodeReader): Value {
  const levels = levelsOf(c);
  const rounding = c.string('rounding_mode', 'ROUND').toUpperCase();
  const x = c.input(0);
  const round =
    roundings[rounding] ?? c.refuseAttribute('rounding_mode', rounding, Object.keys(roundings).join(', '));
  if (x.kind === 'constant') return levelled(c, x, levels, round);
  return realActivation(onLevels(c, x, levels, round));
}

const roundings: Readonly<Record<string, LevelRounding>> = {
  ROUND: roundHalfEven,
  HALF_EVEN: roundHalfEven,
  FLOOR: Math.floor,
  CEIL: Math.ceil,
  UP: mirrored(Math.ceil),
  DOWN: towardsZero,
  ROUND_TO_ZERO: towardsZero,
  HALF_UP: mirrored((size) => Math.floor(size + 0.5)),
  HALF_DOWN: mirrored((size) => Math.ceil(size - 0.5)),
};

function levelsOf(c: NodeReader): Levels {
  const scale = parameter(c, 1, 'the scale');
  const scales = Array.from(scale.values);
  const bad = (index: number, what: string): never => refuse('bad-quantisation', { what }, c.place(index));
  const wrong = scales.find((s) => !(s > 0 && Number.isFinite(s)));
  if (wrong !== undefined || scales.length === 0)
    bad(1, `scale ${wrong ?? 'none'} is not above zero and finite`);
  const [zeroPoint = Number.NaN, ...others] = parameter(c, 2, 'the zero point').values;
  if (!Number.isInteger(zeroPoint) || others.some((z) => z !== zeroPoint))
    bad(2, 'zero points are one whole number');
  const [bits = Number.NaN, ...widths] = parameter(c, 3, 'the bit width').values;
  if (!Number.isInteger(bits) || bits < 1 || bits > 32 || widths.length > 0)
    bad(3, `a bit width of ${bits}: whole numbers from 1 to 32 are supported`);
  const signed = c.int('signed', 1) !== 0;
  const narrow = c.int('narrow', 0) !== 0 ? 1 : 0;
  const [lo, hi] = signed ? [narrow - 2 ** (bits - 1), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1 - narrow];
  return { scales, scaleDims: scale.dims, zeroPoint, bits, signed, lo, hi };
}

function parameter(c: NodeReader, index: number, what: string) {
  const constant = realConstant(c.input(index));
  return constant ?? refuse('onnx-dynamic', { tensor: c.tensor(index), what }, c.place(index));
}

/** Weights or a bias, in the float32 steps of the format. */
function levelled(
  c: NodeReader,
  x: Constant,
  { scales, scaleDims, zeroPoint, bits, signed, lo, hi }: Levels,
  round: LevelRounding,
): QuantisedConstant {
  const axis = axisOfScales(c, x.dims, scaleDims);
  const inner = elementCount(x.dims.slice(axis + 1));
  const f = Math.fround;
  const values = Int32Array.from(x.values, (real, i) => {
    const scale = scales.length === 1 ? scales[0]! : scales[Math.floor(i / inner) % scales.length]!;
    const steps = f(f(f(real) / scale) + zeroPoint);
    // One signed bit tells but the signs apart.
    if (bits === 1 && signed) return steps >= 0 ? 1 : -1;
    return round(Math.max(lo, Math.min(hi, steps)));
  });
  const dataType =
    bits > 8
      ? DataType.int32
      : bits > 4
        ? signed
          ? DataType.int8
          : DataType.uint8
        : signed
          ? DataType.int4
          : DataType.uint4;
  const zeroPoints = scales.map(() => zeroPoint);
  return { ...x, kind: 'quantisedConstant', dataType, values, scales, zeroPoints, axis };
}

/** The only axis along which the scales differ, matched from the last one. */
function axisOfScales(c: NodeReader, dims: readonly number[], scaleDims: readonly number[]): number {
  const lead = dims.length - scaleDims.length;
  const own = scaleDims.flatMap((size, i) => (size === 1 ? [] : [i + lead]));
  if (own.length === 0) return 0;
  const [axis] = own as [number];
  if (own.length > 1 || axis < 0 || dims[axis] !== scaleDims[axis - lead])
    refuse(
      'bad-quantisation',
      { what: `scales of shape ${dimsText(scaleDims)} for values of shape ${dimsText(dims)}` },
      c.place(1),
    );
  return axis;
}

/** Reals of the network, or its input, rounded to the levels. */
function onLevels(
  c: NodeReader,
  x: Value,
  { scales, zeroPoint, bits, signed, lo, hi }: Levels,
  round: LevelRounding,
): Activation {
  const what = (text: string) => refuse('bad-quantisation', { what: text }, c.place(1));
  if (scales.some((s) => s !== scales[0])) what('activations need one scale, these have several');
  if (bits > 8) what(`activations are of ${bits} bits; up to 8 are supported`);
  const element = signed ? 'int8' : 'uint8';
  const range = elementRange(element);
  if (zeroPoint < range.lo || zeroPoint > range.hi) what(`zero point ${zeroPoint} is no ${element}`);
  const to = { element, scale: Math.fround(scales[0]!), zeroPoint } as const;
  if (bits === 1 && signed) return bipolar(c, x, to);
  const isNearest = round === roundHalfEven;
  if (x.kind === 'floatInput') {
    if (!isNearest) return c.refuseFloat(0, 'the input is rounded to the nearest: ROUND');
    const input = quantisedInput(c, x, to);
    return lo > range.lo || hi < range.hi ? c.builder.clamped(c.name, input, lo, hi) : input;
  }
  const real = realOf(c, x);
  const { term } = real;
  const bounds = { lo: (lo - zeroPoint) * to.scale, hi: (hi - zeroPoint) * to.scale };
  const inside = (bound: number) => Math.max(bounds.lo, Math.min(bounds.hi, bound));
  const nearest = (of: Term) =>
    materialise(
      c,
      { ...real, term: of, clamp: { lo: inside(real.clamp.lo), hi: inside(real.clamp.hi) } },
      to,
    );
  // Ties go to the even number of steps and zero point together, which is that of the steps where the zero point is even.
  if (isNearest && (zeroPoint & 1) === 0) return nearest(term);
  if (isNearest && term.kind === 'average') return nearest({ ...term, shifted: true });
  return materialiseBy(c, real, { ...to, min: lo, max: hi }, round);
}

function realOf(c: NodeReader, x: Value): Real {
  if (x.kind === 'real') return x;
  if (x.kind === 'floatInput')
    return c.refuseFloat(
      0,
      'signs of a float input need a Quant before them, which gives the input its grid',
    );
  return refuse('onnx-malformed', { reason: `${c.operator} reads integers` }, c.place(0));
}

/** `x, scale`: `scale` from zero on, `-scale` below. */
export function bipolarQuant(c: NodeReader): Value {
  const x = c.input(0);
  const scale = parameter(c, 1, 'the scale');
  const [first = Number.NaN] = scale.values;
  if (x.kind === 'constant') {
    const values = Int32Array.from(x.values, (real) => (real >= 0 ? 1 : -1));
    const scales = Array.from(scale.values, Math.fround);
    if (scales.some((s) => !(s > 0 && Number.isFinite(s))))
      refuse('bad-quantisation', { what: 'a scale is not above zero and finite' }, c.place(1));
    const zeroPoints = scales.map(() => 0);
    const axis = axisOfScales(c, x.dims, scale.dims);
    return { ...x, kind: 'quantisedConstant', dataType: DataType.int4, values, scales, zeroPoints, axis };
  }
  if (!(first > 0 && Number.isFinite(first)) || scale.values.some((s) => s !== first))
    refuse('bad-quantisation', { what: 'activations need one scale above zero' }, c.place(1));
  return realActivation(bipolar(c, x, { element: 'int8', scale: Math.fround(first), zeroPoint: 0 }));
}

/** The sign of each, zero counting as positive: a step that no rounding makes, so one of their own. */
const bipolar = (c: NodeReader, x: Value, to: Quantisation): Activation =>
  materialiseBy(c, realOf(c, x), { ...to, min: -1, max: 1 }, (q) => (q >= 0 ? 1 : -1));
