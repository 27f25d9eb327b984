import { refuse } from '../../../diagnostics/index.ts';
import { roundHalfEven } from '../../../model/requantiser.ts';
import { elementRange } from '../../../model/tensor.ts';
import type { Quantisation } from '../../builder.ts';
import { materialise } from '../materialise.ts';
import { movedInput } from '../moves.ts';
import type { NodeReader } from '../node-reader.ts';
import { type Parameters, readAs, readParameters, readQuantisation } from '../quantisation.ts';
import { type Constant, DataType, dataTypeName, isFloat } from '../tensor-data.ts';
import { type FloatInput, type QuantisedConstant, realActivation, type Value } from '../values.ts';

/** `real = (q - zeroPoint) * scale`, per tensor or along an axis. */
export function dequantizeLinear(c: NodeReader): Value {
  c.requireInt('block_size', 0);
  const made = c.int('output_dtype', 0);
  if (made !== 0 && made !== DataType.float) c.refuseAttribute('output_dtype', dataTypeName(made), 'float');
  const x = c.input(0);
  const parameters = readParameters(c, 1, 2);
  requireSameType(c, x, parameters);
  switch (x.kind) {
    case 'quantised':
      // One scale has no axis.
      c.ignore('axis');
      return realActivation(readAs(c, x, parameters, 1));
    case 'constant':
      return dequantisedConstant(c, x, parameters);
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
    case 'floatInput': {
      const { input } = c.builder;
      const same =
        input?.scale === to.scale && input.zeroPoint === to.zeroPoint && input.element === to.element;
      if (input !== undefined && !same)
        refuse('bad-quantisation', { what: 'the input is quantised in more than one way' }, c.place(0));
      return quantisedInput(c, x, to);
    }
    case 'real': {
      const { term, clamp } = x;
      // A pair that dequantises and quantises alike, as exporters put between operators, does nothing.
      const type = term.kind === 'activation' ? term.activation.type : undefined;
      const same = type?.scale === to.scale && type.zeroPoint === to.zeroPoint && type.element === to.element;
      if (
        term.kind === 'activation' &&
        same &&
        clamp.lo === -clamp.hi &&
        clamp.hi === Number.POSITIVE_INFINITY
      )
        return { kind: 'quantised', activation: { ...term.activation, type: { ...type!, shape: x.shape } } };
      return { kind: 'quantised', activation: materialise(c, x, to) };
    }
    default:
      return refuse('onnx-malformed', { reason: 'QuantizeLinear reads integers' }, c.place(0));
  }
}

/** The input on its grid, moved as the graph moved its reals. */
function quantisedInput(
  c: NodeReader,
  { shape, sources, from = shape, fill = 0, affine, pooled }: FloatInput,
  to: Quantisation,
): Value {
  const input = c.builder.setInput({ ...to, shape: from }, affine);
  if (pooled !== undefined) return { kind: 'quantised', activation: pooled(input) };
  return {
    kind: 'quantised',
    activation: movedInput(c.builder, c.name, input, {
      shape,
      fill,
      ...(sources !== undefined && { sources }),
    }),
  };
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
  if (dataType !== DataType.int8 && dataType !== DataType.uint8)
    refuse('bad-quantisation', { what: `constants become ${dataTypeName(dataType)}` }, c.place(2));
  const { lo, hi } = elementRange(dataType === DataType.int8 ? 'int8' : 'uint8');
  const axis = channelAxis(c, x, parameters);
  const inner = x.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const values = Int32Array.from(x.values, (real, i) => {
    const channel = scales.length === 1 ? 0 : Math.floor(i / inner) % scales.length;
    const q = roundHalfEven(Math.fround(Math.fround(real) / scales[channel]!)) + zeroPoints[channel]!;
    return Math.max(lo, Math.min(hi, q));
  });
  return { ...x, dataType, values };
}
