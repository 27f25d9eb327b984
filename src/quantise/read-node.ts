import type { OnnxNode } from '../import/onnx/proto.ts';
import type { Constant } from '../import/onnx/tensor-data.ts';
import { elementCount } from '../model/tensor.ts';
import type { Attribute, Attributes, Node } from './network.ts';
import type { Source } from './source.ts';

/** One node of the file, and what is known of it. */
export interface NodeSource {
  readonly source: Source;
  readonly node: OnnxNode;
  /** Inputs that depend on the row. */
  readonly inputs: readonly string[];
  readonly output: string;
  readonly shape: readonly number[];
}

/** `undefined`: not in this form. */
type Reader = (at: NodeSource) => Node[] | undefined;

const attribute = ({ node }: NodeSource, name: string) => node.attribute.find((a) => a.name === name);
const int = (at: NodeSource, name: string, absent: number): number => {
  const given = attribute(at, name);
  return given === undefined ? absent : (given.i ?? 0);
};
const float = (at: NodeSource, name: string, absent: number): number => {
  const given = attribute(at, name);
  return given === undefined ? absent : (given.f ?? 0);
};

const constantAt = ({ source, node }: NodeSource, index: number): Constant | undefined =>
  source.constants.get(node.input[index] ?? '');

/** Whether the row's value is the input at this place, and the only one. */
const reads = ({ node, inputs }: NodeSource, index: number): boolean =>
  inputs.length === 1 && node.input[index] === inputs[0];

const inputShape = ({ source, inputs }: NodeSource): readonly number[] | undefined =>
  source.shapes.get(inputs[0] ?? '')?.slice(1);

const base = ({ inputs, output, shape }: NodeSource) => ({ inputs: [inputs[0]!], output, shape });

/** Attributes as they are to be written again; `undefined` if one is of a kind that is not known. */
function attributesOf({ node }: NodeSource, names: readonly string[]): Attributes | undefined {
  const found: Record<string, Attribute> = {};
  for (const { name = '', i, f, s, ints, floats } of node.attribute) {
    if (!names.includes(name)) return undefined;
    if (ints.length > 0) found[name] = ints;
    else if (s?.length) found[name] = new TextDecoder().decode(s);
    else if (f !== undefined && f !== 0) found[name] = { float: f };
    else if (floats.length > 0) return undefined;
    else found[name] = i ?? 0;
  }
  return found;
}

const gemm: Reader = (at) => {
  const weights = constantAt(at, 1);
  if (weights === undefined || weights.dims.length !== 2 || at.shape.length !== 1 || !reads(at, 0))
    return undefined;
  if (int(at, 'transA', 0) !== 0) return undefined;
  const transposed = int(at, 'transB', 0) !== 0;
  const [outs, taps] = transposed
    ? [weights.dims[0]!, weights.dims[1]!]
    : [weights.dims[1]!, weights.dims[0]!];
  const [alpha, beta] = [float(at, 'alpha', 1), float(at, 'beta', 1)];
  const matrix = new Float64Array(outs * taps);
  for (let o = 0; o < outs; o++)
    for (let i = 0; i < taps; i++)
      matrix[o * taps + i] = alpha * weights.values[transposed ? o * taps + i : i * outs + o]!;
  const bias = new Float64Array(outs);
  if (at.node.input[2]) {
    const c = constantAt(at, 2);
    const values = c && expanded(c, [outs]);
    if (values === undefined) return undefined;
    bias.set(values.map((v) => v * beta));
  }
  return [{ kind: 'gemm', ...base(at), weights: matrix, bias }];
};

const conv: Reader = (at) => {
  const weights = constantAt(at, 1);
  const rank = (weights?.dims.length ?? 0) - 2;
  if (weights === undefined || rank < 1 || rank > 2 || !reads(at, 0)) return undefined;
  const attributes = attributesOf(at, ['auto_pad', 'dilations', 'group', 'kernel_shape', 'pads', 'strides']);
  if (attributes === undefined) return undefined;
  const outs = weights.dims[0]!;
  const given = at.node.input[2] ? constantAt(at, 2) : undefined;
  const bias = at.node.input[2] ? given && expanded(given, [outs]) : new Float64Array(outs);
  if (bias === undefined) return undefined;
  const pads = attributes.pads;
  const isZero = pads === undefined || (Array.isArray(pads) && pads.every((p) => p === 0));
  const auto = attributes.auto_pad ?? 'NOTSET';
  return [
    {
      kind: 'conv',
      ...base(at),
      weights: Float64Array.from(weights.values),
      weightDims: weights.dims,
      groups: int(at, 'group', 1),
      bias,
      padded: !isZero || (auto !== 'NOTSET' && auto !== 'VALID'),
      attributes,
    },
  ];
};

