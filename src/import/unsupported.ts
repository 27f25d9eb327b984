import type { Place } from '../diagnostics/index.ts';

/** A node or operator of the source that is not imported. */
export interface Unsupported {
  readonly operator: string;
  readonly place: Place;
}

/** One of each kind, the first, with how many there are. */
export function byKind<U extends Unsupported>(all: readonly U[]): (U & { readonly count: number })[] {
  const counts = new Map<string, number>();
  for (const { operator } of all) counts.set(operator, (counts.get(operator) ?? 0) + 1);
  const first = all.filter((one, i) => all.findIndex(({ operator }) => operator === one.operator) === i);
  return first.map((one) => ({ ...one, count: counts.get(one.operator)! }));
}
