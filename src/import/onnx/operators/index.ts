import type { NodeReader } from '../node-reader.ts';
import type { Value } from '../values.ts';
import { clip, hardSwish, leakyRelu, relu, sigmoid, tanh } from './activation.ts';
import { argMax } from './argmax.ts';
import { cast, constant } from './constant.ts';
import { add, batchNormalization, mul } from './elementwise.ts';
import { conv, gemm, matMul } from './linear.ts';
import { averagePool, globalAveragePool, maxPool } from './pooling.ts';
import {
  convInteger,
  matMulInteger,
  qGemm,
  qLinearAdd,
  qLinearAveragePool,
  qLinearConv,
  qLinearGlobalAveragePool,
  qLinearMatMul,
} from './qlinear.ts';
import { dequantizeLinear, quantizeLinear } from './quantise.ts';
import { dropout, flatten, identity, reshape, squeeze, unsqueeze } from './shape.ts';

/** Makes the node's first output of its inputs. @throws DiagnosticError */
export type OperatorImport = (c: NodeReader) => Value;

/** By name; those of the domain `com.microsoft` with it. */
export const operators: ReadonlyMap<string, OperatorImport> = new Map(
  Object.entries({
    Add: add,
    ArgMax: argMax,
    AveragePool: averagePool,
    BatchNormalization: batchNormalization,
    Cast: cast,
    Clip: clip,
    Constant: constant,
    Conv: conv,
    ConvInteger: convInteger,
    DequantizeLinear: dequantizeLinear,
    Dropout: dropout,
    Flatten: flatten,
    Gemm: gemm,
    GlobalAveragePool: globalAveragePool,
    HardSwish: hardSwish,
    Identity: identity,
    LeakyRelu: leakyRelu,
    MatMul: matMul,
    MatMulInteger: matMulInteger,
    MaxPool: maxPool,
    Mul: mul,
    QLinearConv: qLinearConv,
    QLinearMatMul: qLinearMatMul,
    QuantizeLinear: quantizeLinear,
    Relu: relu,
    Reshape: reshape,
    Sigmoid: sigmoid,
    Squeeze: squeeze,
    Tanh: tanh,
    Unsqueeze: unsqueeze,
    'com.microsoft.DequantizeLinear': dequantizeLinear,
    'com.microsoft.QGemm': qGemm,
    'com.microsoft.QLinearAdd': qLinearAdd,
    'com.microsoft.QLinearAveragePool': qLinearAveragePool,
    'com.microsoft.QLinearGlobalAveragePool': qLinearGlobalAveragePool,
    'com.microsoft.QuantizeLinear': quantizeLinear,
  }),
);
