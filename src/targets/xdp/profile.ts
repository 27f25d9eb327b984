import { needDiagnostics } from '../../backends/common/need.ts';
import { programScratchBytes } from '../../backends/xdp/emit.ts';
import { xdpNeeds } from '../../backends/xdp/needs.ts';
import { type LayerPlan, multiplies, planXdp, type XdpPlan } from '../../backends/xdp/plan.ts';
import { arrayBytes, weightArrays } from '../../backends/xdp/weights.ts';
import type { Model } from '../../model/model.ts';
import { workOf } from '../layer-work.ts';
import { type BlockNeeds, type KindProfiles, profilesOf } from '../profiles.ts';

/** The planner checks each link's own MTU; the backend is not to refuse for one. */
const ANY_MTU = 65_535;

/** Two versions of the weights stand side by side, so that one write flips them. */
const SLOTS = 2;

const multipliesOf = (layers: readonly LayerPlan[]): number =>
  layers.reduce((sum, p) => sum + multiplies(p), 0);

interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * What the XDP backend foretells of every segment, from its plans of single blocks and of neighbours: all needs are sums over
 * layers, but for what the ends of a program cost, and a pair tells what joining two blocks saves.
 */
export function xdpProfiles(model: Model, cuts: readonly number[]): KindProfiles {
  const plan = ({ from, to }: Range) => planXdp(model, { from, to, mtu: ANY_MTU });
  const ranges = cuts.slice(1).map((to, b) => ({ from: cuts[b]!, to }));
  const blocks = ranges.map(plan);
  const singles = blocks.map((b) => needsOf(b.plan));
  // pairs[c] joins the blocks on both sides of cut c.
  const pairs = cuts.slice(0, -1).map((_, c) => {
    if (c === 0 || blocks[c - 1]!.plan === undefined || blocks[c]!.plan === undefined) return undefined;
    return plan({ from: cuts[c - 1]!, to: cuts[c + 1]! }).plan;
  });
  const joined = pairs.map(needsOf);
  const resources = new Map(singles.flatMap((needs) => [...needs].map(([name, n]) => [name, n] as const)));
  const profile = profilesOf({
    work: blocks.map(({ plan }, b) => {
      const { from, to } = ranges[b]!;
      return workOf(model, from, to, plan && multipliesOf(plan.layers));
    }),
    unsupported: blocks.map(({ plan, diagnostics }) =>
      plan === undefined ? diagnostics.map((d) => inPlace(d.place.layer, d.message)) : [],
    ),
    resources: [...resources].map(([resource, { limit, unit }]): BlockNeeds => {
      const need = (of: Needs) => of.get(resource)?.need ?? 0;
      return {
        need: { resource, unit, ...(limit !== undefined && { limit }) },
        combination: {
          how: 'sum',
          overlap: joined.map((pair, c) =>
            pairs[c] === undefined ? 0 : need(singles[c - 1]!) + need(singles[c]!) - need(pair),
          ),
        },
        blocks: singles.map((of) => ({ need: need(of) })),
      };
    }),
  });
  // Behind another block the values that a layer reads may be known to be few: then it may count bits.
  const added = pairs.map((pair, c) => {
    const behind = pair?.layers.filter((p) => p.index >= cuts[c]!);
    return behind === undefined ? 0 : multipliesOf(behind) - multipliesOf(blocks[c]!.plan?.layers ?? []);
  });
  const profileOf: KindProfiles['profile'] = (from, to) => {
    const alone = profile(from, to);
    const fewer = added.slice(from + 1, to).reduce((sum, n) => sum + n, 0);
    return { ...alone, work: { ...alone.work, multiplies: alone.work.multiplies + fewer } };
  };
  return {
    profile: profileOf,
    confirm: (from, to) => refusals(model, plan({ from: cuts[from]!, to: cuts[to]! })),
  };
}

const inPlace = (layer: string | undefined, message: string): string =>
  layer === undefined ? message : `layer "${layer}": ${message}`;

type Needs = ReadonlyMap<string, { readonly need: number; readonly limit?: number; readonly unit: string }>;

/** Needs of the program as a whole; packets are the links' matter. */
function needsOf(plan: XdpPlan | undefined): Needs {
  const needs = new Map<string, { need: number; limit?: number; unit: string }>();
  if (plan === undefined) return needs;
  for (const { layer, resource, need, limit, unit } of xdpNeeds(plan))
    if (!layer && resource !== 'packet' && resource !== 'frame') needs.set(resource, { need, limit, unit });
  const weights = weightArrays(plan).reduce((sum, a) => sum + arrayBytes(a), 0);
  needs.set('memory', { need: SLOTS * weights + programScratchBytes(plan), unit: 'bytes' });
  return needs;
}

function refusals(model: Model, { plan, diagnostics }: ReturnType<typeof planXdp>): string[] {
  const all = plan === undefined ? diagnostics : needDiagnostics(xdpNeeds(plan), 'xdp', model.file);
  return all.filter((d) => d.severity === 'error').map((d) => inPlace(d.place.layer, d.message));
}
