import type { NodeReader } from '../node-reader.ts';
import type { Value } from '../values.ts';
import { hardSwish, leakyRelu, logistic, tanh } from './activation.ts';
import { add, dequantize, plainRelu, quantize, relu6, reluN1To1, reshape } from './elementwise.ts';
import { conv2d, depthwiseConv2d, fullyConnected } from './linear.ts';
import { averagePool, maxPool, mean, pad } from './pooling.ts';
import { softmax } from './softmax.ts';

/** Makes the operator's first output of its inputs. @throws DiagnosticError */
export type OperatorImport = (c: NodeReader) => Value;

export const operators: ReadonlyMap<string, OperatorImport> = new Map(
  Object.entries({
    ADD: add,
    AVERAGE_POOL_2D: averagePool,
    CONV_2D: conv2d,
    DEPTHWISE_CONV_2D: depthwiseConv2d,
    DEQUANTIZE: dequantize,
    EXPAND_DIMS: reshape,
    FULLY_CONNECTED: fullyConnected,
    HARD_SWISH: hardSwish,
    LEAKY_RELU: leakyRelu,
    LOGISTIC: logistic,
    MAX_POOL_2D: maxPool,
    MEAN: mean,
    PAD: pad,
    QUANTIZE: quantize,
    RELU: plainRelu,
    RELU6: relu6,
    RELU_N1_TO_1: reluN1To1,
    RESHAPE: reshape,
    SOFTMAX: softmax,
    SQUEEZE: reshape,
    TANH: tanh,
  }),
);
