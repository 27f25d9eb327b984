import { type Diagnostic, diagnostic } from '../diagnostics/index.ts';
import type { Model } from './model.ts';

/** The refusal of a model of more layers than the cursor of packets counts. @param target what it was meant for */
export function layerCountRefusals(model: Model, most: number, target: string): Diagnostic[] {
  const need = model.layers.length;
  if (need <= most) return [];
  const help = 'cut the model in two, each with a model id of its own';
  const args = { resource: 'the cursor of packets', need, limit: most, unit: 'layers', target, help };
  return [diagnostic('resource-exceeded', args, { file: model.file })];
}

/** Layers `[from, to)` that the model does not have, or none at all. */
export function layerRangeRefusals(model: Model, from: number, to: number): Diagnostic[] {
  const count = model.layers.length;
  if (Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from < to && to <= count) return [];
  return [diagnostic('layer-range', { given: `${from}..${to}`, count }, { file: model.file })];
}
