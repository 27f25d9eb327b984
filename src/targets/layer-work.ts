import { type ByKind, type LayerOf, ofKind } from '../model/by-kind.ts';
import { type Layer, type LayerKind, type Model, macs } from '../model/model.ts';
import type { Requantiser } from '../model/requantiser.ts';
import { elementCount } from '../model/tensor.ts';
import type { Work } from './cost-model.ts';

/** Whether the output elements of a kind go through a multiplier and a shift, or what takes as long; a maximum only compares. */
const isRequantised = {
  dense: true,
  conv2d: true,
  maxPool: false,
  averagePool: true,
  requantise: true,
  add: true,
  mul: true,
  softmax: true,
  gather: true,
  pad: true,
  transpose: true,
  lut: true,
  embedding: true,
  argmax: false,
  forest: false,
} satisfies Record<LayerKind, boolean>;

/** Elements that the layer requantises: 0 for kinds that only choose among their inputs. */
export const requantisedNeurons = (layer: Layer): number =>
  isRequantised[layer.kind] ? elementCount(layer.output.shape) : 0;

/** Work of layers `[from, to)`; `multiplies` is what the target needs for them, by default one a MAC. */
export function workOf(model: Model, from: number, to: number, multiplies?: number): Work {
  const layers = model.layers.slice(from, to);
  const sum = (f: (layer: Layer) => number) => layers.reduce((total, layer) => total + f(layer), 0);
  const all = sum((layer) => macs(model, layer));
  return { macs: all, multiplies: multiplies ?? all, neurons: sum(requantisedNeurons) };
}

/** Bytes of a layer's numbers in plain form: weights, 4 a bias, 16 for a channel's multiplier and offset. */
export const plainBytes = (layer: Layer): number => ofKind(bytesOf, layer);

const requantiserBytes = ({ requantiser }: { readonly requantiser: Requantiser }): number =>
  16 * requantiser.multiplier.length;

const weightBytes = (layer: LayerOf<'dense' | 'conv2d'>): number =>
  layer.weights.length + 4 * layer.bias.length + requantiserBytes(layer);

const none = (): number => 0;

const bytesOf = {
  dense: weightBytes,
  conv2d: weightBytes,
  maxPool: none,
  averagePool: requantiserBytes,
  requantise: requantiserBytes,
  add: none,
  mul: requantiserBytes,
  softmax: none,
  gather: none,
  pad: none,
  transpose: none,
  lut: none,
  embedding: requantiserBytes,
  argmax: none,
  forest: ({ nodes, scores }) => 8 * (nodes.feature.length + scores.length),
} satisfies ByKind<number>;
