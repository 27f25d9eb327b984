import type { OnnxModel } from '../import/onnx/proto.ts';
import { elementCount } from '../model/tensor.ts';
import { hasGrid, type Network, type Node } from './network.ts';
import { GraphWriter } from './onnx.ts';
import { type QuantisedWeights, quantiseBias, quantiseWeights, type WeightOptions } from './weights.ts';

/** `real = scale * (q - zeroPoint)` */
export interface Grid {
  readonly element: 'int8' | 'uint8';
  /** A float32. */
  readonly scale: number;
  readonly zeroPoint: number;
}

interface EmitOptions {
  /** At least 13, the first with scales by channel. */
  readonly opset: number;
  readonly metadataProps?: OnnxModel['metadataProps'];
}

/** What QuantizeLinear is told, value by value. */
export interface Grids {
  readonly input: Grid;
  /** By value, of those that have one. */
  readonly values: ReadonlyMap<string, Grid>;
}

const OPSET_WITH_INT4 = 21;

/** The network in float32, every value an output. */
export function emitFloat(network: Network, { opset }: EmitOptions): Uint8Array {
  const writer = new GraphWriter();
  const start = emitInput(writer, network, undefined);
  for (const node of network.nodes)
    emitNode(writer, node, readable(network, start), node.output, floatWeights);
  const outputs = network.nodes.map(({ output: name, shape }) => ({ name, shape }));
  if (network.input.affine !== undefined) outputs.push({ name: start, shape: network.input.shape });
  return writer.finish({ input: network.input, outputs, opset });
}

/** Name of the value that stands for the input's reals. */
export const inputReals = ({ input }: Network): string =>
  input.affine === undefined && input.element === 'float32' ? input.name : `${input.name}_real`;

/** The network with QuantizeLinear and DequantizeLinear behind every step, weights and biases as integers. */
export function emitQuantised(
  network: Network,
  grids: Grids,
  weights: WeightOptions,
  { opset, metadataProps = [] }: EmitOptions,
): Uint8Array {
  const writer = new GraphWriter();
  const start = emitInput(writer, network, grids.input);
  for (const node of network.nodes) {
    const quantised = hasGrid(network, node);
    const made = quantised ? `${node.output}_real` : node.output;
    const grid = gridBefore(network, grids, node);
    emitNode(writer, node, readable(network, start), made, (w, n) => integerWeights(w, n, grid, weights));
    if (quantised) emitPair(writer, made, node.output, grids.values.get(node.output)!);
  }
  const outputs = [{ name: network.output, shape: shapeOf(network, network.output) }];
  const needed = weights.bits === 4 ? Math.max(opset, OPSET_WITH_INT4) : opset;
  return writer.finish({ input: network.input, outputs, opset: needed, metadataProps });
}

const shapeOf = ({ nodes, input }: Network, value: string) =>
  nodes.find(({ output }) => output === value)?.shape ?? input.shape;

/** The grid on which a node's first input lies, through views. */
function gridBefore(network: Network, grids: Grids, node: Node): Grid {
  let [value] = node.inputs as [string];
  for (;;) {
    if (value === network.input.name) return grids.input;
    const grid = grids.values.get(value);
    if (grid !== undefined) return grid;
    value = network.nodes.find(({ output }) => output === value)!.inputs[0]!;
  }
}

const readable = (network: Network, start: string) => (value: string) =>
  value === network.input.name ? start : value;

/** What the input is as reals: scaled, on its grid, or both. */
function emitInput(writer: GraphWriter, network: Network, grid: Grid | undefined): string {
  const { input } = network;
  const { name, affine } = input;
  const reals = inputReals(network);
  if (input.element !== 'float32')
    return emitDequantize(writer, name, reals, { ...input.grid, element: input.element });
  let value = name;
  if (affine !== undefined) {
    const end = grid === undefined ? reals : `${name}_scaled`;
    const scaled = writer.node(
      'Mul',
      [name, elementwise(writer, `${name}_factors`, input.shape, affine.factors)],
      `${name}_product`,
    );
    value = writer.node(
      'Add',
      [scaled, elementwise(writer, `${name}_offsets`, input.shape, affine.offsets)],
      end,
    );
  }
  if (grid === undefined) return value;
  return emitPair(writer, value, `${name}_real`, grid);
}

function emitPair(writer: GraphWriter, real: string, to: string, grid: Grid): string {
  const parameters = gridConstants(writer, to, grid);
  const q = writer.node('QuantizeLinear', [real, ...parameters], `${to}_q`);
  return writer.node('DequantizeLinear', [q, ...parameters], to);
}

const emitDequantize = (writer: GraphWriter, q: string, to: string, grid: Grid): string =>
  writer.node('DequantizeLinear', [q, ...gridConstants(writer, to, grid)], to);

const gridConstants = (writer: GraphWriter, name: string, { scale, zeroPoint, element }: Grid): string[] => [
  writer.floats(`${name}_scale`, [], [scale]),
  writer.bytes(`${name}_zero`, element, [], [zeroPoint]),
];

