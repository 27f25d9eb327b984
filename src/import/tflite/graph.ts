import { diagnostic, placed, refuse, reportingTo } from '../../diagnostics/index.ts';
import type { Model } from '../../model/model.ts';
import { elementCount } from '../../model/tensor.ts';
import { type Activation, type ImportOptions, ModelBuilder, sameShape } from '../builder.ts';
import { byKind, type Unsupported } from '../unsupported.ts';
import { asSource, reshapedTo } from './layout.ts';
import { TensorKind } from './names.ts';
import { NodeReader } from './node-reader.ts';
import { operators } from './operators/index.ts';
import { activationGrid } from './quantisation.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from './schema.ts';
import { withoutBatch } from './shape.ts';
import type { Value } from './values.ts';

/**
 * Walks the operators in their order, which is that of execution. One at fault is reported and its outputs are marked,
 * so that faults elsewhere are found as well.
 */
export function importGraph(
  source: TfliteModel,
  name: string,
  options: ImportOptions,
): { model?: Model; builder: ModelBuilder } {
  const builder = new ModelBuilder(name, source.file, options);
  const values = new Map<number, Value>();
  const attempt = reportingTo(builder.diagnostics);

  attempt(() => readInput(source, builder, values));
  const unsupported: Unsupported[] = [];
  for (const node of source.operators) {
    if (!operators.has(node.operator)) {
      unsupported.push({
        operator: node.operator,
        place: new NodeReader(builder, source, node, values).place(),
      });
      for (const output of node.outputs) values.set(output, { kind: 'refused' });
      continue;
    }
    const made = attempt(() => evaluate(node, source, builder, values));
    for (const [i, output] of node.outputs.entries()) values.set(output, made?.[i] ?? { kind: 'refused' });
  }
  for (const { operator, count, place } of byKind(unsupported))
    builder.diagnostics.push(diagnostic('tflite-unsupported-operator', { operator, count }, place));
  const output = attempt(() => readOutput(source, builder, values));
  if (output === undefined || builder.diagnostics.some((d) => d.severity === 'error')) return { builder };
  return { model: builder.finish(output), builder };
}

function readInput(source: TfliteModel, builder: ModelBuilder, values: Map<number, Value>): void {
  const { file, inputs, tensors } = source;
  for (const number of inputs) values.set(number, { kind: 'refused' });
  const [number] = inputs as [number];
  const tensor = tensors[number]!;
  const shape = withoutBatch(tensor.shape);
  const place = { file, tensor: tensor.name };
  if (tensor.open.slice(1).includes(true)) refuse('tflite-open-shape', { tensor: tensor.name }, place);
  if (shape.length === 0 || shape.some((size) => size < 1))
    refuse('shape-mismatch', { expected: '[1, ...]', actual: `[${tensor.shape.join(', ')}]` }, place);
  if (tensor.kind === TensorKind.float32) {
    builder.readsReals = true;
    values.set(number, { kind: 'floatInput', shape });
    return;
  }
  const activation = builder.setInput({ ...activationGrid(tensor, place), shape });
  values.set(number, { kind: 'quantised', activation, shape, order: 'source' });
}

function evaluate(
  node: TfliteOperator,
  source: TfliteModel,
  builder: ModelBuilder,
  values: ReadonlyMap<number, Value>,
): readonly Value[] {
  const c = new NodeReader(builder, source, node, values);
  const importer = operators.get(node.operator)!;
  const known = (t: TfliteTensor) => values.has(t.index) || t.data !== undefined;
  for (const [i, number] of node.inputs.entries()) {
    if (values.get(number)?.kind === 'refused') return [];
    if (number !== -1 && !known(c.tensor(i)))
      refuse(
        'tflite-malformed',
        { reason: `nothing before this operator makes ${c.tensor(i).name}` },
        c.place(),
      );
  }
  const made = placed(c.place(), () => importer(c));
  return ('kind' in made ? [made] : made).map((value, i) =>
    asDeclared(c, value, source.tensors[node.outputs[i]!]),
  );
}

/** A value as the file sees it: what reads it counts its axes by the file's shape. @throws DiagnosticError if it has another size */
function asDeclared(c: NodeReader, value: Value, tensor: TfliteTensor | undefined): Value {
  if (value.kind !== 'quantised' || tensor === undefined || tensor.shape.length === 0) return value;
  const shape = withoutBatch(tensor.shape);
  const isSame = elementCount(shape) === elementCount(value.shape);
  if (!isSame && tensor.open.includes(true)) return value;
  if (!isSame) return c.refuseShape(`[${value.shape.join(', ')}]`, shape);
  return sameShape(shape, value.shape) ? value : reshapedTo(value, shape);
}

/** The one output, as integers: a DEQUANTIZE at the end is left to the reader. */
function readOutput(
  { outputs, tensors, file }: TfliteModel,
  builder: ModelBuilder,
  values: ReadonlyMap<number, Value>,
): Activation | undefined {
  const [number] = outputs as [number];
  const { name } = tensors[number]!;
  const place = { file, tensor: name };
  const value = values.get(number);
  if (value === undefined)
    return refuse('tflite-malformed', { reason: `nothing makes the output ${name}` }, place);
  if (value.kind === 'refused') {
    // Told already, unless it is an output that no operator here makes.
    if (builder.diagnostics.some((d) => d.severity === 'error')) return undefined;
    return refuse(
      'tflite-interface',
      { what: 'the output is a second output of its operator, which is not imported' },
      place,
    );
  }
  if (value.kind === 'floatInput')
    return refuse('tflite-not-integer', { tensor: name, what: 'the float32 input itself' }, place);
  if (value.kind === 'integers' || value.kind === 'blocked')
    return refuse('tflite-interface', { what: `its output ${name} is no result of a layer` }, { file });
  const output =
    value.kind === 'verdict'
      ? value.activation
      : asSource(builder, name.split(';')[0]!, value.kind === 'dequantised' ? value.of : value);
  if (output.value === 0)
    refuse('tflite-interface', { what: 'computes nothing: its output is its input' }, { file });
  return output;
}
