import { DiagnosticError, type Place, refuse } from '../../diagnostics/index.ts';
import type { Model } from '../../model/model.ts';
import type { ElementType } from '../../model/tensor.ts';
import { type Activation, type ImportOptions, ModelBuilder } from '../builder.ts';
import { onGrid } from './materialise.ts';
import { NodeReader, nodeName } from './node-reader.ts';
import { operators } from './operators/index.ts';
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxValueInfo } from './proto.ts';
import { DataType, dataTypeName, decodeTensor } from './tensor-data.ts';
import { isFree, type Value } from './values.ts';

/**
 * Walks the nodes in their order (the format asks that makers stand before readers) and turns each value into what is
 * known of it. A node at fault is reported and its outputs are marked, so that faults elsewhere are found as well.
 */
export function importGraph(
  source: OnnxModel & { readonly graph: OnnxGraph },
  name: string,
  file: string,
  options: ImportOptions,
): { model?: Model; builder: ModelBuilder } {
  const builder = new ModelBuilder(name, file, options);
  const { graph } = source;
  const values = new Map<string, Value>();
  const attempt = <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      builder.diagnostics.push(...error.diagnostics);
      return undefined;
    }
  };

  attempt(() => readInitializers(graph, values, file));
  attempt(() => readInput(graph, builder, values));
  for (const node of graph.node) {
    const made = attempt(() => evaluate(node, source, builder, values));
    for (const [i, output] of node.output.entries())
      if (output) values.set(output, i === 0 && made !== undefined ? made : { kind: 'refused' });
    if (made !== undefined && node.output[0]) record(builder, node.output[0], made);
  }
  const output = attempt(() => readOutput(graph, builder, values));
  if (output === undefined || builder.diagnostics.some((d) => d.severity === 'error')) return { builder };
  return { model: builder.finish(output), builder };
}

/** Tensors that hold a value of the model as it is, for those who run a part of the graph. */
function record(builder: ModelBuilder, name: string, made: Value): void {
  if (made.kind === 'quantised')
    builder.record(made.activation.value, { name, type: made.activation.type, real: false });
  else if (made.kind === 'real' && made.term.kind === 'activation' && isFree(made.clamp)) {
    const { value, type } = made.term.activation;
    builder.record(value, { name, type: { ...type, shape: made.shape }, real: true });
  }
}

function readInitializers(graph: OnnxGraph, values: Map<string, Value>, file: string): void {
  const faults = [];
  for (const tensor of graph.initializer) {
    const name = tensor.name ?? '';
    try {
      values.set(name, decodeTensor(tensor, name, { file }));
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      values.set(name, { kind: 'refused' });
      faults.push(...error.diagnostics);
    }
  }
  if (faults.length > 0) throw new DiagnosticError(faults);
}

/** The one input that is no initialiser, `[batch, ...]`. */
function readInput(graph: OnnxGraph, builder: ModelBuilder, values: Map<string, Value>): void {
  const inputs = graph.input.filter(({ name }) => !values.has(name ?? ''));
  // Whatever is wrong with it, nodes that read it are to give no message of their own.
  for (const { name } of inputs) values.set(name ?? '', { kind: 'refused' });
  const [input, ...more] = inputs;
  const { file } = builder;
  if (input === undefined || more.length > 0) {
    const names = inputs.map(({ name }) => name).join(', ');
    const what = `has ${inputs.length} inputs${names && ` (${names})`}; models of one are supported`;
    refuse('onnx-interface', { what }, { file });
  }
  const name = input.name ?? '';
  const shape = inputShape(input, { file, tensor: name });
  const dataType = input.type?.tensorType?.elemType ?? 0;
  if (dataType === DataType.float) {
    values.set(name, { kind: 'floatInput', shape });
    return;
  }
  const element = elementTypes.get(dataType);
  if (element === undefined)
    refuse(
      'onnx-interface',
      { what: `the input is ${dataTypeName(dataType)}; uint8, int8 and float are supported` },
      { file, tensor: name },
    );
  // Its scale is told by the first node that reads it.
  const type = { element, shape, scale: Number.NaN, zeroPoint: 0 };
  const activation = builder.setInput(type);
  values.set(name, { kind: 'quantised', activation });
  builder.record(activation.value, { name, type, real: false });
}

