import type { SpecOf } from '../manifests/index.ts';
import {
  errorShare,
  type Measured,
  meanMargin,
  quantileUs,
  requestsOf,
  since,
} from '../sight/distribution.ts';
import type { Sight, Vantage } from '../sight/sight.ts';

type Abort = NonNullable<SpecOf<'Rollout'>['abort']>;

/** Where nothing else is said, a version may be worse than the one before it by so much. */
const DEFAULTS = { minimumAnswers: 100, errorRateMore: 0.02, latencyTimes: 2, marginShare: 0.5 } as const;
/** So many answers at least must be later than what is compared: one or two say nothing of a version. */
const LATE_ANSWERS = 10;
/** The share of answers that is compared: 99 %, and less of so few that the rest would be a handful. */
const shareOf = (all: number): number => Math.max(0.5, Math.min(0.99, 1 - LATE_ANSWERS / all));
/** More of the verdicts than so many may not become unsure at devices. */
const UNSURE_MORE = 0.1;

/** What was counted of a version since a rollout began. */
export interface Seen extends Measured {
  /** Verdicts of devices that are sure, and those that are not. */
  readonly sure: number;
  readonly unsure: number;
}

/**
 * Why a version is worse than may be; undefined where it is not, or too little is known.
 * @param limits of the rollout, which are absolute; where it has none, the version before is the measure
 */
export function worseThan(next: Seen, before: Seen, limits: Partial<Abort> = {}): string | undefined {
  const { minimumAnswers = DEFAULTS.minimumAnswers } = limits;
  const isKnown = (seen: Measured) => requestsOf(seen) >= minimumAnswers;
  const unsure = unsureReason(next, before, minimumAnswers);
  if (unsure !== undefined || !isKnown(next)) return unsure;
  const known = isKnown(before) ? before : undefined;
  return (
    errorReason(next, known, limits.errorRate) ??
    latencyReason(next, known, limits.latencyUs) ??
    marginReason(next, known, limits.marginDrop)
  );
}

function errorReason(next: Measured, before: Measured | undefined, most?: number): string | undefined {
  const limit = most ?? (before && errorShare(before) + DEFAULTS.errorRateMore);
  const share = errorShare(next);
  if (limit === undefined || share <= limit) return undefined;
  return `${percent(share)} of its requests got no answer, more than ${percent(limit)}`;
}

function latencyReason(next: Measured, before: Measured | undefined, most?: number): string | undefined {
  const share = shareOf(next.answered);
  const earlier = before && quantileUs(before, share);
  const limit = most ?? (earlier && earlier * DEFAULTS.latencyTimes);
  const us = quantileUs(next, share);
  if (limit === undefined || us === undefined || us <= limit) return undefined;
  return `${Number((100 * share).toFixed(1))} % of its answers take up to ${Math.round(us)} us, more than ${Math.round(limit)}`;
}

function marginReason(next: Measured, before: Measured | undefined, most?: number): string | undefined {
  const [now, then] = [meanMargin(next), before && meanMargin(before)];
  if (now === undefined || then === undefined) return undefined;
  const limit = most ?? then * DEFAULTS.marginShare;
  if (then - now <= limit) return undefined;
  return `its mean margin is ${now.toFixed(1)}, that of the version before ${then.toFixed(1)}: it falls by more than ${limit.toFixed(1)}`;
}

function unsureReason(next: Seen, before: Seen, least: number): string | undefined {
  const [now, then] = [next.sure + next.unsure, before.sure + before.unsure];
  if (now < least || then < least) return undefined;
  const [share, earlier] = [next.unsure / now, before.unsure / then];
  if (share - earlier <= UNSURE_MORE) return undefined;
  return `devices are unsure of ${percent(share)} of its verdicts, of the version before of ${percent(earlier)}`;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** Follows rollouts from when they were first seen here: what was counted before is no matter of theirs. */
export class Canaries {
  readonly #sight: Sight;
  /** What was counted by version when a rollout began, and by whom it was. */
  readonly #begun = new Map<string, { readonly of: string; readonly seen: ReadonlyMap<number, Seen> }>();

  constructor(sight: Sight) {
    this.#sight = sight;
  }

  /** Forgets rollouts that are gone. */
  keep(rollouts: ReadonlySet<string>): void {
    for (const name of this.#begun.keys()) if (!rollouts.has(name)) this.#begun.delete(name);
  }

  /** Why a rollout should go back. @param versions the one before, and the next */
  worse(
    rollout: string,
    modelId: number,
    versions: readonly [before: number, next: number],
    devices: readonly string[],
    limits?: Partial<Abort>,
  ): string | undefined {
    const isHeardOf = requestsOf(this.#sight.measuredAt('edge', modelId, versions[1], 'total')) > 0;
    const by = isHeardOf ? 'edge' : 'worker';
    const now = new Map(versions.map((v) => [v, this.#seen(modelId, v, devices, by)]));
    // Who measures is another once edges report: it begins anew.
    const of = JSON.stringify([modelId, versions, by]);
    const begun = this.#begun.get(rollout);
    if (begun?.of !== of) {
      this.#begun.set(rollout, { of, seen: now });
      return undefined;
    }
    const [before, next] = versions.map((v) => seenSince(now.get(v)!, begun.seen.get(v)!));
    return worseThan(next!, before!, limits);
  }

  #seen(modelId: number, version: number, devices: readonly string[], by: Vantage): Seen {
    const counts = devices
      .flatMap((name) => this.#sight.deviceVersions(name))
      .filter((v) => v.modelId === modelId && v.version === version);
    const sum = (outcome: string) => counts.reduce((s, { totals }) => s + (totals.get(outcome) ?? 0), 0);
    return {
      ...this.#sight.measuredAt(by, modelId, version, 'total'),
      sure: sum('computed'),
      unsure: sum('unsure'),
    };
  }
}

const seenSince = (now: Seen, before: Seen): Seen => ({
  ...since(now, before),
  sure: Math.max(0, now.sure - before.sure),
  unsure: Math.max(0, now.unsure - before.unsure),
});
