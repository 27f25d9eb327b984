import { refuse } from '../../../diagnostics/index.ts';
import { roundHalfEven } from '../../../model/requantiser.ts';
import type { Activation, Quantisation } from '../../builder.ts';
import { movedBy } from '../../lower/gather.ts';
import { axisOf, dimsText } from '../dims.ts';
import { materialise, onGrid } from '../materialise.ts';
import { isSameGrid, movedInput } from '../moves.ts';
import type { NodeReader } from '../node-reader.ts';
import {
  type Parameters,
  readAs,
  readParameters,
  readQuantisation,
  zeroPointRange,
} from '../quantisation.ts';
import { type Constant, DataType, dataTypeName, isFloat } from '../tensor-data.ts';
import { type FloatInput, isFree, type QuantisedConstant, realActivation, type Value } from '../values.ts';

/** `real = (q - zeroPoint) * scale`, per tensor or along an axis. */
export function dequantizeLinear(c: NodeReader): Value {
  const block = c.int('block_size', 0);
  const made = c.int('output_dtype', 0);
  if (made !== 0 && made !== DataType.float) c.refuseAttribute('output_dtype', dataTypeName(made), 'float');
  const x = c.input(0);
  const parameters = readParameters(c, 1, 2);
  requireSameType(c, x, parameters);
  switch (x.kind) {
    case 'quantised':
      if (block !== 0) c.refuseAttribute('block_size', block, '0 for activations');
      // One scale has no axis.
      c.ignore('axis');
      return realActivation(readAs(c, x, parameters, 1));
    case 'constant':
      return block > 0 ? blockedConstant(c, x, block) : dequantisedConstant(c, x, parameters);
    default:
      return refuse('onnx-malformed', { reason: `DequantizeLinear reads reals` }, c.place(0));
  }
}

/** The zero point has the type of what it is taken from; without one, it is a zero of that type. */
function requireSameType(c: NodeReader, x: Value, { dataType }: Parameters): void {
  const read =
    x.kind === 'constant'
      ? x.dataType
      : x.kind === 'quantised'
        ? DataType[x.activation.type.element]
        : undefined;
  if (read === undefined || dataType === undefined || read === dataType) return;
  const what = `${c.tensor(0)} is ${dataTypeName(read)}, its zero point ${dataTypeName(dataType)}`;
  refuse('bad-quantisation', { what }, c.place(2));
}

function dequantisedConstant(c: NodeReader, x: Constant, parameters: Parameters): QuantisedConstant {
  if (isFloat(x.dataType))
    refuse('onnx-malformed', { reason: `DequantizeLinear reads a ${dataTypeName(x.dataType)}` }, c.place(0));
  const axis = channelAxis(c, x, parameters);
  const { scales, zeroPoints } = parameters;
  return { ...x, kind: 'quantisedConstant', scales, zeroPoints, axis };
}

/** Each run of `block` elements along the axis has a scale of its own, the last run perhaps fewer elements. */
function blockedConstant(c: NodeReader, x: Constant, block: number): QuantisedConstant {
  if (isFloat(x.dataType))
    refuse('onnx-malformed', { reason: `DequantizeLinear reads a ${dataTypeName(x.dataType)}` }, c.place(0));
  const scale = c.constant(1, 'the scale');
  const zeroPoint = c.optional(2) === undefined ? undefined : c.constant(2, 'the zero point');
  const axis = axisOf(c, c.int('axis', 1), x.dims.length);
  const blocks = x.dims.map((size, i) => (i === axis ? Math.ceil(size / block) : size));
  for (const [i, { dims }] of [scale, zeroPoint ?? scale].entries())
    if (dims.join() !== blocks.join())
      refuse('shape-mismatch', { expected: dimsText(blocks), actual: dimsText(dims) }, c.place(i + 1));
  const { sources } = movedBy(x.dims, blocks, (place) =>
    place.map((at, i) => (i === axis ? Math.floor(at / block) : at)),
  );
  const reals = Float64Array.from(sources, (at, i) =>
    Math.fround((x.values[i]! - (zeroPoint?.values[at] ?? 0)) * scale.values[at]!),
  );
  return { ...x, kind: 'quantisedConstant', scales: [1], zeroPoints: [0], axis: 0, reals };
}

