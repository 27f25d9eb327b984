import type { Condition } from '../manifests/index.ts';
import { type Measured, quantileUs, requestsOf } from '../sight/distribution.ts';

/** Answers and failures of a window from which something can be said. */
const LEAST_REQUESTS = 20;
/** The window is above the objective for so long before it counts as missed, ms: a window holds one burst for as long as it is. */
const MISSED_MS = 3_000;
/** It is met again once the window has been below this share of the objective for so long, ms. */
const [MET_SHARE, MET_MS] = [0.9, 10_000] as const;
/** Nothing was measured for so long, ms: then nothing is known. */
const FORGET_MS = 60_000;

/** What latency a service is to keep, for which share of its answers. */
export interface Objective {
  readonly latencyUs: number;
  /** Of answers that keep to it. */
  readonly percentile: number;
}

/** What is known of an objective, and a sentence of it. */
export interface ObjectiveState {
  readonly status: Condition['status'];
  readonly reason: 'Met' | 'Missed' | 'NotMeasured';
  readonly message: string;
}

const UNKNOWN: ObjectiveState = {
  status: 'Unknown',
  reason: 'NotMeasured',
  message: `fewer than ${LEAST_REQUESTS} requests were measured in 10 s`,
};

/**
 * Latency that the objective's share of requests kept to, us; what got no answer is later than anything.
 * @returns undefined of too few requests
 */
export function objectiveQuantile(measured: Measured, { percentile }: Objective): number | undefined {
  const all = requestsOf(measured);
  if (all < LEAST_REQUESTS) return undefined;
  const share = (percentile / 100) * (all / Math.max(1, measured.answered));
  return share > 1 ? Number.POSITIVE_INFINITY : (quantileUs(measured, share) ?? Number.POSITIVE_INFINITY);
}

/** Follows one service and model: missed and met again with hysteresis, so that neither swings. */
export class ObjectiveWatch {
  #state: ObjectiveState = UNKNOWN;
  #aboveSince: number | undefined;
  #belowSince: number | undefined;
  #measuredAt = Number.NEGATIVE_INFINITY;

  get state(): ObjectiveState {
    return this.#state;
  }

  /** @param now ms of a steady clock. @returns the state where it is another than before */
  look(measured: Measured, objective: Objective, now: number): ObjectiveState | undefined {
    const before = this.#state;
    const us = objectiveQuantile(measured, objective);
    if (us === undefined) this.#forget(now);
    else this.#judge(us, objective, now);
    return this.#state.status === before.status ? undefined : this.#state;
  }

  #forget(now: number): void {
    this.#aboveSince = undefined;
    this.#belowSince = undefined;
    if (now - this.#measuredAt > FORGET_MS) this.#state = UNKNOWN;
  }

  #judge(us: number, objective: Objective, now: number): void {
    this.#measuredAt = now;
    const { latencyUs } = objective;
    this.#aboveSince = us > latencyUs ? (this.#aboveSince ?? now) : undefined;
    this.#belowSince = us <= latencyUs * MET_SHARE ? (this.#belowSince ?? now) : undefined;
    const isAbove = this.#aboveSince !== undefined && now - this.#aboveSince >= MISSED_MS;
    const isBelow = this.#belowSince !== undefined && now - this.#belowSince >= MET_MS;
    const message = sentence(us, objective);
    if (isAbove) this.#state = { status: 'False', reason: 'Missed', message };
    // What was not missed before needs no proof.
    else if (isBelow || (this.#state.status === 'Unknown' && us <= latencyUs))
      this.#state = { status: 'True', reason: 'Met', message };
  }
}

function sentence(us: number, { latencyUs, percentile }: Objective): string {
  const kept = Number.isFinite(us)
    ? `${percentile} % of requests were answered within ${Math.round(us)} us`
    : `fewer than ${percentile} % of requests were answered`;
  return `${kept}, the objective is ${latencyUs}`;
}

/** How long a model that missed its objective is passed over, ms; twice as long each time that it misses it again soon. */
const [HOLD_MS, MOST_HOLD_MS] = [60_000, 600_000] as const;

interface Hold {
  readonly why: string;
  readonly until: number;
  readonly ms: number;
}

/** Models that were too late for their services: others answer for a time, then they are tried again. */
export class LateModels {
  readonly #holdMs: number;
  readonly #holds = new Map<string, Hold>();

  constructor(holdMs: number = HOLD_MS) {
    this.#holdMs = holdMs;
  }

  missed(service: string, model: string, why: string, now: number): void {
    const key = `${service}/${model}`;
    const before = this.#holds.get(key);
    const isSoon = before !== undefined && now < before.until + before.ms;
    const ms = isSoon ? Math.min(MOST_HOLD_MS, 2 * before.ms) : this.#holdMs;
    this.#holds.set(key, { why, until: now + ms, ms });
  }

  /** Why a model does not answer at present; undefined where it may. */
  why(service: string, model: string, now: number): string | undefined {
    const hold = this.#holds.get(`${service}/${model}`);
    return hold !== undefined && now < hold.until ? hold.why : undefined;
  }

  /** Whether one may answer again that could not at `before`. */
  hasEnded(before: number, now: number): boolean {
    return [...this.#holds.values()].some(({ until }) => before < until && until <= now);
  }

  clear(): void {
    this.#holds.clear();
  }
}