const elementTypes: ReadonlyMap<number, ElementType> = new Map([
  [DataType.uint8, 'uint8'],
  [DataType.int8, 'int8'],
]);

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

function evaluate(
  node: OnnxNode,
  source: OnnxModel,
  builder: ModelBuilder,
  values: ReadonlyMap<string, Value>,
): Value {
  const place = builder.place(nodeName(node));
  const domain = plainDomain(node.domain);
  const operator = domain === '' ? (node.opType ?? '') : `${domain}.${node.opType}`;
  const importer = operators.get(operator);
  if (importer === undefined)
    return refuse('onnx-unsupported-operator', { operator, supported: [...operators.keys()] }, place);
  const inputs = node.input.map((name) => {
    if (name === '') return undefined;
    const value = values.get(name);
    if (value !== undefined) return value;
    return refuse('onnx-malformed', { reason: `nothing before this node makes ${name}` }, place);
  });
  if (inputs.some((value) => value?.kind === 'refused')) return { kind: 'refused' };
  const reader = new NodeReader(builder, node, inputs, opsetOf(source, domain, place));
  const made = importer(reader);
  reader.refuseUnread();
  return made;
}

/** Older operators broadcast, pad and normalise by other rules; ONNX Runtime does not promise to run them either. */
const OLDEST_OPSET = 7;

function opsetOf(source: OnnxModel, domain: string, place: Place): number {
  const named = source.opsetImport.find((o) => plainDomain(o.domain) === domain);
  const opset = named?.version ?? 0;
  if (named === undefined)
    refuse('onnx-malformed', { reason: `it names no operator set of the domain "${domain}"` }, place);
  if (domain === '' && opset < OLDEST_OPSET)
    refuse(
      'onnx-interface',
      { what: `is of operator set ${opset}; ${OLDEST_OPSET} and newer are supported` },
      place,
    );
  return opset;
}

/** The domain of ONNX itself has two names. */
const plainDomain = (domain: string | undefined): string =>
  domain === undefined || domain === 'ai.onnx' ? '' : domain;

/** The one output, as integers: a DequantizeLinear at the end is left to the reader. */
function readOutput(
  graph: OnnxGraph,
  builder: ModelBuilder,
  values: ReadonlyMap<string, Value>,
): Activation | undefined {
  const [output, ...more] = graph.output;
  const { file } = builder;
  if (output === undefined || more.length > 0)
    return refuse(
      'onnx-interface',
      { what: `has ${graph.output.length} outputs; models of one are supported` },
      { file },
    );
  const tensor = output.name ?? '';
  const value = values.get(tensor);
  if (value === undefined)
    return refuse('onnx-malformed', { reason: `nothing makes the output ${tensor}` }, { file, tensor });
  switch (value.kind) {
    case 'quantised':
      return checked(value.activation, file);
    case 'real': {
      const reader = new NodeReader(
        builder,
        { name: tensor, input: [tensor], output: [], attribute: [] },
        [value],
        0,
      );
      return checked(onGrid(reader, value, 0), file);
    }
    case 'refused':
      // Told already, unless it is an output that no operator here makes.
      if (builder.diagnostics.some((d) => d.severity === 'error')) return undefined;
      return refuse(
        'onnx-interface',
        { what: 'the output is a second output of its node, which is not imported' },
        { file, tensor },
      );
    default:
      return refuse('onnx-interface', { what: 'the output does not depend on the input' }, { file, tensor });
  }
}

function checked(output: Activation, file: string): Activation {
  if (output.value === 0)
    refuse('onnx-interface', { what: 'the output is the input: there is no layer' }, { file });
  return output;
}
