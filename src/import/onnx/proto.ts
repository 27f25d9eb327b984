import protobuf from 'protobufjs/light.js';
import { refuse } from '../../diagnostics/index.ts';
import { boundFault } from './bounds.ts';
import { onnxDescriptor } from './descriptor.ts';

/** Decoded messages as plain objects: 64-bit integers are numbers, repeated fields are always there. */
export interface OnnxModel {
  readonly irVersion?: number;
  readonly graph?: OnnxGraph;
  readonly opsetImport: readonly { readonly domain?: string; readonly version?: number }[];
  readonly metadataProps: readonly { readonly key?: string; readonly value?: string }[];
}

/** The fields of `GraphProto` that are read. */
export interface OnnxGraph {
  readonly name?: string;
  readonly node: readonly OnnxNode[];
  readonly initializer: readonly OnnxTensor[];
  readonly input: readonly OnnxValueInfo[];
  readonly output: readonly OnnxValueInfo[];
  /** Types of tensors inside of the graph, as far as the file tells them. */
  readonly valueInfo: readonly OnnxValueInfo[];
}

/** The fields of `NodeProto` that are read; an input that is left out has the empty name. */
export interface OnnxNode {
  readonly name?: string;
  readonly opType?: string;
  readonly domain?: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute: readonly OnnxAttribute[];
}

/** The fields of `AttributeProto` that are read; which of them counts is said by `type`. */
export interface OnnxAttribute {
  readonly name?: string;
  readonly f?: number;
  readonly i?: number;
  readonly s?: Uint8Array;
  readonly t?: OnnxTensor;
  readonly floats: readonly number[];
  readonly ints: readonly number[];
  readonly strings: readonly Uint8Array[];
  /** Which of the fields holds the value. */
  readonly type?: number;
  /** In the body of a function: the attribute of the caller that it stands for. */
  readonly refAttrName?: string;
}

/** The fields of `TensorProto` that are read: its numbers stand in one of the lists, or in `rawData` in little endian. */
export interface OnnxTensor {
  readonly name?: string;
  readonly dims: readonly number[];
  readonly dataType?: number;
  readonly rawData?: Uint8Array;
  readonly floatData: readonly number[];
  readonly int32Data: readonly number[];
  readonly int64Data: readonly number[];
  readonly doubleData: readonly number[];
  readonly dataLocation?: number;
  /** Where the data is, if in another file: location, offset, length. */
  readonly externalData: readonly { readonly key?: string; readonly value?: string }[];
}

/** A graph input or output; a dimension without a value is open. */
export interface OnnxValueInfo {
  readonly name?: string;
  readonly type?: {
    readonly tensorType?: {
      readonly elemType?: number;
      readonly shape?: {
        readonly dim: readonly { readonly dimValue?: number; readonly dimParam?: string }[];
      };
    };
  };
}

let modelType: protobuf.Type | undefined;

/** The reflection type of a model file; built on first use. */
export function onnxModelType(): protobuf.Type {
  modelType ??= protobuf.Root.fromJSON(onnxDescriptor).lookupType('ModelProto');
  return modelType;
}

/**
 * Decodes the bytes of a model file. Almost any bytes decode as some protobuf message, so what every model has is
 * looked for: an IR version, operator sets and a graph with nodes. How much it holds is counted before any of it is decoded.
 *
 * @throws DiagnosticError `onnx-malformed`
 */
export function decodeOnnx(bytes: Uint8Array, file: string): OnnxModel & { readonly graph: OnnxGraph } {
  const malformed = (reason: string): never => refuse('onnx-malformed', { reason }, { file });
  if (bytes.length === 0) return malformed('it is empty');
  const type = onnxModelType();
  const fault = boundFault(bytes, type);
  if (fault !== undefined) return malformed(fault);
  let model: OnnxModel;
  try {
    // The descriptor above is what makes these interfaces true.
    model = type.toObject(type.decode(bytes), { longs: Number, arrays: true }) as OnnxModel;
  } catch (error) {
    return malformed(`it does not decode (${error instanceof Error ? error.message : String(error)})`);
  }
  if (!model.irVersion) return malformed('it has no IR version');
  if (model.opsetImport.length === 0) return malformed('it names no operator set');
  const { graph } = model;
  if (graph === undefined || graph.node.length === 0) return malformed('it has no graph with nodes');
  return { ...model, graph };
}