/** Add, Sub, Mul, Div: with a constant on either side, or of two values. */
const arithmetic: Reader = (at) => {
  const { node, inputs, shape } = at;
  if (inputs.length === 2) {
    const same = inputs.every((name) => sameSizes(at.source.shapes.get(name)?.slice(1), shape));
    return node.opType === 'Add' && same ? [{ kind: 'sum', inputs, output: at.output, shape }] : undefined;
  }
  const side = node.input[0] === inputs[0] ? 1 : 0;
  const constant = constantAt(at, side);
  if (constant === undefined || !sameSizes(inputShape(at), shape)) return undefined;
  const values = expanded(constant, shape);
  if (values === undefined) return undefined;
  const ones = () => new Float64Array(values.length).fill(1);
  const affine = (factors: Float64Array, offsets: Float64Array): Node[] => [
    { kind: 'affine', ...base(at), factors, offsets },
  ];
  switch (node.opType) {
    case 'Add':
      return affine(ones(), values);
    case 'Sub':
      return side === 1
        ? affine(
            ones(),
            values.map((v) => -v),
          )
        : affine(ones().fill(-1), values);
    case 'Mul':
      return affine(values, new Float64Array(values.length));
    default:
      return side === 1
        ? affine(
            values.map((v) => 1 / v),
            new Float64Array(values.length),
          )
        : undefined;
  }
};

const batchNormalization: Reader = (at) => {
  const channels = at.shape[0]!;
  const parameters = [1, 2, 3, 4]
    .map((index) => constantAt(at, index))
    .map((c) => c && expanded(c, [channels]));
  const [gamma, beta, mean, variance] = parameters;
  if (!reads(at, 0) || !gamma || !beta || !mean || !variance || int(at, 'training_mode', 0) !== 0)
    return undefined;
  const epsilon = float(at, 'epsilon', 1e-5);
  const factors = gamma.map((g, c) => g / Math.sqrt(variance[c]! + epsilon));
  const offsets = beta.map((b, c) => b - mean[c]! * factors[c]!);
  const inner = elementCount(at.shape.slice(1));
  const spread = (v: Float64Array) =>
    Float64Array.from({ length: channels * inner }, (_, i) => v[Math.floor(i / inner)]!);
  return [{ kind: 'affine', ...base(at), factors: spread(factors), offsets: spread(offsets) }];
};

/** Of ai.onnx.ml: `(x - offset) * scale`. */
const scaler: Reader = (at) => {
  const count = elementCount(at.shape);
  const list = (name: string, absent: number) => {
    const values = attribute(at, name)?.floats ?? [];
    if (values.length > 1 && values.length !== count) return undefined;
    return Float64Array.from({ length: count }, (_, i) =>
      values.length > 1 ? values[i]! : (values[0] ?? absent),
    );
  };
  const [offset, factors] = [list('offset', 0), list('scale', 1)];
  if (!offset || !factors || !sameSizes(inputShape(at), at.shape)) return undefined;
  return [{ kind: 'affine', ...base(at), factors, offsets: factors.map((f, i) => -f * offset[i]!) }];
};

const clip: Reader = (at) => {
  const bound = (index: number, name: string, absent: number) =>
    at.node.input[index] ? constantAt(at, index)?.values[0] : float(at, name, absent);
  const lo = bound(1, 'min', Number.NEGATIVE_INFINITY);
  const hi = bound(2, 'max', Number.POSITIVE_INFINITY);
  return lo === undefined || hi === undefined ? undefined : [{ kind: 'clamp', ...base(at), lo, hi }];
};

const relu: Reader = (at) => [{ kind: 'clamp', ...base(at), lo: 0, hi: Number.POSITIVE_INFINITY }];

const view: Reader = (at) => {
  const shape = inputShape(at);
  const keepsBatch = at.source.shapes.get(at.output)?.[0] === at.source.shapes.get(at.inputs[0] ?? '')?.[0];
  const same = shape !== undefined && elementCount(shape) === elementCount(at.shape);
  return same && keepsBatch && reads(at, 0) && at.shape.length > 0
    ? [{ kind: 'view', ...base(at) }]
    : undefined;
};

