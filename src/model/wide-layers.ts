import { type Diagnostic, diagnostic } from '../diagnostics/index.ts';
import { type Model, valueType } from './model.ts';
import { isWide } from './tensor.ts';

/** Refusals of a target whose activations are bytes: of each layer of `[from, to)` that reads or makes 16-bit elements. */
export function wideRefusals(model: Model, from: number, to: number, target: string): Diagnostic[] {
  const reason =
    'its activations have 16 bits, and the lanes of this target hold 8: export with 8-bit activations';
  const wide = (value: number) => isWide(valueType(model, value).element);
  return model.layers
    .slice(from, to)
    .flatMap(({ name, kind, inputs }, i) =>
      inputs.some(wide) || wide(from + i + 1)
        ? [diagnostic('unsupported-layer', { kind, target, reason }, { file: model.file, layer: name })]
        : [],
    );
}
