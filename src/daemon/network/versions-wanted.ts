import type { RolloutPhase } from '../manifests/index.ts';
import {
  committedVersion,
  type Named,
  type Network,
  newestVersion,
  rolloutOf,
  specVersion,
} from './network.ts';

/** Which versions of a service's model are to be on its nodes. */
export interface VersionsWanted {
  /** Of requests that name none. */
  readonly current: number;
  /** That must be there, the current one among them. */
  readonly held: readonly number[];
  /** That may stay. */
  readonly keep: readonly number[];
  readonly drainMs: number;
}

const DRAIN_MS = 1000;

/**
 * A rollout is a row of states that the nodes are brought to, each written down before it is gone to; so whoever takes over
 * goes on from there. Without a rollout it is the version that the service names.
 */
export function versionsWanted(network: Network, service: Named<'Service'>): VersionsWanted | undefined {
  const rollout = rolloutOf(network, service.name);
  const committed = committedVersion(network, service);
  const own = specVersion(network, service);
  if (rollout === undefined)
    return own === undefined ? undefined : { current: own, held: [own], keep: [], drainMs: DRAIN_MS };
  const { version: next, drainMs, keep } = rollout.spec;
  const { phase, previous } = rollout.object.status;
  const before = previous ?? committed ?? own;
  const only = (version: number, stay: readonly number[] = []): VersionsWanted => ({
    current: version,
    held: [version],
    keep: stay.filter((v) => v !== version),
    drainMs,
  });
  if (before === undefined || before === next) return only(next);
  switch (effectivePhase(phase, previous)) {
    case 'pending':
    case 'failed':
    case 'rolled back':
      return only(before);
    case 'rolling back':
      return only(before, [next]);
    case 'installing':
    case 'canary':
      return { current: before, held: [before, next], keep: [], drainMs };
    case 'flipping':
    case 'draining':
      return { current: next, held: [next], keep: [before], drainMs };
    case 'removing':
    case 'complete':
      // The phase before was the drain.
      return { ...only(next, keep ? [before] : []), drainMs: 0 };
  }
}

/** Of a model that answers in place of the preferred one: its newest. */
export function newestWanted(network: Network, { name }: Named<'Model'>): VersionsWanted | undefined {
  const current = newestVersion(network, name);
  return current === undefined ? undefined : { current, held: [current], keep: [], drainMs: DRAIN_MS };
}

/** One that is paused is paused in what it had begun: nothing but its version beside the other. */
const effectivePhase = (
  phase: RolloutPhase | undefined,
  previous: number | undefined,
): Exclude<RolloutPhase, 'paused'> =>
  phase === 'paused' ? (previous === undefined ? 'pending' : 'installing') : (phase ?? 'pending');

/** What is known of how a rollout goes. */
export interface RolloutSight {
  /** Whether every node that can be had is what the phase wants. */
  readonly settled: boolean;
  /** Why nodes could not be brought there. */
  readonly failure: string | undefined;
  /** Why it should go back: worse answers than its spec allows. */
  readonly worse: string | undefined;
  /** Since the phase began, or the step of a canary, ms. */
  readonly sinceMs: number;
  /** Whether those that come before are complete. */
  readonly mayBegin: boolean;
}

/** Where a rollout goes next. */
export interface NextPhase {
  readonly phase: RolloutPhase;
  readonly why: string;
  /** Of a canary. */
  readonly step?: number;
}

/** The phase that follows, or the next step of a canary, with the reason; undefined where it stays. */
export function nextPhase({ spec, object }: Named<'Rollout'>, sight: RolloutSight): NextPhase | undefined {
  const phase = object.status.phase ?? 'pending';
  const to = (next: RolloutPhase, why: string): NextPhase => ({ phase: next, why });
  const canary = (step: number): NextPhase => {
    const own = spec.canary[step];
    if (own === undefined) return to('flipping', 'every node holds the version');
    return { phase: 'canary', step, why: `${own.percent} % of jobs name the version, for ${own.holdMs} ms` };
  };
  switch (phase) {
    case 'complete':
      return spec.rollback ? to('rolling back', 'asked for') : undefined;
    case 'rolled back':
    case 'failed':
      return undefined;
    case 'rolling back':
      if (!sight.settled || (spec.canary.length > 0 && sight.sinceMs < spec.drainMs)) return undefined;
      return to('rolled back', 'the version before is current everywhere');
    case 'pending':
      if (spec.rollback || !sight.mayBegin) return undefined;
      return spec.paused ? undefined : to('installing', 'the version goes beside the current one');
    case 'paused':
      if (spec.rollback) return to('rolling back', 'asked for');
      if (sight.worse !== undefined) return to('rolling back', sight.worse);
      return spec.paused ? undefined : to('installing', 'resumed');
  }
  if (sight.failure !== undefined && (phase === 'installing' || phase === 'canary' || phase === 'flipping'))
    return to('failed', sight.failure);
  if (spec.rollback) return to('rolling back', 'asked for');
  if (sight.worse !== undefined && phase !== 'removing') return to('rolling back', sight.worse);
  switch (phase) {
    case 'installing':
      if (spec.paused) return to('paused', 'asked for');
      // One that was paused goes on where it was.
      return sight.settled ? canary(object.status.step ?? 0) : undefined;
    case 'canary': {
      if (spec.paused) return to('paused', 'asked for');
      const { step = 0 } = object.status;
      return sight.settled && sight.sinceMs >= (spec.canary[step]?.holdMs ?? 0)
        ? canary(step + 1)
        : undefined;
    }
    case 'flipping':
      return sight.settled ? to('draining', 'the version is current everywhere') : undefined;
    case 'draining':
      if (spec.paused || sight.sinceMs < spec.drainMs) return undefined;
      return to('removing', 'packets of the version before have left');
    case 'removing':
      return sight.settled ? to('complete', 'nothing is left to do') : undefined;
  }
}
