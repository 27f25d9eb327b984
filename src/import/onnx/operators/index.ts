import { constantOfShape } from '../fold.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Value } from '../values.ts';
import { clip, relu } from './activation.ts';
import { argMax } from './argmax.ts';
import { cast, constant } from './constant.ts';
import { convTranspose } from './conv-transpose.ts';
import { add, batchNormalization, div, mul, prelu, sub, sum } from './elementwise.ts';
import { biasGelu, extremum, functionOperators, pow } from './functions.ts';
import { conv, gemm, matMul } from './linear.ts';
import {
  concat,
  depthToSpace,
  expand,
  gather,
  pad,
  shape,
  slice,
  spaceToDepth,
  split,
  tile,
  transpose,
  where,
} from './moves.ts';
import { averagePool, globalAveragePool, maxPool } from './pooling.ts';
import {
  convInteger,
  matMulInteger,
  qGemm,
  qLinearAdd,
  qLinearAveragePool,
  qLinearConcat,
  qLinearConv,
  qLinearGlobalAveragePool,
  qLinearLeakyRelu,
  qLinearMatMul,
  qLinearMul,
  qLinearSigmoid,
  qLinearSoftmax,
  qLinearWhere,
} from './qlinear.ts';
import { bipolarQuant, quant } from './qonnx.ts';
import { dequantizeLinear, quantizeLinear } from './quantise.ts';
import { globalMaxPool, reduceMax, reduceMean, reduceMin, reduceSum } from './reduce.ts';
import { resize } from './resize.ts';
import { dropout, flatten, identity, reshape, squeeze, unsqueeze } from './shape.ts';
import { logSoftmax, softmax } from './softmax.ts';
import { treeEnsemble, treeEnsembleClassifier, treeEnsembleRegressor } from './trees.ts';

/** Makes the node's outputs of its inputs; most have but one. @throws DiagnosticError */
export type OperatorImport = (c: NodeReader) => Value | readonly Value[];

/** Domains under which Brevitas, QKeras and FINN write the operators of QONNX. */
const QONNX_DOMAINS = ['qonnx.custom_op.general', 'finn.custom_op.general', 'onnx.brevitas'];

const qonnxOperators: Readonly<Record<string, OperatorImport>> = Object.fromEntries(
  QONNX_DOMAINS.flatMap((domain) => [
    [`${domain}.Quant`, quant],
    [`${domain}.IntQuant`, quant],
    [`${domain}.BipolarQuant`, bipolarQuant],
  ]),
);

/** By name; those of the domain `com.microsoft` with it. */
export const operators: ReadonlyMap<string, OperatorImport> = new Map(
  Object.entries<OperatorImport>({
    ...functionOperators,
    ...qonnxOperators,
    Add: add,
    ArgMax: argMax,
    AveragePool: averagePool,
    BatchNormalization: batchNormalization,
    Cast: cast,
    Clip: clip,
    Concat: concat,
    Constant: constant,
    ConstantOfShape: constantOfShape,
    Conv: conv,
    ConvInteger: convInteger,
    ConvTranspose: convTranspose,
    DepthToSpace: depthToSpace,
    DequantizeLinear: dequantizeLinear,
    Div: div,
    Dropout: dropout,
    Expand: expand,
    Flatten: flatten,
    Gather: gather,
    Gemm: gemm,
    GlobalAveragePool: globalAveragePool,
    GlobalMaxPool: globalMaxPool,
    Identity: identity,
    LogSoftmax: logSoftmax,
    MatMul: matMul,
    MatMulInteger: matMulInteger,
    Max: extremum('Max'),
    MaxPool: maxPool,
    Min: extremum('Min'),
    Mul: mul,
    Pad: pad,
    Pow: pow,
    PRelu: prelu,
    QLinearConv: qLinearConv,
    QLinearMatMul: qLinearMatMul,
    QuantizeLinear: quantizeLinear,
    ReduceMax: reduceMax,
    ReduceMean: reduceMean,
    ReduceMin: reduceMin,
    ReduceSum: reduceSum,
    Relu: relu,
    Reshape: reshape,
    Resize: resize,
    Shape: shape,
    Slice: slice,
    Softmax: softmax,
    SpaceToDepth: spaceToDepth,
    Split: split,
    Squeeze: squeeze,
    Sub: sub,
    Sum: sum,
    Tile: tile,
    Transpose: transpose,
    Unsqueeze: unsqueeze,
    Upsample: resize,
    Where: where,
    'ai.onnx.ml.TreeEnsemble': treeEnsemble,
    'ai.onnx.ml.TreeEnsembleClassifier': treeEnsembleClassifier,
    'ai.onnx.ml.TreeEnsembleRegressor': treeEnsembleRegressor,
    'com.microsoft.BiasGelu': biasGelu,
    'com.microsoft.DequantizeLinear': dequantizeLinear,
    'com.microsoft.QGemm': qGemm,
    'com.microsoft.QLinearAdd': qLinearAdd,
    'com.microsoft.QLinearAveragePool': qLinearAveragePool,
    'com.microsoft.QLinearConcat': qLinearConcat,
    'com.microsoft.QLinearGlobalAveragePool': qLinearGlobalAveragePool,
    'com.microsoft.QLinearLeakyRelu': qLinearLeakyRelu,
    'com.microsoft.QLinearMul': qLinearMul,
    'com.microsoft.QLinearSigmoid': qLinearSigmoid,
    'com.microsoft.QLinearSoftmax': qLinearSoftmax,
    'com.microsoft.QLinearWhere': qLinearWhere,
    'com.microsoft.QuantizeLinear': quantizeLinear,
  }),
);
