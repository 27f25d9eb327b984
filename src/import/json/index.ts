import { DiagnosticError, refuse } from '../../diagnostics/index.ts';
import type { Model } from '../../model/model.ts';
import { elementRange } from '../../model/tensor.ts';
import { type Activation, type ImportOptions, ModelBuilder } from '../builder.ts';
import { finishImport, type ImportResult, modelName } from '../result.ts';
import type { LayerContext } from './layer-context.ts';
import { lowerLayer } from './layers.ts';
import { parseJsonModel } from './parse.ts';
import type { JsonLayer, JsonModel } from './schema.ts';

/**
 * A model in intransit's own JSON: quantised layers, described one by one (docs/json-model.md).
 *
 * @throws DiagnosticError with every fault that was found
 */
export function importJson(text: string, file: string, options: ImportOptions = {}): ImportResult {
  const json = parseJsonModel(text, file);
  const builder = new ModelBuilder(json.name ?? modelName(file), file, options);
  // undefined: the layer was refused, and what reads it is passed over.
  const values = new Map<string, Activation | undefined>([['input', readInput(json, builder, file)]]);
  let previous = 'input';
  for (const [index, layer] of json.layers.entries()) {
    const name = layer.name ?? `layer${index}`;
    try {
      values.set(name, importLayer(builder, layer, name, index, previous, values));
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      builder.diagnostics.push(...error.diagnostics);
      values.set(name, undefined);
    }
    previous = name;
  }
  const output = values.get(previous);
  const refused = builder.diagnostics.some((d) => d.severity === 'error');
  return finishImport(
    refused || output === undefined ? undefined : finish(builder, output, json.classes),
    builder.diagnostics,
  );
}

function finish(builder: ModelBuilder, output: Activation, classes: JsonModel['classes']): Model {
  if (output.value === 0)
    refuse(
      'json-field',
      { path: 'layers', expected: 'at least one layer that computes' },
      { file: builder.file },
    );
  const model = builder.finish(output);
  return classes === undefined ? model : { ...model, classes };
}

function readInput({ input }: JsonModel, builder: ModelBuilder, file: string): Activation {
  const { lo, hi } = elementRange(input.element);
  if (input.zeroPoint < lo || input.zeroPoint > hi) {
    const expected = `expected an integer in ${lo}..${hi} of ${input.element}`;
    refuse('json-field', { path: 'input.zeroPoint', expected }, { file });
  }
  return builder.setInput(input);
}

function importLayer(
  builder: ModelBuilder,
  layer: JsonLayer,
  name: string,
  index: number,
  previous: string,
  values: ReadonlyMap<string, Activation | undefined>,
): Activation | undefined {
  const path = `layers[${index}]`;
  const fault = (field: string, expected: string): never =>
    refuse('json-field', { path: `${path}.${field}`, expected }, builder.place(name));
  if (values.has(name)) fault('name', `expected a name that is not taken, as ${name} is`);
  const names = 'inputs' in layer ? layer.inputs : [layer.input ?? previous];
  const unknown = names.find((n) => !values.has(n));
  if (unknown !== undefined)
    fault('inputs' in layer ? 'inputs' : 'input', `expected the name of an earlier layer, not ${unknown}`);
  const inputs = names.map((n) => values.get(n)).filter((v) => v !== undefined);
  if (inputs.length < names.length) return undefined;
  const context: LayerContext = { builder, name, path, inputs };
  return lowerLayer(context, layer);
}
