import { refuse, throwErrors } from '../../diagnostics/index.ts';
import { cutReader } from '../../model/cut.ts';
import { layerCountRefusals } from '../../model/layer-count.ts';
import { type Model, type ValueId, valueType } from '../../model/model.ts';
import { tensorBytes } from '../../model/tensor.ts';
import { isVerdict } from '../../model/verdict.ts';
import { MOST_LAYERS } from '../../wire/header.ts';
import type { WireTensor } from './transfer.ts';

/** What of a model shows on the wire: the tensor that is sent, and the one that comes back. */
export interface WireShape {
  readonly layerCount: number;
  /** Layers computed before sending. */
  readonly nextLayer: number;
  readonly input: WireTensor;
  readonly output: WireTensor;
  /** Whether what comes back is a verdict: class and margin. */
  readonly isVerdict?: boolean;
}

const wireTensor = (model: Model, value: ValueId): WireTensor => {
  const type = valueType(model, value);
  return { element: type.element, count: tensorBytes(type) };
};

/** @throws DiagnosticError if the model has no layer `from`, or one packet does not carry all that is read from there on */
export function wireShape(model: Model, from = 0): WireShape {
  const layerCount = model.layers.length;
  const { file } = model;
  throwErrors(layerCountRefusals(model, MOST_LAYERS, 'the packet format'));
  if (!(Number.isInteger(from) && from >= 0 && from < layerCount))
    refuse('layer-range', { given: `0..${from}`, count: layerCount }, { file });
  const reader = cutReader(model, from);
  if (reader !== undefined) refuse('layer-cut', { at: from, reader: reader.name }, { file });
  return {
    layerCount,
    nextLayer: from,
    input: wireTensor(model, from),
    output: wireTensor(model, layerCount),
    isVerdict: isVerdict(model.layers.at(-1)),
  };
}
