import { refuse } from '../diagnostics/index.ts';
import { type Layer, type Model, outputType } from './model.ts';
import { elementCount } from './tensor.ts';

/** Whether what the layer makes is a verdict: class and margin. */
export const isVerdict = (layer: Layer | undefined): boolean =>
  layer?.kind === 'argmax' || (layer?.kind === 'forest' && layer.result === 'verdict');

/** Classes that fit a byte. */
export const MAX_CLASSES = 256;

/**
 * The model with an `argmax` layer at its end, which makes class and margin of its outputs; as it is if it ends in a verdict.
 * @throws DiagnosticError `no-verdict` if it has more outputs than a byte tells apart
 */
export function withVerdict(model: Model): Model {
  if (isVerdict(model.layers.at(-1))) return model;
  const outputs = elementCount(outputType(model).shape);
  if (outputs > MAX_CLASSES) refuse('no-verdict', { outputs, limit: MAX_CLASSES }, { file: model.file });
  const names = new Set(model.layers.map((layer) => layer.name));
  let name = 'verdict';
  for (let n = 2; names.has(name); n++) name = `verdict_${n}`;
  const output = { element: 'uint8', shape: [2], scale: 1, zeroPoint: 0 } as const;
  const layer = { name, kind: 'argmax', inputs: [model.layers.length], output } as const;
  return { ...model, layers: [...model.layers, layer] };
}
