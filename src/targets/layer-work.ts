import { type Layer, type Model, macs } from '../model/model.ts';
import { elementCount } from '../model/tensor.ts';
import type { Work } from './cost-model.ts';

/** Output elements that go through a multiplier and a shift; a maximum only compares. */
export const requantisedNeurons = (layer: Layer): number =>
  layer.kind === 'maxPool' || layer.kind === 'argmax' ? 0 : elementCount(layer.output.shape);

/** Work of layers `[from, to)`; `multiplies` is what the target needs for them, by default one a MAC. */
export function workOf(model: Model, from: number, to: number, multiplies?: number): Work {
  const layers = model.layers.slice(from, to);
  const sum = (f: (layer: Layer) => number) => layers.reduce((total, layer) => total + f(layer), 0);
  const all = sum((layer) => macs(model, layer));
  return { macs: all, multiplies: multiplies ?? all, neurons: sum(requantisedNeurons) };
}

/** Bytes of a layer's numbers in plain form: weights, 4 a bias, 16 for a channel's multiplier and offset. */
export function plainBytes(layer: Layer): number {
  const weights = 'weights' in layer ? layer.weights.length + 4 * layer.bias.length : 0;
  return weights + ('requantiser' in layer ? 16 * layer.requantiser.multiplier.length : 0);
}
