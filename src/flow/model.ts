import { refuse } from '../diagnostics/index.ts';
import type { FeatureDefinition } from '../features/index.ts';
import type { ImportResult } from '../import/index.ts';
import type { LutLayer, Model } from '../model/model.ts';
import { decodeElements, elementCount, isWide } from '../model/tensor.ts';
import { withVerdict } from '../model/verdict.ts';
import { toElements } from '../rows/index.ts';

const FEATURE_VALUES = 256;

/**
 * The model as it reads features and gives class and margin. Features are numbers in 0..255: a model whose input is such
 * bytes reads them as they are. One that reads reals, or signed bytes, gets a layer before all others that takes each
 * feature's number through the model's own scaling and grid, so every target computes the same bytes.
 *
 * @throws DiagnosticError `flow-width` if the model reads another number of inputs, `no-verdict`
 */
export function modelOfFeatures(imported: ImportResult, definition: FeatureDefinition): Model {
  const { model } = imported;
  if (isWide(model.input.element))
    refuse('wide-activation', { what: 'flow mode by an input' }, { file: model.file });
  const inputs = elementCount(model.input.shape);
  if (inputs !== definition.features.length)
    refuse(
      'flow-width',
      { inputs, features: definition.features.map((f) => f.name), definition: definition.name },
      { file: model.file },
    );
  return withVerdict(readsReals(imported) ? withGrid(model, inputs) : model);
}

/** Whether the source reads numbers, which are brought to the input's grid, and not the bytes themselves. */
function readsReals({ model, sources }: ImportResult): boolean {
  if (model.inputAffine !== undefined || model.input.element === 'int8') return true;
  const source = sources?.get(0);
  // Bytes that come into a graph have no grid of their own; those that a step makes of reals have.
  return source !== undefined && (source.real || !Number.isNaN(source.type.scale));
}

/** Every feature's 256 numbers on the input's grid, as a table; the model as it is if they are their own numbers. */
function withGrid(model: Model, inputs: number): Model {
  const values = Float64Array.from({ length: FEATURE_VALUES * inputs }, (_, i) => Math.floor(i / inputs));
  const { bytes } = toElements(
    { count: FEATURE_VALUES, values, whole: false, place: (i) => `feature ${i % inputs}` },
    model.input,
    model.file,
    model.inputAffine,
  );
  const elements = decodeElements(model.input.element, bytes);
  const table = Int16Array.from({ length: FEATURE_VALUES * inputs }, (_, i) => {
    const [feature, value] = [Math.floor(i / FEATURE_VALUES), i % FEATURE_VALUES];
    return elements[value * inputs + feature]!;
  });
  if (model.input.element === 'uint8' && table.every((q, i) => q === i % FEATURE_VALUES)) return model;
  const first = table.slice(0, FEATURE_VALUES);
  const isOne = table.every((q, i) => q === first[i % FEATURE_VALUES]);
  const layer: LutLayer = {
    name: freeName(model, 'features'),
    kind: 'lut',
    inputs: [0],
    output: model.input,
    table: isOne ? first : table,
  };
  return {
    ...model,
    input: { element: 'uint8', shape: model.input.shape, scale: 1, zeroPoint: 0 },
    layers: [layer, ...model.layers.map((l) => ({ ...l, inputs: l.inputs.map((v) => v + 1) }))],
  };
}

function freeName(model: Model, wanted: string): string {
  const names = new Set(model.layers.map((layer) => layer.name));
  let name = wanted;
  for (let n = 2; names.has(name); n++) name = `${wanted}_${n}`;
  return name;
}
