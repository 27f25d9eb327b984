import { encodeElements, type TensorType } from '../../model/tensor.ts';
import type { SourceTensor } from '../result.ts';
import { type OnnxGraph, type OnnxNode, onnxModelType } from './proto.ts';
import { DataType } from './tensor-data.ts';

/** A part of a graph as a model file of its own: integers in, integers out, a batch of any size in front. */
export interface OnnxCut {
  readonly bytes: Uint8Array;
  readonly input: string;
  readonly output: string;
}

const elementDataType = {
  uint8: DataType.uint8,
  int8: DataType.int8,
  uint16: DataType.uint16,
  int16: DataType.int16,
} as const;

/**
 * Cuts out the nodes between two tensors. A tensor of reals gets the DequantizeLinear or QuantizeLinear of its grid, which
 * changes nothing: its reals lie on that grid.
 *
 * @returns `undefined` if the part reads something from before the cut
 */
export function cutOnnx(model: Uint8Array, from: SourceTensor, to: SourceTensor): OnnxCut | undefined {
  const type = onnxModelType();
  // The message itself, not a plain copy: what is not touched goes back as it came.
  const message = type.decode(model);
  const { graph } = message as unknown as { readonly graph: Mutable<OnnxGraph> };
  const needed = nodesBetween(graph, from.name, to.name);
  if (needed === undefined) return undefined;

  const input = from.real ? freshName(graph, `${from.name}_q`) : from.name;
  const output = to.real ? freshName(graph, `${to.name}_q`) : to.name;
  const constants = [...graph.initializer];
  /** Scale and zero point as two more initialisers. */
  const grid = (name: string, { element, scale, zeroPoint }: TensorType): string[] => {
    constants.push({
      ...scalar(`${name}_scale`, DataType.float),
      rawData: new Uint8Array(Float32Array.of(scale).buffer),
    });
    constants.push({
      ...scalar(`${name}_zero`, elementDataType[element]),
      rawData: encodeElements(element, Int32Array.of(zeroPoint)),
    });
    return [`${name}_scale`, `${name}_zero`];
  };
  const nodes = [...needed];
  if (from.real) nodes.unshift(node('DequantizeLinear', [input, ...grid(input, from.type)], from.name));
  if (to.real) nodes.push(node('QuantizeLinear', [to.name, ...grid(output, to.type)], output));

  const read = new Set(nodes.flatMap((n) => n.input));
  graph.node = nodes;
  graph.initializer = constants.filter((c) => read.has(c.name ?? ''));
  graph.input = [valueInfo(input, from.type)];
  graph.output = [valueInfo(output, to.type)];
  return { bytes: type.encode(message).finish(), input, output };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** In the graph's order. `undefined` if the output can be reached from elsewhere than `from` and constants. */
function nodesBetween(graph: OnnxGraph, from: string, to: string): OnnxNode[] | undefined {
  const makers = new Map<string, OnnxNode>();
  for (const n of graph.node) for (const name of n.output) if (name) makers.set(name, n);
  const constants = new Set(graph.initializer.map((c) => c.name ?? ''));
  const needed = new Set<OnnxNode>();
  const waiting = [to];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (name === '' || name === from || constants.has(name)) continue;
    const maker = makers.get(name);
    if (maker === undefined) return undefined;
    if (needed.has(maker)) continue;
    needed.add(maker);
    waiting.push(...maker.input);
  }
  return graph.node.filter((n) => needed.has(n));
}

function freshName(graph: OnnxGraph, stem: string): string {
  const taken = new Set(graph.node.flatMap((n) => [...n.input, ...n.output]));
  let name = stem;
  for (let i = 2; taken.has(name) || taken.has(`${name}_scale`) || taken.has(`${name}_zero`); i++)
    name = `${stem}${i}`;
  return name;
}

const node = (opType: string, input: readonly string[], output: string): OnnxNode => ({
  name: `${opType}_${output}`,
  opType,
  input,
  output: [output],
  attribute: [],
});

const scalar = (name: string, dataType: number) => ({
  name,
  dims: [],
  dataType,
  floatData: [],
  int32Data: [],
  int64Data: [],
  doubleData: [],
  externalData: [],
});

const valueInfo = (name: string, type: TensorType) => ({
  name,
  type: {
    tensorType: {
      elemType: elementDataType[type.element],
      shape: { dim: [{ dimParam: 'N' }, ...type.shape.map((dimValue) => ({ dimValue }))] },
    },
  },
});
