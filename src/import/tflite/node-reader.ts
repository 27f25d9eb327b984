import { type Place, refuse } from '../../diagnostics/index.ts';
import { decodeElements, elementCount } from '../../model/tensor.ts';
import {
  multiplyByQuantized,
  type QuantizedMultiplier,
  type TfliteRounding,
} from '../../model/tflite-rounding.ts';
import type { ModelBuilder, Quantisation } from '../builder.ts';
import type { Clamp } from '../lower/linear.ts';
import { activationName, TensorKind, tensorKindName } from './names.ts';
import { activationGrid, clampOn, realBounds } from './quantisation.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from './schema.ts';
import type { Quantised, Value } from './values.ts';

/** One operator with its inputs resolved: what an importer of one sees. Every fault names the operator. */
export class NodeReader {
  readonly builder: ModelBuilder;
  readonly node: TfliteOperator;
  /** That of the first output: operators have none. Converters join the names of what they fused with `;`. */
  readonly name: string;
  /** How the runtime rounds. */
  readonly rounding: TfliteRounding;
  readonly #model: TfliteModel;
  readonly #values: ReadonlyMap<number, Value>;

  constructor(
    builder: ModelBuilder,
    model: TfliteModel,
    node: TfliteOperator,
    values: ReadonlyMap<number, Value>,
  ) {
    this.builder = builder;
    this.node = node;
    this.#model = model;
    this.#values = values;
    this.name = nodeName(model, node);
    this.rounding = model.rounding.kind;
  }

