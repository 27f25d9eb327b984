import type { Model } from '../model/model.ts';
import { plainBytes, workOf } from '../targets/layer-work.ts';
import { type KindProfiles, profilesOf } from '../targets/profiles.ts';

/** Hosts that run any layer in plain code (edge, worker): one multiply a MAC, numbers in memory. */
export function hostProfiles(model: Model, cuts: readonly number[]): KindProfiles {
  const blocks = cuts.slice(1).map((to, b) => ({ from: cuts[b]!, to }));
  const bytes = ({ from, to }: { from: number; to: number }) =>
    model.layers.slice(from, to).reduce((sum, layer) => sum + plainBytes(layer), 0);
  const profile = profilesOf({
    work: blocks.map(({ from, to }) => workOf(model, from, to)),
    unsupported: blocks.map(() => []),
    resources: [
      {
        need: { resource: 'memory', unit: 'bytes' },
        combination: { how: 'sum' },
        blocks: blocks.map((block) => ({ need: bytes(block) })),
      },
    ],
  });
  return { profile, confirm: () => [] };
}
