import { type Model, type ValueId, valueType } from '../model/model.ts';
import { formatTensorType, tensorBytes } from '../model/tensor.ts';
import type { KindProfiles, SegmentProfile } from '../targets/profiles.ts';
import type { Chain } from './chain.ts';
import { nodeModel } from './node-kinds.ts';

/**
 * Places where the model may be cut, as the number of layers before the cut. A packet carries one tensor, so no layer
 * behind the cut may read anything before the cut but the value that the last layer before it makes:
 * not between the two ends of a residual connection.
 */
export function cutPoints(model: Model): number[] {
  const cuts: number[] = [];
  let earliestRead: ValueId = model.layers.length;
  for (let cut = model.layers.length; cut >= 0; cut--) {
    if (earliestRead >= cut) cuts.unshift(cut);
    if (cut > 0) earliestRead = Math.min(earliestRead, ...model.layers[cut - 1]!.inputs);
  }
  return cuts;
}

/** A verified model as a chain. Backends are asked when a kind is first met, and once a block. */
export function modelChain(model: Model): Chain {
  const cuts = cutPoints(model);
  const kinds = new Map<string, KindProfiles>();
  const profiles = (kind: string): KindProfiles => {
    const known = kinds.get(kind) ?? nodeModel(kind).profiles(model, cuts);
    kinds.set(kind, known);
    return known;
  };
  return {
    file: model.file,
    name: model.name,
    layers: model.layers.map((layer) => layer.name),
    cuts,
    tensors: cuts.map((cut) => {
      const type = valueType(model, cut);
      // One byte an element on the wire: see src/wire/header.ts.
      return { bytes: tensorBytes(type), text: formatTensorType(type) };
    }),
    profile: (kind, from, to): SegmentProfile => profiles(kind).profile(from, to),
    confirm: (kind, from, to) => profiles(kind).confirm(from, to),
  };
}
