import { type Diagnostic, diagnostic } from '../diagnostics/index.ts';
import type { Layer, Model } from './model.ts';
import { inputCounts, valueType } from './model.ts';
import { elementRange, type TensorType } from './tensor.ts';
import { verifyRanges } from './verify-ranges.ts';
import type { Report } from './verify-report.ts';
import { verifyShapes } from './verify-shapes.ts';

/**
 * Checks every invariant that readers of a Model rely on: values are made before they are read, shapes and lengths
 * agree, elements and parameters are in range, accumulators fit in 32 bits, requantisers are monotone and exact in
 * doubles. Importers end with it, and every pass does in tests. A model that passes needs no check in a backend.
 *
 * @returns errors `model-invalid`; none for a sound model
 */
export function verifyModel(model: Model): Diagnostic[] {
  const found: Diagnostic[] = [];
  const reporter =
    (layer?: string): Report =>
    (what, tensor) => {
      const place = { file: model.file, ...(layer !== undefined && { layer }), ...(tensor && { tensor }) };
      found.push(diagnostic('model-invalid', { what }, place));
    };
  verifyType(model.input, reporter(), 'input');
  if (model.layers.length === 0) reporter()('the model has no layers');
  const names = new Set<string>();
  for (const [index, layer] of model.layers.entries()) {
    const report = reporter(layer.name);
    const before = found.length;
    if (layer.name === '') report(`layer ${index} has no name`);
    if (names.has(layer.name)) report('two layers have this name');
    names.add(layer.name);
    verifyType(layer.output, report, 'output');
    verifyInputs(layer, index, report);
    // What follows reads types of inputs and lengths: it needs them to be sound.
    if (found.length > before) continue;
    const inputs = layer.inputs.map((value) => valueType(model, value));
    verifyShapes(layer, inputs, report);
    if (found.length === before) verifyRanges(layer, inputs, report);
  }
  verifyUse(model, reporter);
  return found;
}

function verifyType({ element, shape, scale, zeroPoint }: TensorType, report: Report, name: string): void {
  if (!['uint8', 'int8', 'uint16', 'int16'].includes(element)) {
    report(`element type ${String(element)}`, name);
    return;
  }
  const { lo, hi } = elementRange(element);
  if (!(scale > 0 && Number.isFinite(scale))) report(`scale ${scale} is not above zero and finite`, name);
  if (!Number.isInteger(zeroPoint) || zeroPoint < lo || zeroPoint > hi)
    report(`zero point ${zeroPoint} is not an integer in ${lo}..${hi}`, name);
  if (shape.length === 0 || shape.some((size) => !Number.isInteger(size) || size < 1))
    report(`shape [${shape.join(', ')}] is not a list of sizes`, name);
}

function verifyInputs(layer: Layer, index: number, report: Report): void {
  const given = inputCounts[layer.kind];
  const count = given === 'any' ? Math.max(1, layer.inputs.length) : given;
  if (layer.inputs.length !== count) report(`reads ${layer.inputs.length} values, not ${count}`);
  for (const value of layer.inputs)
    if (!Number.isInteger(value) || value < 0 || value > index)
      report(`reads value ${value}, which does not stand before layer ${index}`);
}

/** Every layer is read by a later one; the last is the output. */
function verifyUse(model: Model, reporter: (layer: string) => Report): void {
  const read = new Set(model.layers.flatMap((layer) => layer.inputs));
  for (const [index, layer] of model.layers.entries())
    if (index + 1 < model.layers.length && !read.has(index + 1))
      reporter(layer.name)('nothing reads its output');
}
