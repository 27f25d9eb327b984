import type { StoredObject } from '../manifests/index.ts';
import type { PlacedService } from './goals.ts';
import { committedVersion, type Named, type Network, rolloutOf } from './network.ts';
import type { ManagedNode } from './node.ts';
import type { Observer } from './observer.ts';
import type { Recorder } from './recorder.ts';
import { type NextPhase, nextPhase, type RolloutSight } from './versions-wanted.ts';

/** What rollouts go by, besides the objects. */
export interface RolloutHost {
  readonly recorder: Recorder;
  readonly observer: Observer;
  readonly nodesOf: (service: PlacedService) => readonly ManagedNode[];
  /** Key of what a node is to be. */
  readonly goalKey: (name: string) => string | undefined;
  /** Hears of a rollout whose next phase is written down. */
  readonly advanced: (rollout: StoredObject<'Rollout'>) => void;
}

/** Brings rollouts from phase to phase. */
export class Rollouts {
  readonly #host: RolloutHost;
  /** When the phase of a rollout was first seen here, and which it was. */
  readonly #phases = new Map<string, { readonly phase: string; readonly since: number }>();

  constructor(host: RolloutHost) {
    this.#host = host;
  }

  /** Rollouts go to their next phase once it is written down. */
  async advance(network: Network, placed: readonly PlacedService[], now: number): Promise<void> {
    for (const service of network.services.values()) {
      const rollout = rolloutOf(network, service.name);
      if (rollout === undefined) continue;
      const own = placed.find((p) => p.service.name === service.name);
      const next = nextPhase(rollout, this.#sight(network, rollout, own, now));
      if (next === undefined) continue;
      const { phase, why, step } = next;
      const { status } = rollout.object;
      const previous = status.previous ?? committedVersion(network, service) ?? own?.wanted.current;
      const written = {
        ...{ ...status, phase, ...(previous !== undefined && { previous }) },
        ...(step !== undefined && { step }),
        ...(rollout.spec.canary.length > 0 && { percent: percentAt(rollout, next) }),
      };
      const bad = phase === 'failed' || phase === 'rolling back';
      const kept = await this.#host.recorder.now('Rollout', rollout.name, written, {
        type: bad ? 'Warning' : 'Normal',
        reason: phase.replace(/(^| )(\w)/g, (_, __, letter: string) => letter.toUpperCase()),
        message: why,
        object: { kind: 'Rollout', name: rollout.name },
      });
      if (!kept) continue;
      this.#host.advanced({ ...rollout.object, status: written });
    }
  }

  #sight(
    network: Network,
    { name, spec, object }: Named<'Rollout'>,
    own: PlacedService | undefined,
    now: number,
  ): RolloutSight {
    const phase = object.status.phase ?? 'pending';
    const known = this.#phases.get(name);
    const at = `${phase} ${object.status.step ?? 0}`;
    const since = known?.phase === at ? known.since : now;
    if (known?.phase !== at) this.#phases.set(name, { phase: at, since });
    const nodes = own === undefined ? [] : this.#host.nodesOf(own);
    const here = nodes.filter((n) => n.isHere);
    const failed = here.find((n) => n.failure !== undefined && n.failure.goal === this.#host.goalKey(n.name));
    const settled =
      here.length > 0 &&
      nodes.every((n) => n.reach.kind !== 'unknown') &&
      here.every((n) => !n.isBusy && n.settledAt === this.#host.goalKey(n.name));
    return {
      settled,
      failure:
        failed?.failure && `${failed.name}: ${failed.failure.diagnostics.map((d) => d.message).join('; ')}`,
      worse: own && this.#worse({ name, spec, object }, own),
      sinceMs: now - since,
      mayBegin: spec.after.every((other) => network.rollouts.get(other)?.object.status.phase === 'complete'),
    };
  }

  /** Only a rollout that asks for it is judged: by its limits, or by having a canary. */
  #worse({ name, spec, object }: Pick<Named<'Rollout'>, 'name' | 'spec' | 'object'>, own: PlacedService) {
    const { previous, phase = 'pending' } = object.status;
    const isJudged = spec.abort !== undefined || spec.canary.length > 0;
    if (!isJudged || previous === undefined || !UNDER_WAY.has(phase)) return undefined;
    const devices = own.placement.segments.flatMap((s) => (s.kind === 'Device' ? [s.node] : []));
    return this.#host.observer.canaries.worse(
      name,
      own.modelId,
      [previous, spec.version],
      devices,
      spec.abort,
    );
  }
}

/** Phases in which a rollout may be found worse. */
const UNDER_WAY: ReadonlySet<string> = new Set(['installing', 'canary', 'paused', 'flipping', 'draining']);

/** Share of jobs that name the version of a rollout, or all once it is current. */
function percentAt({ spec, object }: Named<'Rollout'>, { phase, step }: NextPhase): number {
  switch (phase) {
    case 'canary':
      return spec.canary[step ?? 0]?.percent ?? 0;
    case 'paused':
    case 'installing':
      return object.status.percent ?? 0;
    case 'flipping':
    case 'draining':
    case 'removing':
    case 'complete':
      return 100;
    case 'pending':
    case 'rolling back':
    case 'rolled back':
    case 'failed':
      return 0;
  }
}
