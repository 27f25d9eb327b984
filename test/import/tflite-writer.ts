import { Builder } from 'flatbuffers';
import { operatorCode, TensorKind } from '../../src/import/tflite/names.ts';

/** A tensor of a test file. */
export interface TensorSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly kind: keyof typeof TensorKind;
  readonly scale?: number | readonly number[];
  readonly zero?: number;
  readonly axis?: number;
  /** Sizes with -1 for those that are open. */
  readonly signature?: readonly number[];
  /** Elements of a constant. */
  readonly data?: readonly number[];
}

/** A field of an operator's options: its number, type and value. */
export type OptionSpec = readonly [field: number, type: 'int8' | 'int32' | 'float32', value: number];

export interface OperatorSpec {
  readonly op: string;
  readonly in: readonly number[];
  readonly out: readonly number[];
  readonly options?: readonly OptionSpec[];
}

export interface TfliteSpec {
  readonly tensors: readonly TensorSpec[];
  readonly operators: readonly OperatorSpec[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly version?: number;
  readonly identifier?: string;
  readonly subgraphs?: number;
}

const sizes = { float32: 4, float16: 2, int32: 4, uint8: 1, int64: 8, int16: 2, int8: 1, int4: 1 } as const;

function encode({ kind, data = [] }: TensorSpec): Uint8Array {
  const bytes = new Uint8Array(data.length * sizes[kind]);
  const view = new DataView(bytes.buffer);
  for (const [i, v] of data.entries()) {
    if (kind === 'float32') view.setFloat32(4 * i, v, true);
    else if (kind === 'int32') view.setInt32(4 * i, v, true);
    else if (kind === 'int64') view.setBigInt64(8 * i, BigInt(v), true);
    else if (kind === 'int16') view.setInt16(2 * i, v, true);
    else if (sizes[kind] === 1) view.setInt8(i, v);
  }
  return bytes;
}

/** A `.tflite` file, field numbers as in the schema. */
export function writeTflite(spec: TfliteSpec): Uint8Array {
  const b = new Builder(1024);
  const vector = (size: number, items: readonly number[], add: (item: number) => void): number => {
    b.startVector(size, items.length, size);
    for (const item of [...items].reverse()) add(item);
    return b.endVector();
  };
  const offsets = (items: readonly number[]) => vector(4, items, (o) => b.addOffset(o));
  const int32s = (items: readonly number[]) => vector(4, items, (v) => b.addInt32(v));
  const table = (fields: number, fill: () => void): number => {
    b.startObject(fields);
    fill();
    return b.endObject();
  };

  const buffers = [[], ...spec.tensors.filter((t) => t.data).map((t) => [...encode(t)])].map((bytes) => {
    const data = vector(1, bytes, (v) => b.addInt8((v << 24) >> 24));
    return table(3, () => b.addFieldOffset(0, data, 0));
  });
  let buffer = 0;
  const tensors = spec.tensors.map((t) => {
    const name = b.createString(t.name);
    const shape = int32s(t.shape);
    const signature = int32s(t.signature ?? []);
    const scales = t.scale === undefined ? [] : [t.scale].flat();
    const scale = vector(4, scales, (v) => b.addFloat32(v));
    const zeros = vector(
      8,
      scales.map(() => t.zero ?? 0),
      (v) => b.addInt64(BigInt(v)),
    );
    const quantisation = table(7, () => {
      b.addFieldOffset(2, scale, 0);
      b.addFieldOffset(3, zeros, 0);
      b.addFieldInt32(6, t.axis ?? 0, 0);
    });
    return table(8, () => {
      b.addFieldOffset(0, shape, 0);
      b.addFieldInt8(1, TensorKind[t.kind], 0);
      b.addFieldInt32(2, t.data ? ++buffer : 0, 0);
      b.addFieldOffset(3, name, 0);
      if (scales.length > 0) b.addFieldOffset(4, quantisation, 0);
      if (t.signature) b.addFieldOffset(7, signature, 0);
    });
  });
  const names = [...new Set(spec.operators.map(({ op }) => op))];
  const codes = names.map((op) => {
    const code = operatorCode(op);
    return table(4, () => {
      b.addFieldInt8(0, Math.min(code, 127), 0);
      b.addFieldInt32(3, code, 0);
    });
  });
  const operators = spec.operators.map((o) => {
    const reads = int32s(o.in);
    const makes = int32s(o.out);
    const options = table(8, () => {
      for (const [field, type, value] of o.options ?? []) {
        // Defaults that cannot occur, so that every given field is written.
        if (type === 'int8') b.addFieldInt8(field, value, -128);
        else if (type === 'int32') b.addFieldInt32(field, value, -(2 ** 31));
        else b.addFieldFloat32(field, value, Number.NaN);
      }
    });
    return table(5, () => {
      b.addFieldInt32(0, names.indexOf(o.op), 0);
      b.addFieldOffset(1, reads, 0);
      b.addFieldOffset(2, makes, 0);
      b.addFieldOffset(4, options, 0);
    });
  });
  const parts = [offsets(tensors), int32s(spec.inputs), int32s(spec.outputs), offsets(operators)];
  const graph = table(5, () => {
    for (const [field, part] of parts.entries()) b.addFieldOffset(field, part, 0);
  });
  const graphs = offsets(Array.from({ length: spec.subgraphs ?? 1 }, () => graph));
  const allBuffers = offsets(buffers);
  const allCodes = offsets(codes);
  const root = table(5, () => {
    b.addFieldInt32(0, spec.version ?? 3, 0);
    b.addFieldOffset(1, allCodes, 0);
    b.addFieldOffset(2, graphs, 0);
    b.addFieldOffset(4, allBuffers, 0);
  });
  b.finish(root, spec.identifier ?? 'TFL3');
  return b.asUint8Array().slice();
}