/** As few elements as broadcasting needs: one, one a channel, or all. */
function elementwise(
  writer: GraphWriter,
  name: string,
  shape: readonly number[],
  values: Float64Array,
): string {
  const inner = elementCount(shape.slice(1));
  if (values.every((v) => v === values[0])) return writer.floats(name, [], [values[0]!]);
  const channels = shape[0]!;
  if (values.every((v, i) => v === values[Math.floor(i / inner) * inner]))
    return writer.floats(
      name,
      [channels, ...shape.slice(1).map(() => 1)],
      Array.from({ length: channels }, (_, c) => values[c * inner]!),
    );
  return writer.floats(name, shape, values);
}

type WeightWriter = (
  writer: GraphWriter,
  node: {
    readonly name: string;
    readonly dims: readonly number[];
    readonly weights: Float64Array;
    readonly bias: Float64Array;
  },
) => readonly [weights: string, bias: string];

const floatWeights: WeightWriter = (writer, { name, dims, weights, bias }) => [
  writer.floats(`${name}_weights`, dims, weights),
  writer.floats(`${name}_bias`, [bias.length], bias),
];

function integerWeights(
  writer: GraphWriter,
  { name, dims, weights, bias }: Parameters<WeightWriter>[1],
  input: Grid,
  o: WeightOptions,
): readonly [string, string] {
  const w = quantiseWeights(weights, bias, input.scale, o);
  const values = `${name}_weights_q`;
  if (o.bits === 4) writer.nibbles(values, dims, w.values);
  else writer.bytes(values, 'int8', dims, w.values);
  const scale = writer.floats(
    `${name}_weights_scale`,
    w.scales.length === 1 ? [] : [w.scales.length],
    w.scales,
  );
  const axis = w.scales.length === 1 ? {} : { axis: 0 };
  const real = writer.node(
    'DequantizeLinear',
    [values, scale, zeros(writer, name, w, o)],
    `${name}_weights`,
    axis,
  );
  const { values: integers, scales } = quantiseBias(bias, input.scale, w.scales);
  const biasScale = writer.floats(`${name}_bias_scale`, scales.length === 1 ? [] : [scales.length], scales);
  const biasValues = writer.int32s(`${name}_bias_q`, [bias.length], integers);
  return [real, writer.node('DequantizeLinear', [biasValues, biasScale], `${name}_bias`, axis)];
}

/** Zero points tell the type of the weights; all are zero. */
function zeros(
  writer: GraphWriter,
  name: string,
  { scales }: QuantisedWeights,
  { bits }: WeightOptions,
): string {
  const dims = scales.length === 1 ? [] : [scales.length];
  const values = new Int8Array(scales.length);
  return bits === 4
    ? writer.nibbles(`${name}_weights_zero`, dims, values)
    : writer.bytes(`${name}_weights_zero`, 'int8', dims, values);
}

function emitNode(
  writer: GraphWriter,
  node: Node,
  read: (value: string) => string,
  output: string,
  weightsOf: WeightWriter,
): void {
  const inputs = node.inputs.map(read);
  const [x] = inputs as [string];
  const name = node.output;
  switch (node.kind) {
    case 'gemm': {
      const dims = [node.bias.length, node.weights.length / node.bias.length];
      writer.node('Gemm', [x, ...weightsOf(writer, { ...node, name, dims })], output, { transB: 1 });
      return;
    }
    case 'conv':
      writer.node(
        'Conv',
        [x, ...weightsOf(writer, { ...node, name, dims: node.weightDims })],
        output,
        node.attributes,
      );
      return;
    case 'affine': {
      const product = writer.node(
        'Mul',
        [x, elementwise(writer, `${name}_factors`, node.shape, node.factors)],
        `${name}_product`,
      );
      writer.node('Add', [product, elementwise(writer, `${name}_offsets`, node.shape, node.offsets)], output);
      return;
    }
    case 'clamp':
      emitClamp(writer, x, node.lo, node.hi, output);
      return;
    case 'function':
    case 'pool':
      writer.node(node.operator, [x], output, node.attributes);
      return;
    case 'sum':
      writer.node('Add', inputs, output);
      return;
    case 'view':
      writer.node(
        'Reshape',
        [x, writer.int64s(`${name}_shape`, [node.shape.length + 1], [-1, ...node.shape])],
        output,
      );
      return;
  }
}

function emitClamp(writer: GraphWriter, x: string, lo: number, hi: number, output: string): void {
  if (lo === 0 && hi === Number.POSITIVE_INFINITY) {
    writer.node('Relu', [x], output);
    return;
  }
  const bound = (name: string, value: number) =>
    Number.isFinite(value) ? writer.floats(`${output}_${name}`, [], [value]) : '';
  const bounds = [bound('min', lo), bound('max', hi)];
  writer.node('Clip', bounds[1] === '' ? [x, bounds[0]!] : [x, ...bounds], output);
}
