import { refuse } from '../../diagnostics/index.ts';
import type { Biases } from '../../model/model.ts';
import { elementCount } from '../../model/tensor.ts';
import { TensorKind, tensorKindName } from './names.ts';
import type { NodeReader } from './node-reader.ts';
import type { TfliteTensor } from './schema.ts';

/** Constant weights as the file has them. */
export interface Weights {
  /** In the tensor's own order, less nothing. */
  readonly values: Int8Array | Uint8Array;
  readonly shape: readonly number[];
  /** Less bits than eight say how few levels there are. */
  readonly bits: 4 | 8;
  /** One, or one an index of `axis`. */
  readonly scales: readonly number[];
  /** Of all; channels with scales of their own are symmetric. */
  readonly zeroPoint: number;
}

/** @param channelAxis axis of the output channel, along which scales may run */
export function weightsAt(c: NodeReader, index: number, channelAxis: number): Weights {
  const tensor = c.tensor(index);
  const { name, shape, kind, quantisation } = tensor;
  const data = constantData(c, tensor, 'the value of the weights');
  const values = decode(c, tensor, data);
  if (values.length !== elementCount(shape))
    c.refuseShape(`${elementCount(shape)} weights of shape [${shape.join(', ')}]`, `${values.length}`);
  const { scales, zeroPoints, axis } = quantisation ?? { scales: [], zeroPoints: [], axis: 0 };
  const bad = (what: string): never =>
    refuse('bad-quantisation', { what: `weights ${name}: ${what}` }, c.place(tensor));
  if (scales.length === 0) bad('there is no scale');
  if (scales.some((s) => !(s > 0 && Number.isFinite(s)))) bad('a scale is not above zero and finite');
  if (scales.length > 1 && (axis !== channelAxis || scales.length !== shape[channelAxis]))
    bad(`${scales.length} scales run along axis ${axis}, but output channels along axis ${channelAxis}`);
  if (zeroPoints.some((z) => z !== zeroPoints[0])) bad('zero points differ by channel');
  const zeroPoint = zeroPoints[0] ?? 0;
  const range = kind === TensorKind.uint8 ? [0, 255] : [-128, 127];
  if (!(zeroPoint >= range[0]! && zeroPoint <= range[1]!)) bad(`zero point ${zeroPoint}`);
  return { values, shape, scales, zeroPoint, bits: kind === TensorKind.int4 ? 4 : 8 };
}

function constantData(c: NodeReader, tensor: TfliteTensor, what: string): Uint8Array {
  if (tensor.sparse) c.refuseOption('sparsity', 'set', 'dense tensors');
  if (tensor.data === undefined)
    return refuse('tflite-dynamic', { tensor: tensor.name, what }, c.place(tensor));
  return tensor.data;
}

function decode(
  c: NodeReader,
  { kind, name, shape }: TfliteTensor,
  data: Uint8Array,
): Int8Array | Uint8Array {
  switch (kind) {
    case TensorKind.uint8:
      return data;
    case TensorKind.int8:
      return new Int8Array(data.buffer, data.byteOffset, data.length);
    case TensorKind.int4: {
      // Two in a byte, the first in its low half; an odd count leaves the last half unused.
      const count = elementCount(shape);
      if (data.length !== Math.ceil(count / 2)) return data;
      return Int8Array.from({ length: count }, (_, i) => (data[i >> 1]! << (i % 2 === 0 ? 28 : 24)) >> 28);
    }
    default:
      return refuse(
        'tflite-not-integer',
        { tensor: name, what: `${tensorKindName(kind)}; weights of int8, uint8 and int4 are supported` },
        c.place(),
      );
  }
}

/** Biases on the scale of the accumulator, int32, or int64 beside inputs of 16 bits; zeros if there are none. */
export function biasAt(c: NodeReader, index: number, channels: number): Biases {
  const tensor = c.optional(index);
  if (tensor === undefined) return new Int32Array(channels);
  if (tensor.kind !== TensorKind.int32 && tensor.kind !== TensorKind.int64)
    refuse(
      'tflite-not-integer',
      {
        tensor: tensor.name,
        what: `${tensorKindName(tensor.kind)}; biases of int32 and int64 are supported`,
      },
      c.place(tensor),
    );
  constantData(c, tensor, 'the bias');
  const values = c.integers(index, 'the bias');
  if (values.length !== channels) c.refuseShape(`${channels} biases, one a channel`, `${values.length}`);
  return Float64Array.from(values);
}
