import { refuse, throwErrors } from '../diagnostics/index.ts';
import { READS_BEFORE, readsBefore } from '../model/cut.ts';
import { layerRangeRefusals } from '../model/layer-count.ts';
import type { Model } from '../model/model.ts';
import { valueType } from '../model/model.ts';
import { tensorBytes } from '../model/tensor.ts';
import { eachRow } from '../reference/each-row.ts';
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
  const reader = model.layers.slice(from, to).find((layer) => readsBefore(layer, from));
  if (reader !== undefined) {
    const what = { kind: reader.kind, target: 'reference', reason: READS_BEFORE };
    refuse('unsupported-layer', what, { file: model.file, layer: reader.name });
  }
  const inputs = tensorBytes(valueType(model, from));
  const outputs = tensorBytes(valueType(model, to));
  return {
    run(rows, onProgress) {
      const shape = { count: rows.length / inputs, inputs, outputs };
      return eachRow(rows, shape, (row) => interpret(model, row, from, to), onProgress);
    },
    async close() {},
  };
}
