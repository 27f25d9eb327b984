import type { Lowered } from '../../backends/v1model/lower.ts';
import { planV1model } from '../../backends/v1model/plan.ts';
import { layerTables, widestEntry } from '../../backends/v1model/tables.ts';
import type { Model } from '../../model/model.ts';
import { workOf } from '../layer-work.ts';
import { type KindProfiles, profilesOf } from '../profiles.ts';

/** The planner checks each link's own MTU; the backend is not to refuse for one. */
const ANY_MTU = 65_535;

/** What the P4 backend foretells of every segment, from its plans of single blocks: each matrix layer has a table of its own. */
export function v1modelProfiles(model: Model, cuts: readonly number[]): KindProfiles {
  const plan = (from: number, to: number) => planV1model(model, { from, to, mtu: ANY_MTU });
  const blocks = cuts.slice(1).map((to, b) => ({ from: cuts[b]!, to, ...plan(cuts[b]!, to) }));
  const needs = blocks.map(({ plan }) =>
    (plan?.needs ?? []).filter((n) => n.resource !== 'request' && n.resource !== 'answer'),
  );
  const resources = new Map(needs.flat().map((n) => [n.resource, n]));
  const tables = blocks.map(({ from, to, plan }) =>
    plan === undefined
      ? model.layers.slice(from, to).filter((layer) => 'weights' in layer).length
      : // The slots of a layer are one table to a planner.
        layerTables(plan.lowered, 1).length,
  );
  const profile = profilesOf({
    work: blocks.map(({ from, to, plan }) => {
      const products = plan?.lowered.layouts.reduce((sum, layout) => sum + layout.products, 0);
      return workOf(model, from, to, products);
    }),
    unsupported: blocks.map(({ plan, diagnostics }) => (plan === undefined ? diagnostics.map(inPlace) : [])),
    resources: [
      ...[...resources.values()].map(({ resource, limit, unit }) => ({
        need: { resource, limit, unit },
        combination: { how: 'largest' } as const,
        blocks: needs.map((block) => {
          const largest = block.filter((n) => n.resource === resource).sort((a, b) => b.need - a.need)[0];
          return { need: largest?.need ?? 0, ...(largest?.layer && { layer: largest.layer }) };
        }),
      })),
      {
        need: { resource: 'tables', unit: 'tables' },
        combination: { how: 'sum' },
        blocks: tables.map((need) => ({ need })),
      },
      {
        need: { resource: 'memory', unit: 'bytes' },
        combination: { how: 'sum' },
        // Entries of two versions; every table at most as wide as the block's widest.
        blocks: blocks.map(({ plan }) => ({
          need: plan === undefined ? 0 : 2 * entriesOf(plan.lowered) * widestEntry(plan.lowered),
        })),
      },
    ],
  });
  const errors = (from: number, to: number) =>
    plan(cuts[from]!, cuts[to]!).diagnostics.filter((d) => d.severity === 'error');
  return { profile, confirm: (from, to) => errors(from, to).map(inPlace) };
}

/** Entries of one version: one a layer with weights, and the rows of embeddings. */
const entriesOf = ({ code }: Lowered): number =>
  code.stages.reduce(
    (sum, { parameters, lookups }) =>
      sum + (parameters.length > 0 ? 1 : 0) + lookups.reduce((n, l) => n + l.values.length, 0),
    0,
  );

const inPlace = ({ place, message }: { place: { layer?: string }; message: string }): string =>
  place.layer === undefined ? message : `layer "${place.layer}": ${message}`;
