import { type Place, refuse } from '../../diagnostics/index.ts';
import type { ElementType } from '../../model/tensor.ts';
import type { ImportOptions, ModelBuilder } from '../builder.ts';
import type { OnnxGraph, OnnxValueInfo } from './proto.ts';
import { gridOver } from './ranges.ts';
import { DataType, dataTypeName } from './tensor-data.ts';
import { labelOf } from './tree-ensemble.ts';
import { realActivation, type Value } from './values.ts';

/** The tensors between which a graph is imported: its own input and output, or those that the user names. */
export interface Cut {
  /** Of a tensor inside of the graph there may be no more than the name. */
  readonly input: OnnxValueInfo;
  readonly output: string;
}

/**
 * @param constants names of the initialisers, which may be listed among the inputs
 * @throws DiagnosticError `onnx-interface`
 */
export function cutOf(
  graph: OnnxGraph,
  constants: ReadonlySet<string>,
  { inputTensor, outputTensor }: Pick<ImportOptions, 'inputTensor' | 'outputTensor'>,
  file: string,
): Cut {
  const made = new Set(graph.node.flatMap((node) => node.output).filter((name) => name !== ''));
  const inputs = graph.input.filter(({ name }) => !constants.has(name ?? ''));
  const known = new Map(
    [...graph.valueInfo, ...inputs, ...graph.output].map((info) => [info.name ?? '', info]),
  );
  if (inputTensor !== undefined && !made.has(inputTensor) && !inputs.some(({ name }) => name === inputTensor))
    refuse(
      'onnx-cut',
      { tensor: inputTensor, option: '--input-tensor', known: near(inputTensor, made) },
      { file },
    );
  if (outputTensor !== undefined && !made.has(outputTensor))
    refuse(
      'onnx-cut',
      { tensor: outputTensor, option: '--output-tensor', known: near(outputTensor, made) },
      { file },
    );
  const one = <T>(all: readonly T[], what: 'inputs' | 'outputs', names: readonly string[]): T => {
    if (all.length !== 1) refuse('onnx-several', { what, names }, { file });
    return all[0]!;
  };
  const namesOf = (infos: readonly OnnxValueInfo[]) => infos.map(({ name = '' }) => name);
  const output =
    outputTensor ?? labelOf(graph.node) ?? one(graph.output, 'outputs', namesOf(graph.output)).name ?? '';
  const input =
    inputTensor === undefined
      ? one(inputs, 'inputs', namesOf(inputs))
      : (known.get(inputTensor) ?? { name: inputTensor });
  return { input, output };
}

/** A few names for a message: those that hold what was typed, else the first ones. */
function near(typed: string, names: ReadonlySet<string>): string[] {
  const alike = [...names].filter((name) => name.toLowerCase().includes(typed.toLowerCase()));
  return (alike.length > 0 ? alike : [...names]).slice(0, 8);
}

const elementTypes: ReadonlyMap<number, ElementType> = new Map([
  [DataType.uint8, 'uint8'],
  [DataType.int8, 'int8'],
  [DataType.uint16, 'uint16'],
  [DataType.int16, 'int16'],
]);

/** The input as the first value of the model, `[batch, ...]`. */
export function readInput(builder: ModelBuilder, info: OnnxValueInfo): Value {
  const { name = '', type } = info;
  const place = { file: builder.file, tensor: name };
  const shape = inputShape(info, place);
  const dataType = type?.tensorType?.elemType ?? 0;
  if (dataType === DataType.float || dataType === DataType.float16 || dataType === DataType.double)
    return floatInput(builder, name, shape);
  // Trees compare numbers of any type; of those that are read as reals the grid is found by what they are compared with.
  if (builder.hasTrees && (dataType === DataType.int64 || dataType === DataType.int32))
    return floatInput(builder, name, shape);
  const element = elementTypes.get(dataType);
  if (element === undefined)
    refuse(
      'onnx-interface',
      { what: `the input is ${dataTypeName(dataType)}; uint8, int8, uint16, int16 and float are supported` },
      place,
    );
  // Its scale is told by the first node that reads it.
  const own = { element, shape, scale: Number.NaN, zeroPoint: 0 };
  const activation = builder.setInput(own);
  builder.record(activation.value, { name, type: own, real: false });
  return { kind: 'quantised', activation };
}

/** Reals until a QuantizeLinear brings them to a grid; those of a range that is named are on one from the start. */
function floatInput(builder: ModelBuilder, name: string, shape: readonly number[]): Value {
  builder.readsReals = true;
  const { inputRange } = builder.options;
  if (inputRange === undefined) return { kind: 'floatInput', shape };
  const own = { ...gridOver(inputRange), shape };
  const activation = builder.setInput(own);
  builder.record(activation.value, { name, type: own, real: true });
  return realActivation(activation);
}

function inputShape({ name = '', type }: OnnxValueInfo, place: Place): number[] {
  const dims = type?.tensorType?.shape?.dim;
  if (dims === undefined) return refuse('onnx-dynamic', { tensor: name, what: 'the shape' }, place);
  const [, ...shape] = dims.map(({ dimValue }) => dimValue ?? 0);
  if (shape.length === 0)
    refuse('shape-mismatch', { expected: '[batch, ...]', actual: `${dims.length} dimensions` }, place);
  const unknown = shape.findIndex((size) => size < 1);
  if (unknown >= 0) {
    const symbol = dims[unknown + 1]!.dimParam;
    const what = `dimension ${unknown + 1}${symbol ? ` (${symbol})` : ''} of the shape`;
    refuse('onnx-dynamic', { tensor: name, what }, place);
  }
  return shape;
}
