import { refuse, throwErrors } from '../diagnostics/index.ts';
import { layerRangeRefusals } from '../model/layer-count.ts';
import type { Model } from '../model/model.ts';
import { valueType } from '../model/model.ts';
import { tensorBytes } from '../model/tensor.ts';
import { interpret } from '../reference/interpreter.ts';
import type { Engine } from './engine.ts';

/** The integer interpreter, layers `[from, to)`. */
export function createReferenceEngine(
  model: Model,
  o: { readonly from?: number; readonly to?: number } = {},
): Engine {
  const from = o.from ?? 0;
  const to = o.to ?? model.layers.length;
  throwErrors(layerRangeRefusals(model, from, to));
  for (const { name, kind, inputs: read } of model.layers.slice(from, to))
    if (read.some((value) => value < from)) {
      const reason = 'it reads a value from before the split';
      refuse('unsupported-layer', { kind, target: 'reference', reason }, { file: model.file, layer: name });
    }
  const inputs = tensorBytes(valueType(model, from));
  const outputs = tensorBytes(valueType(model, to));
  return {
    async run(rows, onProgress) {
      const count = rows.length / inputs;
      const out = new Uint8Array(count * outputs);
      for (let row = 0; row < count; row++) {
        out.set(interpret(model, rows.subarray(row * inputs, (row + 1) * inputs), from, to), row * outputs);
        if (row % 64 === 63) {
          onProgress?.(row + 1);
          await new Promise(setImmediate);
        }
      }
      onProgress?.(count);
      return out;
    },
    async close() {},
  };
}