/** The axis along which the parameters run; checked to be as long as they are. */
function channelAxis(c: NodeReader, x: Constant, { scales }: Parameters): number {
  const given = c.int('axis', 1);
  const axis = given < 0 ? given + x.dims.length : given;
  if (scales.length > 1 && x.dims[axis] !== scales.length)
    refuse(
      'bad-quantisation',
      { what: `${scales.length} scales run along axis ${given} of shape [${x.dims.join(', ')}]` },
      c.place(1),
    );
  return axis;
}

/** `q = clamp(round(real / scale) + zeroPoint)`: where reals become a layer, or a float constant integers. */
export function quantizeLinear(c: NodeReader): Value {
  c.requireInt('block_size', 0);
  // Of 8-bit floats only.
  c.ignore('saturate');
  const precision = c.int('precision', 0);
  if (precision !== 0 && precision !== DataType.float)
    c.refuseAttribute('precision', dataTypeName(precision), 'float');
  const dataType = outputType(c);
  const x = c.input(0);
  if (x.kind === 'constant') return quantisedConstant(c, x, dataType);
  c.ignore('axis');
  const to = readQuantisation(c, 1, 2, dataType);
  switch (x.kind) {
    case 'floatInput':
      return { kind: 'quantised', activation: quantisedInput(c, x, to) };
    case 'real': {
      // A pair that dequantises and quantises alike, as exporters put between operators, does nothing.
      const same = x.term.kind === 'activation' && isFree(x.clamp) && isSameGrid(x.term.activation.type, to);
      if (same) return { kind: 'quantised', activation: onGrid(c, x, 0) };
      return { kind: 'quantised', activation: materialise(c, x, to) };
    }
    default:
      return refuse('onnx-malformed', { reason: 'QuantizeLinear reads integers' }, c.place(0));
  }
}

/** The input on its grid, moved as the graph moved its reals. */
export function quantisedInput(
  c: NodeReader,
  { shape, sources, from = shape, fill = 0, affine, pooled }: FloatInput,
  to: Quantisation,
): Activation {
  const { input: known } = c.builder;
  if (known !== undefined && !isSameGrid(known, to))
    refuse('bad-quantisation', { what: 'the input is quantised in more than one way' }, c.place(0));
  const input = c.builder.setInput({ ...to, shape: from }, affine);
  if (pooled !== undefined) return pooled(input);
  return movedInput(c.builder, c.name, input, { shape, fill, ...(sources !== undefined && { sources }) });
}

/** The type of the zero point, which `output_dtype` (from operator set 21 on) must not contradict; uint8 without both. */
function outputType(c: NodeReader): number {
  const named = c.int('output_dtype', 0);
  if (c.optional(2) === undefined) return named === 0 ? DataType.uint8 : named;
  const { dataType } = c.constant(2, 'the zero point');
  if (named !== 0 && named !== dataType)
    c.refuseAttribute('output_dtype', dataTypeName(named), `${dataTypeName(dataType)}, as the zero point`);
  return dataType;
}

/** Weights that the file holds as floats beside the QuantizeLinear that rounds them. */
function quantisedConstant(c: NodeReader, x: Constant, dataType: number): Constant {
  const parameters = readParameters(c, 1, 2);
  const { scales, zeroPoints } = parameters;
  const [lo, hi] =
    zeroPointRange.get(dataType) ??
    refuse('bad-quantisation', { what: `constants become ${dataTypeName(dataType)}` }, c.place(2));
  const axis = channelAxis(c, x, parameters);
  const inner = x.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const values = Int32Array.from(x.values, (real, i) => {
    const channel = scales.length === 1 ? 0 : Math.floor(i / inner) % scales.length;
    const q = roundHalfEven(Math.fround(Math.fround(real) / scales[channel]!)) + zeroPoints[channel]!;
    return Math.max(lo, Math.min(hi, q));
  });
  return { ...x, dataType, values };
}
