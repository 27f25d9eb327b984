import type { Layer, Model, ValueId } from './model.ts';

/**
 * The one rule of cutting a model: a packet carries one tensor, the value that the last layer before the cut makes, so no layer behind
 * the cut may read anything from before it.
 */
export const readsBefore = ({ inputs }: Layer, cut: number): boolean => inputs.some((value) => value < cut);

/** Why such a layer cannot be computed there, as messages say it. */
export const READS_BEFORE = 'it reads a tensor from before the split, which the packet does not carry';

/** The layer behind the cut that reads more than the one tensor of a packet; none where the model can be cut. */
export const cutReader = (model: Model, cut: number): Layer | undefined =>
  model.layers.slice(cut).find((layer) => readsBefore(layer, cut));

/** Places where the model may be cut, as the number of layers before the cut: not between the two ends of a residual connection. */
export function cutPoints(model: Model): number[] {
  const cuts: number[] = [];
  // That which any layer behind the cut reads.
  let earliestRead: ValueId = model.layers.length;
  for (let cut = model.layers.length; cut >= 0; cut--) {
    if (earliestRead >= cut) cuts.unshift(cut);
    if (cut > 0) earliestRead = Math.min(earliestRead, ...model.layers[cut - 1]!.inputs);
  }
  return cuts;
}
