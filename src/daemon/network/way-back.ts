/** After an overload: how long no new job comes, ms; twice as long each time that it comes again soon, up to the most. */
const [OUT_MS, MOST_OUT_MS] = [3_000, 60_000] as const;
/** Then its share comes back in steps, each after so long, ms. */
const STEP_MS = 2_000;
/** The steps, as parts of the share; half as large each time that the overload comes again soon, down to the least. */
const [STEP, LEAST_STEP] = [1 / 4, 1 / 16] as const;
/** An overload on the way back, or within this time after it, came again soon, ms. */
const SOON_MS = 30_000;
/** An overload that began while another worker was away has so long to end by itself, once that one is back, ms. */
const PATIENCE_MS = 10_000;
/** So long has one on the way back, where a passing one is likely, and little is at stake. */
const PATIENCE_BACK_MS = 4_000;

/** Whether jobs can go to others: `yes`, to one that is better off; `soon`, as one is on its way back; `no`, all are as badly off. */
export type CanMove = 'yes' | 'soon' | 'no';

/** Of an overload that has time to end by itself. */
interface Held {
  /** Since when somebody is better off. */
  readonly movableSince: number | undefined;
}

interface HasPart {
  /** Part of its share. */
  readonly part: number;
  /** Since when it has that, or could have had more. */
  readonly since: number;
  readonly held?: Held;
}

interface IsOut {
  readonly part: 0;
  /** Since when it is not overloaded. */
  readonly calmSince: number | undefined;
}

/** Which part of its share a worker gets of new jobs, by its overloads. Times are ms of a steady clock. */
export type WayBack = (HasPart | IsOut) & {
  /** How often in a row an overload came again soon. */
  readonly relapses: number;
};

/** Of a node that traffic was never led around. */
export const NEVER_OUT: WayBack = { part: 1, since: -Infinity, relapses: 0 };

/**
 * One look on. An overloaded worker loses its share at once if another one is better off. Where none is, its jobs would only overload the
 * next one, and shares would go to and fro: it keeps what it has and gets no more, and whoever is out does not wait.
 */
export function nextOf(way: WayBack, isOverloaded: boolean, canMove: CanMove, now: number): WayBack {
  if (isOverloaded)
    return 'calmSince' in way ? { ...way, calmSince: undefined } : overloaded(way, canMove, now);
  return 'calmSince' in way ? waiting(way, canMove, now) : growing(way, now);
}

function overloaded(way: HasPart & WayBack, canMove: CanMove, now: number): WayBack {
  const isHeld = way.held !== undefined || canMove === 'soon' || way.part < 1;
  const patienceMs = way.part < 1 ? PATIENCE_BACK_MS : PATIENCE_MS;
  const movableSince = canMove === 'yes' ? (way.held?.movableSince ?? now) : undefined;
  const isOut = movableSince !== undefined && (!isHeld || now - movableSince >= patienceMs);
  if (!isOut)
    return { ...way, ...(way.part < 1 && { since: now }), ...(isHeld && { held: { movableSince } }) };
  const isSoon = way.part < 1 || now - way.since < SOON_MS;
  return { part: 0, calmSince: undefined, relapses: isSoon ? way.relapses + 1 : 0 };
}

function waiting(way: IsOut & WayBack, canMove: CanMove, now: number): WayBack {
  const { calmSince = now, relapses } = way;
  const outMs = Math.min(MOST_OUT_MS, OUT_MS * 2 ** relapses);
  if (canMove === 'yes' && now - calmSince < outMs) return { part: 0, calmSince, relapses };
  return { part: stepOf(relapses), since: now, relapses };
}

function growing({ part, since, relapses }: HasPart & WayBack, now: number): WayBack {
  if (part === 1 || now - since < STEP_MS) return { part, since, relapses };
  return { part: Math.min(1, part + stepOf(relapses)), since: now, relapses };
}

const stepOf = (relapses: number): number => Math.max(LEAST_STEP, STEP / 2 ** relapses);
