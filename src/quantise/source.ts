import { refuse } from '../diagnostics/index.ts';
import type { OnnxRuntime } from '../ends/worker/onnxruntime.ts';
import {
  decodeOnnx,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  onnxModelType,
} from '../import/onnx/proto.ts';
import { type Constant, DataType, dataTypeName, decodeTensor } from '../import/onnx/tensor-data.ts';
import { elementCount } from '../model/tensor.ts';
import type { Numbers } from '../rows/index.ts';
import type { NetworkInput } from './network.ts';
import { firstLine, Runner } from './runtime.ts';

/** A float model as its file has it, with what one run of ONNX Runtime tells: shapes, and values that never change. */
export interface Source {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly nodes: readonly OnnxNode[];
  readonly graph: OnnxGraph;
  readonly opset: number;
  readonly input: Pick<NetworkInput, 'name' | 'element' | 'shape'>;
  /** Rows of a run, if the file fixes them. */
  readonly batch: number | undefined;
  /** Values known before any row comes, such as weights. */
  readonly constants: ReadonlyMap<string, Constant>;
  /** Values that follow from constants and shapes. */
  readonly fixed: ReadonlySet<string>;
  /** Shapes of one row's values, with the batch. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly metadataProps: OnnxModel['metadataProps'];
}

type SourceInput = Pick<Source, 'input' | 'batch'>;

/** Name, type and shape of the one input. @throws DiagnosticError `quantise-unsupported` */
export function sourceInput(graph: OnnxGraph, file: string): SourceInput {
  const constants = new Set(graph.initializer.map(({ name }) => name));
  const [input, ...more] = graph.input.filter(({ name }) => !constants.has(name));
  const bad = (what: string): never => refuse('quantise-unsupported', { what }, { file });
  if (input === undefined || more.length > 0)
    return bad(`it has ${more.length + (input ? 1 : 0)} inputs, not one`);
  const { name = '', type } = input;
  const dataType = type?.tensorType?.elemType ?? 0;
  const element = elements.get(dataType);
  if (element === undefined)
    return bad(`its input is ${dataTypeName(dataType)}; float, uint8 and int8 are known`);
  const [batch, ...shape] = (type?.tensorType?.shape?.dim ?? []).map(({ dimValue }) => dimValue ?? 0);
  if (batch === undefined || shape.length === 0 || shape.some((size) => size < 1))
    return bad(
      `the shape of its input ${name} is [${[batch ?? '?', ...shape].join(', ')}], not [batch, sizes that are known]`,
    );
  return { input: { name, element, shape }, batch: batch > 0 ? batch : undefined };
}

const elements: ReadonlyMap<number, NetworkInput['element']> = new Map([
  [DataType.float, 'float32'],
  [DataType.uint8, 'uint8'],
  [DataType.int8, 'int8'],
]);

/** What says that a model holds integers already. */
const QUANTISED =
  /^(Q(uantize)?Linear.*|DequantizeLinear|DynamicQuantizeLinear|ConvInteger|MatMulInteger|Quant|BipolarQuant)$/;

/** Decodes the file and refuses what is no float model. @throws DiagnosticError */
export function decodeSource(bytes: Uint8Array, file: string) {
  const model = decodeOnnx(bytes, file);
  const quantised = model.graph.node.find(({ opType = '' }) => QUANTISED.test(opType));
  if (quantised !== undefined) refuse('quantise-already', { operator: quantised.opType! }, { file });
  return { model, graph: model.graph, ...sourceInput(model.graph, file) };
}

/** Looks into the model by one run of its first rows. @throws DiagnosticError */
export async function readSource(
  bytes: Uint8Array,
  file: string,
  rows: Numbers,
  runtime: OnnxRuntime,
): Promise<Source> {
  const { model, graph, input, batch } = decodeSource(bytes, file);
  const opset = model.opsetImport.find(({ domain }) => !domain || domain === 'ai.onnx')?.version ?? 13;
  const constants = new Map<string, Constant>();
  for (const tensor of graph.initializer)
    constants.set(tensor.name ?? '', decodeTensor(tensor, tensor.name ?? '', { file }));
  const fixed = fixedValues(graph, constants);
  const fetched = graph.node
    .filter((node) => !isOpaque(node))
    .flatMap(({ output }) => output.filter(Boolean));
  const runner = await Runner.open(runtime, withOutputs(bytes, graph, fetched), input, { file });
  const shapes = new Map<string, readonly number[]>([[input.name, [batch ?? 1, ...input.shape]]]);
  try {
    const results = await runner.run(rows, 0, batch ?? 1, fetched);
    for (const [name, { dims, data, type }] of Object.entries(results)) {
      shapes.set(name, dims);
      if (fixed.has(name) && type !== 'string')
        constants.set(name, asConstant(name, dims, data as ArrayLike<number>));
    }
  } catch (error) {
    return refuse('quantise-source', { reason: firstLine(error) }, { file });
  } finally {
    await runner.close();
  }
  const { metadataProps } = model;
  return {
    file,
    bytes,
    nodes: graph.node,
    graph,
    opset,
    input,
    batch,
    constants,
    fixed,
    shapes,
    metadataProps,
  };
}

/** What follows from constants alone, and from shapes, which are the same for every row. */
function fixedValues(graph: OnnxGraph, constants: ReadonlyMap<string, Constant>): Set<string> {
  const fixed = new Set<string>(constants.keys());
  for (const { opType, input, output } of graph.node)
    if (
      opType === 'Constant' ||
      opType === 'Shape' ||
      (input.length > 0 && input.every((name) => !name || fixed.has(name)))
    )
      for (const name of output) fixed.add(name);
  return fixed;
}

/** Makes no tensors. */
const isOpaque = ({ opType = '' }: OnnxNode): boolean => opType === 'ZipMap' || opType.startsWith('Sequence');

function asConstant(name: string, dims: readonly number[], data: ArrayLike<number | bigint>): Constant {
  const values = Float64Array.from({ length: data.length }, (_, i) => Number(data[i]));
  if (values.length !== elementCount(dims))
    throw new Error(`ONNX Runtime gives ${name} another length than shape`);
  return { kind: 'constant', name, dims, dataType: DataType.double, values };
}

/**
 * The file with more outputs. In protobuf a message behind another is merged into it, so what the file holds stays as it
 * is, known here or not.
 */
export function withOutputs(bytes: Uint8Array, graph: OnnxGraph, names: readonly string[]): Uint8Array {
  const given = new Set(graph.output.map(({ name }) => name));
  const output = names.filter((name) => !given.has(name)).map((name) => ({ name }));
  const more = onnxModelType().encode({ graph: { output } }).finish();
  return Buffer.concat([bytes, more]);
}
