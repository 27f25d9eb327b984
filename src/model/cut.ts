import type { Layer, Model } from './model.ts';

/** The layer behind the cut that reads more than the one tensor of a packet; none where the model can be cut. */
export const cutReader = (model: Model, cut: number): Layer | undefined =>
  model.layers.slice(cut).find((layer) => layer.inputs.some((value) => value < cut));
