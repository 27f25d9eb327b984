import type { TfliteRounding } from '../../model/tflite-rounding.ts';
import type { RuntimeRounding } from '../result.ts';
import { malformed, Table } from './flatbuffer.ts';
import { operatorName } from './names.ts';
import { converterVersion, runtimeRounding } from './runtime.ts';

/** `scale * (q - zeroPoint)`; one of each, or one an index of `axis`. */
export interface TfliteQuantisation {
  readonly scales: readonly number[];
  readonly zeroPoints: readonly number[];
  readonly axis: number;
}

/** A tensor of the one graph; its number is its place in `TfliteModel.tensors`. */
export interface TfliteTensor {
  readonly index: number;
  readonly name: string;
  /** With the batch; an open one is 1. */
  readonly shape: readonly number[];
  /** Whose sizes are known only when the model runs, by axis; of the batch too. */
  readonly open: readonly boolean[];
  readonly kind: number;
  /** Of a constant. */
  readonly data: Uint8Array | undefined;
  readonly quantisation: TfliteQuantisation | undefined;
  readonly sparse: boolean;
}

/** One operator as the file has it; fields of its options are read by number. */
export interface TfliteOperator {
  readonly index: number;
  readonly operator: string;
  /** Tensor numbers; -1 for one that is left out. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly options: Table | undefined;
}

/** A file of one graph; its operators are in order of execution. */
export interface TfliteModel {
  readonly file: string;
  readonly rounding: RuntimeRounding;
  readonly tensors: readonly TfliteTensor[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly operators: readonly TfliteOperator[];
}

/** `file_identifier` of the schema, at byte 4. */
const IDENTIFIER = 'TFL3';
const VERSION = 3;

const hasIdentifier = (bytes: Uint8Array): boolean =>
  new TextDecoder('latin1').decode(bytes.subarray(4, 8)) === IDENTIFIER;

/**
 * The file as plain objects. Numbers of fields are those of `schema.fbs`.
 *
 * @throws DiagnosticError `tflite-malformed`
 */
export function readTflite(bytes: Uint8Array, file: string, rounding?: TfliteRounding): TfliteModel {
  if (!hasIdentifier(bytes)) malformed(file, `its identifier is not ${IDENTIFIER}`);
  const root = Table.root(bytes, file);
  const version = root.int32(0, 0);
  if (version !== VERSION)
    malformed(file, `it is of schema version ${version}, this program reads ${VERSION}`);
  const graphs = root.tables(2);
  const [graph] = graphs;
  if (graph === undefined || graphs.length > 1)
    return malformed(file, `it has ${graphs.length} subgraphs; models of one are supported`);
  const buffers = root.tables(4);
  const operators = root.tables(1).map(readCode);
  const model = {
    file,
    rounding: runtimeRounding(converterVersion(root, buffers, file), rounding),
    tensors: graph.tables(0).map((table, index) => readTensor(table, index, buffers, file)),
    inputs: graph.int32s(1) ?? [],
    outputs: graph.int32s(2) ?? [],
    operators: graph.tables(3).map((table, index) => readOperator(table, index, operators, file)),
  };
  checkNumbers(model);
  return model;
}

/** Codes above 127 are in a field of their own, which older files lack. */
const readCode = (table: Table): string =>
  operatorName(Math.max(table.int8(0, 0), table.int32(3, 0)), table.string(1));

function readTensor(table: Table, index: number, buffers: readonly Table[], file: string): TfliteTensor {
  const number = table.int32(2, 0);
  const buffer = buffers[number];
  if (buffer === undefined && number !== 0)
    malformed(file, `tensor ${index} is in buffer ${number}, which it lacks`);
  const name = table.string(3);
  const shape = table.int32s(0) ?? [];
  const signature = table.int32s(7) ?? [];
  const open = shape.map((size, axis) => size < 0 || (signature[axis] ?? 0) < 0);
  return {
    index,
    name: name === '' ? `tensor${index}` : name,
    shape: shape.map((size, axis) => (axis === 0 && size === -1 ? 1 : size)),
    open,
    kind: table.int8(1, 0),
    data: buffer && bufferData(buffer),
    quantisation: readQuantisation(table.table(4)),
    sparse: table.has(6),
  };
}

/** In the table, or, in files beyond 2 GB, behind all tables. An empty buffer is no constant. */
function bufferData(buffer: Table): Uint8Array | undefined {
  const offset = buffer.uint64(1);
  const data = offset > 1 ? buffer.slice(offset, buffer.uint64(2)) : buffer.bytes(0);
  return data?.length ? data : undefined;
}

function readQuantisation(table: Table | undefined): TfliteQuantisation | undefined {
  const scales = table?.float32s(2) ?? [];
  if (table === undefined || scales.length === 0) return undefined;
  const zeroPoints = table.int64s(3) ?? [];
  return {
    scales,
    zeroPoints: zeroPoints.length === 0 ? scales.map(() => 0) : zeroPoints,
    axis: table.int32(6, 0),
  };
}

function readOperator(table: Table, index: number, codes: readonly string[], file: string): TfliteOperator {
  const code = table.int32(0, 0);
  const operator = codes[code];
  if (operator === undefined) return malformed(file, `operator ${index} has code ${code}, which it lacks`);
  return {
    index,
    operator,
    inputs: table.int32s(1) ?? [],
    outputs: table.int32s(2) ?? [],
    options: table.table(4),
  };
}

function checkNumbers({ file, tensors, inputs, outputs, operators }: TfliteModel): void {
  const known = (t: number) => t >= 0 && t < tensors.length;
  for (const { index, inputs: reads, outputs: makes } of operators)
    if (!reads.every((t) => t === -1 || known(t)) || !makes.every(known))
      malformed(file, `operator ${index} names a tensor that it lacks`);
  if (![...inputs, ...outputs].every(known)) malformed(file, 'its interface names a tensor that it lacks');
}
