import { SHARD_GROUPS } from '../../dataplane/abi.ts';
import type { Member } from '../../ends/common/balance.ts';
import type { PlacedService, SpreadService } from './goals.ts';
import { membersOfShards } from './shards.ts';
import type { Crowded } from './steering.ts';
import { rangeOf } from './topology.ts';

/** What one of several equals gets. */
export interface JobShare {
  readonly node: string;
  /** That it computes, of a device. */
  readonly layers?: string;
  /** Of the manifest, or by how fast it is, less what an overload takes from it. */
  readonly weight: number;
  /** Of the jobs. */
  readonly percent: number;
}

/** How devices spread the jobs of a service over its devices and workers. */
export interface Spread {
  /** Whether there is anybody to spread them over. */
  readonly isAsked: boolean;
  readonly shares: readonly JobShare[];
  /** Where some device cannot; undefined where all can. */
  readonly problem: string | undefined;
}

/** Of a service whose jobs all go the same way, or choose theirs. */
export const NOT_SPREAD: Spread = { isAsked: false, shares: [], problem: undefined };

/** @param crowded of all services */
export function spreadOf(service: SpreadService, crowded: readonly Crowded[]): Spread {
  const { replicas, members, modelId } = service;
  const groups = sharedSegments(service);
  const shares = [
    ...groups.flatMap(({ from, layers }) => sharesOf(replicas.get(from) ?? [], layers)),
    ...sharesOf(members),
  ];
  const own = crowded.filter((c) => c.modelId === modelId);
  return { isAsked: groups.length > 0 || members.length > 0, shares, problem: problemOf(own) };
}

/** Segments that several devices compute. */
function sharedSegments({
  placement,
}: PlacedService): readonly { readonly from: number; readonly layers: string }[] {
  const all = placement.segments.filter((s) => s.kind === 'Device').map((s) => s.layers);
  return [...new Set(all)]
    .filter((layers) => all.indexOf(layers) !== all.lastIndexOf(layers))
    .map((layers) => ({ from: rangeOf(layers).from, layers }));
}

function sharesOf(members: readonly Member[], layers?: string): readonly JobShare[] {
  if (members.length === 0) return [];
  const goes = membersOfShards(members);
  return members.map(({ name, weight }, i) => ({
    ...{ node: name, ...(layers !== undefined && { layers }), weight },
    percent: Number(((100 * goes.filter((to) => to === i).length) / goes.length).toFixed(1)),
  }));
}

/** How many devices are named. */
const MOST_NAMED = 3;

function problemOf(crowded: readonly Crowded[]): string | undefined {
  if (crowded.length === 0) return undefined;
  const devices = new Map(crowded.map(({ device, groups }) => [device, groups]));
  const named = [...devices].slice(0, MOST_NAMED).map(([device, groups]) => `${device} would have ${groups}`);
  const more = devices.size - named.length;
  const rest = more > 0 ? `, and ${more} more devices too many` : '';
  const all = new Map(crowded.map((c) => [c.layer, c.first]));
  const goes = [...all].map(([layer, first]) =>
    layer === undefined
      ? `what is left for workers goes to ${first}`
      : `what is computed up to layer ${layer} goes to ${first}`,
  );
  return `a device has room for the shards of ${SHARD_GROUPS} groups of equals, ${named.join(', ')}${rest}: ${goes.join(', ')} alone`;
}