  /** Whether its output is the model's, but for how it is written. */
  get isLast(): boolean {
    return leadsOut(this.#model, this.node.outputs[0] ?? -1);
  }

  /** `MultiplyByQuantizedMultiplier`, as this runtime rounds. */
  scaled(x: number, multiplier: QuantizedMultiplier): number {
    return multiplyByQuantized(x, multiplier, this.rounding);
  }

  place(tensor?: TfliteTensor): Place {
    return this.builder.place(`${this.node.operator} ${this.name}`, tensor?.name);
  }

  optional(index: number): TfliteTensor | undefined {
    const number = this.node.inputs[index] ?? -1;
    return number === -1 ? undefined : this.#model.tensors[number];
  }

  tensor(index: number): TfliteTensor {
    const tensor = this.optional(index);
    if (tensor === undefined)
      return refuse(
        'tflite-malformed',
        { reason: `${this.node.operator} lacks its input ${index}` },
        this.place(),
      );
    return tensor;
  }

  /** What the graph computed for an input; undefined for a constant. */
  value(index: number): Value | undefined {
    return this.#values.get(this.tensor(index).index);
  }

  /** @throws DiagnosticError which kind of model that is not fully of integers it is a part of */
  activation(index: number): Quantised {
    const tensor = this.tensor(index);
    const value = this.value(index);
    if (value?.kind === 'quantised') return value;
    if (value?.kind === 'blocked') return this.refuseBlocks();
    const weights = this.optional(1);
    const hybrid = weights?.kind === TensorKind.int8 && weights.data !== undefined;
    const where =
      value === undefined && tensor.data !== undefined ? 'a constant' : tensorKindName(tensor.kind);
    const what =
      tensor.kind === TensorKind.float32 && hybrid
        ? 'float32 beside int8 weights: dynamic-range (hybrid) quantisation, whose sums are scaled at run time'
        : `${where}; ${this.node.operator} reads computed activations of 8 or 16 bits`;
    return refuse('tflite-not-integer', { tensor: tensor.name, what }, this.place(tensor));
  }

  /** Grid of the first output. */
  get outputGrid(): Quantisation {
    return activationGrid(this.output, this.place(this.output));
  }

  get output(): TfliteTensor {
    const tensor = this.#model.tensors[this.node.outputs[0] ?? -1];
    if (tensor === undefined)
      return refuse('tflite-malformed', { reason: `${this.node.operator} makes nothing` }, this.place());
    return tensor;
  }

  /** Grid of the output within the activation function in this field of the options. */
  fusedOutput(field: number): Quantisation & Clamp {
    const code = this.option(field, 0);
    const bounds = realBounds(code);
    if (bounds === undefined)
      return this.refuseOption(
        'fused_activation_function',
        activationName(code),
        'NONE, RELU, RELU_N1_TO_1, RELU6',
      );
    return clampOn(this.outputGrid, bounds);
  }

  /** A field of the options that takes one byte. */
  option(field: number, absent: number): number {
    return this.node.options?.int8(field, absent) ?? absent;
  }

  optionInt(field: number, absent: number): number {
    return this.node.options?.int32(field, absent) ?? absent;
  }

  /** Integers of a constant, such as axes or pads; `what` they are, for the message. */
  integers(index: number, what: string): number[] {
    const tensor = this.tensor(index);
    const value = this.#values.get(tensor.index);
    if (value?.kind === 'integers') return [...value.values];
    const { data, kind } = tensor;
    if (data === undefined)
      return refuse('tflite-dynamic', { tensor: tensor.name, what }, this.place(tensor));
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    if (kind === TensorKind.int32)
      return Array.from({ length: Math.floor(data.length / 4) }, (_, i) => view.getInt32(4 * i, true));
    if (kind === TensorKind.int64)
      return Array.from({ length: Math.floor(data.length / 8) }, (_, i) =>
        Number(view.getBigInt64(8 * i, true)),
      );
    return refuse(
      'shape-mismatch',
      { expected: `${what} as int32 or int64`, actual: tensorKindName(kind) },
      this.place(tensor),
    );
  }

  /** q-values of a constant, less their zero point. */
  constant(index: number): { values: Int32Array; grid: Quantisation; shape: readonly number[] } {
    const tensor = this.tensor(index);
    const grid = activationGrid(tensor, this.place(tensor));
    if (tensor.data === undefined)
      return refuse('tflite-dynamic', { tensor: tensor.name, what: 'an operand' }, this.place(tensor));
    const values = decodeElements(grid.element, tensor.data);
    if (values.length !== elementCount(tensor.shape))
      return this.refuseShape(`${elementCount(tensor.shape)} elements`, `${values.length}`);
    return { values: values.map((q) => q - grid.zeroPoint), grid, shape: tensor.shape };
  }

  /** Whether an input is a constant of the file. */
  isConstant(index: number): boolean {
    return this.value(index) === undefined && this.tensor(index).data !== undefined;
  }

  /** The only operator that reads the output, if it is of this kind; one that gives it another shape is looked through. */
  readerOf(operator: string): NodeReader | undefined {
    const readers = this.#model.operators.filter((o) => o.inputs.includes(this.node.outputs[0] ?? -1));
    const [reader] = readers;
    if (readers.length !== 1 || reader === undefined || reader.index <= this.node.index) return undefined;
    const next = new NodeReader(this.builder, this.#model, reader, this.#values);
    if (reader.operator === operator) return next;
    return RESHAPERS.has(reader.operator) ? next.readerOf(operator) : undefined;
  }

  refuseOption(option: string, value: string | number, supported: string): never {
    return refuse('tflite-option', { option, value: String(value), supported }, this.place());
  }

  /** Of blocks in the batch there is but one use: between the two that make and undo them. */
  refuseBlocks(operator = 'SPACE_TO_BATCH_ND', other = 'BATCH_TO_SPACE_ND'): never {
    return this.refuseOption(
      operator,
      'of other use',
      `with ${other} around one VALID convolution of stride 1`,
    );
  }

  refuseShape(expected: string, actual: readonly number[] | string): never {
    const text = typeof actual === 'string' ? actual : `[${actual.join(', ')}]`;
    return refuse('shape-mismatch', { expected, actual: text }, this.place());
  }
}

const RESHAPERS = new Set(['RESHAPE', 'SQUEEZE', 'EXPAND_DIMS']);

/** Operators that only change how a result is written. */
const WRITERS = new Set([...RESHAPERS, 'DEQUANTIZE', 'QUANTIZE', 'CAST']);

function leadsOut({ outputs, operators }: TfliteModel, tensor: number): boolean {
  let at = tensor;
  for (let steps = 0; steps <= operators.length; steps++) {
    if (outputs.includes(at)) return true;
    // Who asks for its shape alone does not read it.
    const readers = operators.filter((o) => o.inputs.includes(at) && o.operator !== 'SHAPE');
    const [reader] = readers;
    if (readers.length !== 1 || reader === undefined || !WRITERS.has(reader.operator)) return false;
    at = reader.outputs[0] ?? -1;
  }
  return false;
}

function nodeName({ tensors }: TfliteModel, { index, outputs }: TfliteOperator): string {
  const name = tensors[outputs[0] ?? -1]?.name.split(';')[0];
  return name === undefined || name === '' ? `operator${index}` : name;
}