/** To float only: from an integer input, or from float. */
const cast: Reader = (at) => (int(at, 'to', 1) === 1 ? view(at) : undefined);

const pool: Reader = (at) => {
  const names = [
    'auto_pad',
    'ceil_mode',
    'count_include_pad',
    'dilations',
    'kernel_shape',
    'pads',
    'storage_order',
    'strides',
  ];
  const attributes = attributesOf(at, names);
  return attributes && [{ kind: 'pool', ...base(at), operator: at.node.opType!, attributes }];
};

/** The mean over all positions of an image; over one or two axes. */
const reduceMean: Reader = (at) => {
  const input = inputShape(at);
  if (input === undefined || input.length < 2 || !reads(at, 0)) return undefined;
  const given = attribute(at, 'axes')?.ints ?? Array.from(constantAt(at, 1)?.values ?? []);
  const axes = given.map((axis) => (axis < 0 ? axis + input.length + 1 : axis)).sort((a, b) => a - b);
  const spatial = input.slice(1).map((_, i) => i + 2);
  if (axes.length !== spatial.length || axes.some((axis, i) => axis !== spatial[i])) return undefined;
  const pooled = `${at.output}_pooled`;
  const shape = [input[0]!, ...spatial.map(() => 1)];
  return [
    {
      kind: 'pool',
      inputs: [at.inputs[0]!],
      output: pooled,
      shape,
      operator: 'GlobalAveragePool',
      attributes: {},
    },
    { kind: 'view', inputs: [pooled], output: at.output, shape: at.shape },
  ];
};

const functionOf =
  (...names: string[]): Reader =>
  (at) => {
    const attributes = attributesOf(at, names);
    return attributes && at.inputs.length === 1 && at.node.input.length === 1
      ? [{ kind: 'function', ...base(at), operator: at.node.opType!, attributes }]
      : undefined;
  };

/** How each operator of ONNX is read, by its name, of other domains with theirs. */
export const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['Gemm', gemm],
  ['MatMul', gemm],
  ['Conv', conv],
  ['Add', arithmetic],
  ['Sub', arithmetic],
  ['Mul', arithmetic],
  ['Div', arithmetic],
  ['BatchNormalization', batchNormalization],
  ['ai.onnx.ml.Scaler', scaler],
  ['Relu', relu],
  ['Clip', clip],
  ['Cast', cast],
  ['Flatten', view],
  ['Reshape', view],
  ['Squeeze', view],
  ['Unsqueeze', view],
  ['Identity', view],
  ['Dropout', view],
  ['MaxPool', pool],
  ['AveragePool', pool],
  ['GlobalAveragePool', pool],
  ['GlobalMaxPool', pool],
  ['ReduceMean', reduceMean],
  ['Sigmoid', functionOf()],
  ['Tanh', functionOf()],
  ['HardSwish', functionOf()],
  ['HardSigmoid', functionOf('alpha', 'beta')],
  ['LeakyRelu', functionOf('alpha')],
  ['Elu', functionOf('alpha')],
  ['Selu', functionOf('alpha', 'gamma')],
  ['Softplus', functionOf()],
  ['Softsign', functionOf()],
  ['Mish', functionOf()],
  ['Gelu', functionOf('approximate')],
]);

const sameSizes = (a: readonly number[] | undefined, b: readonly number[]): boolean =>
  a !== undefined && a.length === b.length && a.every((size, i) => size === b[i]);

/** A constant as broadcast against a value of this shape, element by element; `undefined` if it has more elements. */
function expanded({ dims, values }: Constant, shape: readonly number[]): Float64Array | undefined {
  const offset = shape.length - dims.length;
  // Sizes from before the shape are those of the batch.
  if (dims.some((size, i) => size !== 1 && size !== shape[i + offset])) return undefined;
  const out = new Float64Array(elementCount(shape));
  for (let i = 0; i < out.length; i++) {
    let [rest, at, step] = [i, 0, 1];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const size = dims[axis - offset] ?? 1;
      const index = rest % shape[axis]!;
      rest = Math.floor(rest / shape[axis]!);
      if (size !== 1) at += index * step;
      step *= size;
    }
    out[i] = values[at]!;
  }
  return out;
}
