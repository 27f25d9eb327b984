import type { Linear } from './linear.ts';

/** One activation between layers, by what its error does. */
export interface Sensitivity {
  readonly layer: number;
  readonly output: number;
  /** Mean square error at the end of the network of one level for all, in steps of the outputs. */
  readonly cost: number;
}

/** Fewest and most levels of an activation: what the window of the levels needs, and more than any network asks for. */
const FEWEST = 4;
const MOST = 128;

/**
 * What the error of each activation costs: the squares of the weights that it meets, times what those outputs cost, back from
 * the end, times its own variance on the rows.
 * @param layers of sums in order, each with what reads the outputs of the one before it
 * @param variance of an activation on the rows
 */
export function sensitivities(
  layers: readonly { readonly layer: number; readonly linear: Linear }[],
  variance: (layer: number, output: number) => number,
): Sensitivity[] {
  const found: Sensitivity[] = [];
  let costs: readonly number[] | undefined;
  for (let l = layers.length - 1; l > 0; l--) {
    const { linear } = layers[l]!;
    const { multiplier, shift } = linear.requantiser;
    const back: number[] = linear.terms.map((terms) =>
      terms.reduce((sum, { output, weight }) => {
        const slope = (weight * multiplier[linear.channels[output]!]!) / 2 ** shift;
        return sum + slope * slope * (costs?.[output] ?? 1);
      }, 0),
    );
    const { layer } = layers[l - 1]!;
    for (const [output, cost] of back.entries())
      found.push({ layer, output, cost: cost * variance(layer, output) });
    costs = back;
  }
  return found;
}

/**
 * Levels that a number of entries buys, most for what matters most: the error of n levels falls as 1 / n^2. Doubles, again and
 * again, the levels that take off most a further entry. Two neighbours share a table, so each costs the other's levels.
 */
export function levelsFor(activations: readonly Sensitivity[], entries: number): ReadonlyMap<string, number> {
  const levels = new Map(activations.map((a) => [keyOf(a.layer, a.output), FEWEST]));
  const partnerOf = (a: Sensitivity): number => levels.get(keyOf(a.layer, a.output ^ 1)) ?? 1;
  let used = activations.reduce(
    (sum, a) => sum + (a.output % 2 === 0 ? FEWEST * (partnerOf(a) === 1 ? 1 : FEWEST) : 0),
    0,
  );
  for (;;) {
    let best: { a: Sensitivity; price: number; gain: number } | undefined;
    for (const a of activations) {
      const n = levels.get(keyOf(a.layer, a.output))!;
      const price = n * partnerOf(a);
      if (n >= MOST || used + price > entries) continue;
      const gain = (a.cost * 0.75) / (n * n) / price;
      if (best === undefined || gain > best.gain) best = { a, price, gain };
    }
    if (best === undefined || best.gain === 0) return levels;
    const key = keyOf(best.a.layer, best.a.output);
    levels.set(key, levels.get(key)! * 2);
    used += best.price;
  }
}

export const keyOf = (layer: number, output: number): string => `${layer} ${output}`;
