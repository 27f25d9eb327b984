import { onnxModelType } from '../../src/import/onnx/proto.ts';
import { DataType } from '../../src/import/onnx/tensor-data.ts';

/** Writes small ONNX files for tests, with the descriptor that the importer reads them by. */

export type AttributeValue =
  | number
  | readonly number[]
  | string
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly tensor: TensorSpec };

export interface NodeSpec {
  readonly op: string;
  readonly in: readonly string[];
  readonly out: string;
  /** Outputs behind the first. */
  readonly more?: readonly string[];
  readonly name?: string;
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
}

type TypeName = keyof typeof DataType;

export interface TensorSpec {
  readonly type: TypeName;
  readonly dims: readonly number[];
  readonly values: ArrayLike<number>;
  /** Write the typed field instead of raw bytes. */
  readonly fields?: boolean;
}

export interface GraphSpec {
  readonly nodes: readonly NodeSpec[];
  readonly constants?: Readonly<Record<string, TensorSpec>>;
  /** Name `x`; dims with the batch, a string is a symbol. */
  readonly input?: { readonly type: TypeName; readonly dims: readonly (number | string)[] };
  /** Name of the output, and its type. */
  readonly output?: string;
  readonly outputType?: TypeName;
  /** A second output. */
  readonly second?: string;
  readonly opset?: number;
  /** Version of the operator set `ai.onnx.ml`. */
  readonly treeOpset?: number;
}

export const tensor = (type: TypeName, dims: readonly number[], values: ArrayLike<number>): TensorSpec => ({
  type,
  dims,
  values,
});

export const scalar = (type: TypeName, value: number): TensorSpec => tensor(type, [], [value]);

/** The bytes of a model file. */
export function writeOnnx(graph: GraphSpec): Uint8Array {
  const type = onnxModelType();
  const { nodes, constants = {}, input = { type: 'uint8', dims: ['N', 4] } } = graph;
  const message = type.create({
    irVersion: 8,
    opsetImport: [
      { domain: '', version: graph.opset ?? 17 },
      { domain: 'com.microsoft', version: 1 },
      { domain: 'ai.onnx.ml', version: graph.treeOpset ?? 3 },
    ],
    graph: {
      name: 'test',
      node: nodes.map(encodeNode),
      initializer: Object.entries(constants).map(([name, spec]) => encodeTensor(name, spec)),
      input: [valueInfo('x', input.type, input.dims)],
      output: [
        valueInfo(graph.output ?? nodes.at(-1)!.out, graph.outputType ?? 'int8'),
        ...(graph.second === undefined ? [] : [valueInfo(graph.second, 'float')]),
      ],
    },
  });
  return type.encode(message).finish();
}

const encodeNode = (spec: NodeSpec) => ({
  opType: spec.op,
  name: spec.name ?? `${spec.op}_${spec.out}`,
  domain: spec.domain ?? '',
  input: spec.in,
  output: [spec.out, ...(spec.more ?? [])],
  attribute: Object.entries(spec.attributes ?? {}).map(([name, value]) => ({
    name,
    ...encodeAttribute(value),
  })),
});

function encodeAttribute(value: AttributeValue) {
  if (typeof value === 'number') return { i: value, type: 2 };
  if (typeof value === 'string') return { s: new TextEncoder().encode(value), type: 3 };
  if ('float' in value) return { f: value.float, type: 1 };
  if ('floats' in value) return { floats: value.floats, type: 6 };
  if ('strings' in value)
    return { strings: value.strings.map((text) => new TextEncoder().encode(text)), type: 8 };
  if ('tensor' in value) return { t: encodeTensor('', value.tensor), type: 4 };
  return { ints: value, type: 7 };
}

function encodeTensor(name: string, { type, dims, values, fields }: TensorSpec) {
  const head = { name, dims, dataType: DataType[type] };
  if (fields) return { ...head, [type === 'float' ? 'floatData' : 'int32Data']: Array.from(values) };
  return { ...head, rawData: rawBytes(type, values) };
}

function rawBytes(type: TypeName, values: ArrayLike<number>): Uint8Array {
  const numbers = Array.from(values);
  if (type === 'int4' || type === 'uint4')
    return Uint8Array.from(
      { length: Math.ceil(numbers.length / 2) },
      (_, i) => (numbers[2 * i]! & 15) | (((numbers[2 * i + 1] ?? 0) & 15) << 4),
    );
  const typed = () => {
    switch (type) {
      case 'float':
        return Float32Array.from(numbers);
      case 'double':
        return Float64Array.from(numbers);
      case 'int32':
        return Int32Array.from(numbers);
      case 'int16':
        return Int16Array.from(numbers);
      case 'uint16':
        return Uint16Array.from(numbers);
      case 'int64':
        return BigInt64Array.from(numbers, BigInt);
      default:
        return Uint8Array.from(numbers, (v) => v & 0xff);
    }
  };
  const { buffer } = typed();
  return new Uint8Array(buffer);
}

const valueInfo = (name: string, type: TypeName, dims?: readonly (number | string)[]) => ({
  name,
  type: {
    tensorType: {
      elemType: DataType[type],
      ...(dims && {
        shape: { dim: dims.map((d) => (typeof d === 'string' ? { dimParam: d } : { dimValue: d })) },
      }),
    },
  },
});
