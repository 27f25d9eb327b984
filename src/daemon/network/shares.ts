import type { WorkerLoad } from '../../doors/measures.ts';

/** After an overload: how long none comes, ms; twice as long each time that it comes again soon, up to the most. */
const [OUT_MS, MOST_OUT_MS] = [3_000, 60_000] as const;
/** Then its share comes back in steps, each after so long, ms. */
const [STEP_MS, STEPS] = [2_000, [0.25, 0.5, 0.75, 1]] as const;
/** An overload within this time after the last one ended came again soon, ms. */
const SOON_MS = 30_000;

/** A busy worker gets less of the new jobs: where the share of time at work is above `up`, until it is below `down`. */
const LEVELS = [
  { up: 0.9, down: 0.75, factor: 0.5 },
  { up: 0.7, down: 0.55, factor: 0.75 },
] as const;
/** Share of what is new in the smoothed measure of a half second. */
const DAMPING = 0.25;

interface State {
  busy: number;
  /** Index into LEVELS; as many as there are where it is not busy. */
  level: number;
  isOverloaded: boolean;
  /** When the last overload ended. */
  endedAt: number | undefined;
  outMs: number;
}

/** Which share of its weight each worker gets of new jobs: nothing at once when it is overloaded, and all again slowly. */
export class Shares {
  readonly #states = new Map<string, State>();

  /** Takes what a worker says of itself. @param now ms of a steady clock */
  look(name: string, { busy, isOverloaded }: WorkerLoad, now: number): void {
    const state = this.#states.get(name) ?? {
      ...{ busy, level: LEVELS.length, isOverloaded: false, endedAt: undefined, outMs: OUT_MS },
    };
    this.#states.set(name, state);
    state.busy += DAMPING * (busy - state.busy);
    state.level = levelOf(state);
    if (isOverloaded && !state.isOverloaded) {
      const isSoon = state.endedAt !== undefined && now - state.endedAt < state.outMs + SOON_MS;
      state.outMs = isSoon ? Math.min(MOST_OUT_MS, 2 * state.outMs) : OUT_MS;
    }
    if (!isOverloaded && state.isOverloaded) state.endedAt = now;
    state.isOverloaded = isOverloaded;
  }

  keep(names: ReadonlySet<string>): void {
    for (const name of this.#states.keys()) if (!names.has(name)) this.#states.delete(name);
  }

  /** 0 to 1; 1 of one that nothing is known of. */
  factor(name: string, now: number): number {
    const state = this.#states.get(name);
    if (state === undefined) return 1;
    if (state.isOverloaded) return 0;
    const busy = LEVELS[state.level]?.factor ?? 1;
    return Math.min(busy, backOf(state, now));
  }
}

function backOf({ endedAt, outMs }: State, now: number): number {
  if (endedAt === undefined) return 1;
  const sinceMs = now - endedAt - outMs;
  if (sinceMs < 0) return 0;
  return STEPS[Math.min(STEPS.length - 1, Math.floor(sinceMs / STEP_MS))]!;
}

function levelOf({ busy, level }: State): number {
  for (const [i, { up, down }] of LEVELS.entries()) if (busy > (level <= i ? down : up)) return i;
  return LEVELS.length;
}
