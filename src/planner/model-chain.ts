import type { Diagnostic } from '../diagnostics/index.ts';
import { cutPoints } from '../model/cut.ts';
import { type Model, valueType } from '../model/model.ts';
import { formatTensorType, tensorBytes } from '../model/tensor.ts';
import type { KindProfiles, SegmentProfile } from '../targets/profiles.ts';
import type { OwnOptions } from '../targets/target.ts';
import type { Chain } from './chain.ts';
import { type Machine, machineName, nodeModel } from './node-kinds.ts';

/**
 * A verified model as a chain. Backends are asked when a machine is first met, and once a block or segment.
 * @param given own options of targets that are the same for all nodes
 */
export function modelChain(model: Model, given: OwnOptions = {}): Chain {
  const cuts = cutPoints(model);
  const kinds = new Map<string, KindProfiles>();
  const profiles = (machine: Machine): KindProfiles => {
    const name = machineName(machine);
    const { planned, ...of } = nodeModel(machine.kind);
    const heeded = Object.entries(given).filter(([option]) => planned?.model.includes(option));
    const own = { ...Object.fromEntries(heeded), ...machine.options };
    const known = kinds.get(name) ?? of.profiles(model, cuts, own);
    kinds.set(name, known);
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
    profile: (machine, from, to): SegmentProfile => profiles(machine).profile(from, to),
    confirm: (machine, from, to) => profiles(machine).confirm(from, to),
    remarks: () => uniqueRemarks([...kinds.values()].flatMap(({ remarks = [] }) => remarks)),
  };
}

/** Two chips say the same of one network. */
const uniqueRemarks = (remarks: readonly Diagnostic[]): Diagnostic[] => [
  ...new Map(remarks.map((d) => [`${d.code} ${d.message}`, d])).values(),
];
