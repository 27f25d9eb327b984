import { type OnnxModel, onnxModelType } from '../import/onnx/proto.ts';
import { DataType } from '../import/onnx/tensor-data.ts';
import type { Attribute, Attributes } from './network.ts';

/** Collects nodes and constants of an ONNX graph, and writes them with the descriptor that the importer reads by. */
export class GraphWriter {
  readonly #nodes: object[] = [];
  readonly #constants = new Map<string, object>();

  /** @returns the name of the value */
  node(operator: string, inputs: readonly string[], output: string, attributes: Attributes = {}): string {
    const attribute = Object.entries(attributes).map(([name, value]) => ({ name, ...encoded(value) }));
    this.#nodes.push({
      opType: operator,
      name: `${operator}_${output}`,
      input: inputs,
      output: [output],
      attribute,
    });
    return output;
  }

  floats(name: string, dims: readonly number[], values: ArrayLike<number>): string {
    return this.#constant(name, DataType.float, dims, Float32Array.from(values));
  }

  int32s(name: string, dims: readonly number[], values: ArrayLike<number>): string {
    return this.#constant(name, DataType.int32, dims, Int32Array.from(values));
  }

  int64s(name: string, dims: readonly number[], values: readonly number[]): string {
    return this.#constant(name, DataType.int64, dims, BigInt64Array.from(values, BigInt));
  }

  bytes(name: string, element: 'int8' | 'uint8', dims: readonly number[], values: ArrayLike<number>): string {
    return this.#constant(
      name,
      DataType[element],
      dims,
      Uint8Array.from(values, (v) => v & 0xff),
    );
  }

  /** Two elements a byte, the first in the low half. */
  nibbles(name: string, dims: readonly number[], values: ArrayLike<number>): string {
    const packed = new Uint8Array(Math.ceil(values.length / 2));
    for (let i = 0; i < values.length; i++) packed[i >> 1]! |= (values[i]! & 0xf) << (4 * (i & 1));
    return this.#constant(name, DataType.int4, dims, packed);
  }

  #constant(name: string, dataType: number, dims: readonly number[], values: NodeJS.TypedArray): string {
    const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.#constants.set(name, { name, dims, dataType, rawData });
    return name;
  }

  /** The bytes of a model file of one input and some outputs, with a batch of any size. */
  finish(o: {
    readonly input: {
      readonly name: string;
      readonly element: 'float32' | 'uint8' | 'int8';
      readonly shape: readonly number[];
    };
    readonly outputs: readonly { readonly name: string; readonly shape: readonly number[] }[];
    readonly opset: number;
    readonly metadataProps?: OnnxModel['metadataProps'];
  }): Uint8Array {
    const type = onnxModelType();
    const inputType = o.input.element === 'float32' ? DataType.float : DataType[o.input.element];
    const model = {
      // The first IR version of the operator set's release: older runtimes refuse newer ones.
      irVersion: o.opset >= 21 ? 10 : o.opset >= 19 ? 9 : 8,
      producerName: 'intransit',
      opsetImport: [{ domain: '', version: o.opset }],
      metadataProps: o.metadataProps ?? [],
      graph: {
        name: 'quantised',
        node: this.#nodes,
        initializer: [...this.#constants.values()],
        input: [valueInfo(o.input.name, inputType, o.input.shape)],
        output: o.outputs.map(({ name, shape }) => valueInfo(name, DataType.float, shape)),
      },
    };
    return type.encode(model).finish();
  }
}

function encoded(value: Attribute): object {
  if (typeof value === 'number') return { i: value, type: 2 };
  if (typeof value === 'string') return { s: new TextEncoder().encode(value), type: 3 };
  if ('float' in value) return { f: value.float, type: 1 };
  return { ints: value, type: 7 };
}

const valueInfo = (name: string, elemType: number, shape: readonly number[]) => ({
  name,
  type: {
    tensorType: { elemType, shape: { dim: [{ dimParam: 'N' }, ...shape.map((dimValue) => ({ dimValue }))] } },
  },
});
