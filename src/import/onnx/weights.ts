import { refuse } from '../../diagnostics/index.ts';
import { blockedWeights } from './blocked-weights.ts';
import { dimsText } from './dims.ts';
import type { NodeReader } from './node-reader.ts';
import { DataType, dataTypeName, isFloat, type Numbers } from './tensor-data.ts';
import type { QuantisedConstant, Value } from './values.ts';

/** Weights by output channel. */
export interface Weights {
  /** Row-major `[out][taps]`, less their zero point: -255..255. */
  readonly values: Int16Array;
  /** One a channel. */
  readonly scales: Float64Array;
  /** As in the file. */
  readonly dims: readonly number[];
  readonly bits: 4 | 8;
  /** What the values are rounded from, in steps of the scales, if they are. */
  readonly unrounded?: Float64Array;
}

const bitsOf = ({ dataType }: QuantisedConstant): 4 | 8 =>
  dataType === DataType.int4 || dataType === DataType.uint4 ? 4 : 8;

const weightTypes: readonly number[] = [DataType.int8, DataType.uint8, DataType.int4, DataType.uint4];

/** The weights among a node's inputs; `rank` of them, or any. */
export function weightsAt(c: NodeReader, index: number): QuantisedConstant {
  const value = c.input(index);
  if (value.kind === 'constant' && isFloat(value.dataType))
    return refuse('onnx-float-weights', { tensor: c.tensor(index) }, c.place(index));
  if (value.kind !== 'quantisedConstant')
    return refuse('onnx-dynamic', { tensor: c.tensor(index), what: 'the value (weights)' }, c.place(index));
  return checkedWeights(c, value, index);
}

/** Of a type that weights may have. @throws DiagnosticError `bad-quantisation` */
export function checkedWeights(c: NodeReader, value: QuantisedConstant, index: number): QuantisedConstant {
  if (!weightTypes.includes(value.dataType)) {
    const what =
      `weights are ${dataTypeName(value.dataType)}; int8, uint8, int4 and uint4 are supported, beside activations of 16 bits ` +
      'too (of quantize_static: weight_type=QuantType.QInt8)';
    refuse('bad-quantisation', { what }, c.place(index));
  }
  return value;
}

/** Weights of more axes than two are a matrix where those in front are of size 1: a batch of one. */
export function asMatrix(q: QuantisedConstant): QuantisedConstant {
  const lead = q.dims.length - 2;
  if (lead < 1 || q.dims.slice(0, lead).some((size) => size !== 1)) return q;
  return { ...q, dims: q.dims.slice(lead), axis: Math.max(0, q.axis - lead) };
}

/** Weights `[out, in]`, or `[in, out]` if the output channel is axis 1. */
export function matrixWeights(c: NodeReader, q: QuantisedConstant, index: number, outAxis: 0 | 1): Weights {
  const [rows, columns, ...more] = q.dims;
  if (rows === undefined || columns === undefined || more.length > 0)
    return refuse(
      'shape-mismatch',
      { expected: 'a matrix of weights', actual: dimsText(q.dims) },
      c.place(index),
    );
  const [outs, ins] = outAxis === 0 ? [rows, columns] : [columns, rows];
  if (q.reals !== undefined) {
    const { reals, dims } = q;
    const place = (o: number, i: number) => (outAxis === 0 ? o * columns + i : i * columns + o);
    const turned = Float64Array.from(reals, (_, at) => reals[place(Math.floor(at / ins), at % ins)]!);
    return { ...blockedWeights(turned, outs), dims };
  }
  const { scales, zeroPoints } = channelParameters(c, q, index, outAxis, outs);
  const values = new Int16Array(outs * ins);
  const [outStep, inStep] = outAxis === 0 ? [columns, 1] : [1, columns];
  for (let o = 0; o < outs; o++)
    for (let i = 0; i < ins; i++) values[o * ins + i] = q.values[o * outStep + i * inStep]! - zeroPoints[o]!;
  return { values, scales, dims: q.dims, bits: bitsOf(q) };
}

/** Weights `[out, ...]` as convolutions have them. */
export function channelWeights(c: NodeReader, q: QuantisedConstant, index: number): Weights {
  const outs = q.dims[0] ?? 0;
  if (q.reals !== undefined) return { ...blockedWeights(q.reals, outs), dims: q.dims };
  const taps = q.dims.slice(1).reduce((a, b) => a * b, 1);
  const { scales, zeroPoints } = channelParameters(c, q, index, 0, outs);
  const values = Int16Array.from(
    q.values as Numbers & ArrayLike<number>,
    (w, i) => w - zeroPoints[Math.floor(i / taps)]!,
  );
  return { values, scales, dims: q.dims, bits: bitsOf(q) };
}

/** Scales and zero points one an output channel; several along another axis cannot be factored out of the sum. */
function channelParameters(
  c: NodeReader,
  { scales, zeroPoints, axis }: QuantisedConstant,
  index: number,
  outAxis: number,
  outs: number,
): { scales: Float64Array; zeroPoints: Int32Array } {
  const uniform = scales.every((s) => s === scales[0]) && zeroPoints.every((z) => z === zeroPoints[0]);
  if (!uniform && (axis !== outAxis || scales.length !== outs))
    refuse(
      'bad-quantisation',
      { what: `the scales run along axis ${axis}, but output channels along axis ${outAxis}` },
      c.place(index),
    );
  const at = (o: number) => (uniform ? 0 : o);
  return {
    scales: Float64Array.from({ length: outs }, (_, o) => scales[at(o)]!),
    zeroPoints: Int32Array.from({ length: outs }, (_, o) => zeroPoints[at(o)]!),
  };
}

/** A value of the graph as constant reals, if it is one. */
export function realConstant(value: Value): { values: Float64Array; dims: readonly number[] } | undefined {
  if (value.kind === 'constant') return { values: Float64Array.from(value.values), dims: value.dims };
  if (value.kind !== 'quantisedConstant') return undefined;
  if (value.reals !== undefined) return { values: value.reals, dims: value.dims };
  const { scales, zeroPoints, dims, axis } = value;
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const values = Float64Array.from(value.values, (q, i) => {
    const channel = scales.length === 1 ? 0 : Math.floor(i / inner) % scales.length;
    return Math.fround((q - zeroPoints[channel]!) * scales[channel]!);
  });
  return { values, dims };
}
