import type { WorkerLoad } from '../../doors/measures.ts';
import { type CanMove, NEVER_OUT, nextOf, type WayBack } from './way-back.ts';

/** A busy worker gets less of the new jobs: where the share of time at work is above `up`, until it is below `down`. */
const LEVELS = [
  { up: 0.9, down: 0.75, factor: 0.5 },
  { up: 0.7, down: 0.55, factor: 0.75 },
] as const;
/** Share of what is new in the smoothed measure of a half second. */
const DAMPING = 0.25;
/** Of whom nothing was heard for so long nobody knows whether he is well, ms. */
const HEARD_MS = 2_000;
/** Of two that are overloaded one is better off if its rows wait less by this factor. */
const BETTER = 2;

interface State {
  readonly busy: number;
  /** Index into LEVELS; as many as there are where it is not busy. */
  readonly level: number;
  readonly isOverloaded: boolean;
  readonly waitUs: number;
  readonly heardAt: number;
  readonly way: WayBack;
}

/** Which share of its weight each worker gets of new jobs: nothing at once when it is overloaded, and all again slowly. */
export class Shares {
  readonly #states = new Map<string, State>();
  readonly #peersOf: (name: string) => readonly string[];

  /** @param peersOf workers that get the jobs which one does not get; it may be among them. Where there are none, all may be */
  constructor(peersOf: (name: string) => readonly string[]) {
    this.#peersOf = peersOf;
  }

  /** Takes what a worker says of itself. @param now ms of a steady clock */
  look(name: string, { busy, isOverloaded, waitUs }: WorkerLoad, now: number): void {
    const before = this.#states.get(name) ?? { busy, level: LEVELS.length, way: NEVER_OUT };
    const smoothed = before.busy + DAMPING * (busy - before.busy);
    this.#states.set(name, {
      ...{ busy: smoothed, level: levelOf(smoothed, before.level) },
      ...{ isOverloaded, waitUs, heardAt: now },
      way: nextOf(before.way, isOverloaded, this.#canMove(name, waitUs, now), now),
    });
  }

  keep(names: ReadonlySet<string>): void {
    for (const name of this.#states.keys()) if (!names.has(name)) this.#states.delete(name);
  }

  /**
   * What is left of it by overload alone, 0 to 1; undefined of one that was not heard of. Where devices spread jobs, running ones move with
   * the shares: being busy is no reason for that.
   */
  part(name: string): number | undefined {
    return this.#states.get(name)?.way.part;
  }

  /** 0 to 1; 1 of one that nothing is known of. */
  factor(name: string): number {
    const state = this.#states.get(name);
    if (state === undefined) return 1;
    return Math.min(LEVELS[state.level]?.factor ?? 1, state.way.part);
  }

  /** @param waitUs how long its rows wait */
  #canMove(name: string, waitUs: number, now: number): CanMove {
    let isSoon = false;
    const peers = this.#peersOf(name);
    for (const peer of peers.length > 0 ? peers : this.#states.keys()) {
      const state = peer === name ? undefined : this.#states.get(peer);
      if (state === undefined || now - state.heardAt > HEARD_MS) continue;
      if (state.way.part < 1) isSoon = true;
      else if (!state.isOverloaded || BETTER * state.waitUs < waitUs) return 'yes';
    }
    return isSoon ? 'soon' : 'no';
  }
}

/** @param level so far */
function levelOf(busy: number, level: number): number {
  for (const [i, { up, down }] of LEVELS.entries()) if (busy > (level <= i ? down : up)) return i;
  return LEVELS.length;
}
