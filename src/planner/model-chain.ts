import { cutPoints } from '../model/cut.ts';
import { type Model, valueType } from '../model/model.ts';
import { formatTensorType, tensorBytes } from '../model/tensor.ts';
import type { KindProfiles, SegmentProfile } from '../targets/profiles.ts';
import type { Chain } from './chain.ts';
import { nodeModel } from './node-kinds.ts';

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
