import type { NodeReader } from '../node-reader.ts';
import type { Value } from '../values.ts';
import { hardSwish, leakyRelu, logistic, tanh } from './activation.ts';
import { batchToSpace, spaceToBatch } from './blocks.ts';
import { cast, dequantize, plainRelu, quantize, relu6, reluN1To1, reshape } from './elementwise.ts';
import { conv2d, depthwiseConv2d, fullyConnected } from './linear.ts';
import {
  concatenation,
  depthToSpace,
  mirrorPad,
  pack,
  pad,
  resizeNearest,
  shape,
  spaceToDepth,
  split,
  splitV,
  tile,
  transpose,
  unpack,
} from './movement.ts';
import { add, maximum, minimum, mul, prelu, sub } from './pair.ts';
import { averagePool, maxPool, mean, reduceMax, reduceMin, sum } from './pooling.ts';
import { slice, stridedSlice } from './slices.ts';
import { argMax, softmax } from './softmax.ts';
import { transposeConv } from './transpose-conv.ts';

/** Makes the operator's outputs, or its only one, of its inputs. @throws DiagnosticError */
export type OperatorImport = (c: NodeReader) => Value | readonly Value[];

/** How each operator is imported, by its name in the schema; what is not here is refused. */
export const operators: ReadonlyMap<string, OperatorImport> = new Map(
  Object.entries<OperatorImport>({
    ADD: add,
    ARG_MAX: argMax,
    AVERAGE_POOL_2D: averagePool,
    BATCH_TO_SPACE_ND: batchToSpace,
    CAST: cast,
    CONCATENATION: concatenation,
    CONV_2D: conv2d,
    DEPTHWISE_CONV_2D: depthwiseConv2d,
    DEPTH_TO_SPACE: depthToSpace,
    DEQUANTIZE: dequantize,
    EXPAND_DIMS: reshape,
    FULLY_CONNECTED: fullyConnected,
    HARD_SWISH: hardSwish,
    LEAKY_RELU: leakyRelu,
    LOGISTIC: logistic,
    MAXIMUM: maximum,
    MAX_POOL_2D: maxPool,
    MEAN: mean,
    MINIMUM: minimum,
    MIRROR_PAD: mirrorPad,
    MUL: mul,
    PACK: pack,
    PAD: pad,
    PADV2: pad,
    PRELU: prelu,
    QUANTIZE: quantize,
    REDUCE_MAX: reduceMax,
    REDUCE_MIN: reduceMin,
    RELU: plainRelu,
    RELU6: relu6,
    RELU_N1_TO_1: reluN1To1,
    RESHAPE: reshape,
    RESIZE_NEAREST_NEIGHBOR: resizeNearest,
    SHAPE: shape,
    SLICE: slice,
    SOFTMAX: softmax,
    SPACE_TO_BATCH_ND: spaceToBatch,
    SPACE_TO_DEPTH: spaceToDepth,
    SPLIT: split,
    SPLIT_V: splitV,
    SQUEEZE: reshape,
    STRIDED_SLICE: stridedSlice,
    SUB: sub,
    SUM: sum,
    TANH: tanh,
    TILE: tile,
    TRANSPOSE: transpose,
    TRANSPOSE_CONV: transposeConv,
    UNPACK: unpack,
  }),
);
