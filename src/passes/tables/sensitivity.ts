import type { Linear } from './linear.ts';

/** One activation between layers, by what its error does. */
export interface Sensitivity {
  readonly layer: number;
  readonly output: number;
  /** Mean square error at the end of the network, in steps of the outputs, of a mean square error of one here. */
  readonly cost: number;
}

/** Mean square error of an activation on the rows that so many levels leave. */
export type LevelError = (layer: number, output: number, levels: number) => number;

/** Levels that an activation may have: from what a window needs to one for each step of eight bits. */
const LADDER = [4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256] as const;
const FEWEST = LADDER[0];

/**
 * What the error of each activation costs: the squares of the weights that it meets, times what those outputs cost, back from
 * the end.
 * @param layers of sums in order, each with what reads the outputs of the one before it
 */
export function sensitivities(
  layers: readonly { readonly layer: number; readonly linear: Linear }[],
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
    for (const [output, cost] of back.entries()) found.push({ layer, output, cost });
    costs = back;
  }
  return found;
}

/**
 * Levels that a number of entries buys, most for what matters most: raises, again and again, the levels that take off most error
 * a further entry.
 * @param share of the activations of a layer that share a table by twos, those that matter least: each costs the other's levels
 */
export function levelsFor(
  activations: readonly Sensitivity[],
  entries: number,
  error: LevelError,
  share: (layer: number) => number,
): ReadonlyMap<string, number> {
  const rungs = new Map(activations.map((a) => [keyOf(a.layer, a.output), 0]));
  const levelsOf = (key: string): number => LADDER[rungs.get(key)!]!;
  const partners = partnersOf(activations, error, share);
  let used = (activations.length - partners.size) * FEWEST + (partners.size / 2) * FEWEST * FEWEST;
  for (;;) {
    let best: { key: string; price: number; gain: number } | undefined;
    for (const { layer, output, cost } of activations) {
      const key = keyOf(layer, output);
      const partner = partners.get(key);
      const [n, more] = [levelsOf(key), LADDER[rungs.get(key)! + 1]];
      if (more === undefined) continue;
      const price = (more - n) * (partner === undefined ? 1 : levelsOf(partner));
      const gain = (cost * (error(layer, output, n) - error(layer, output, more))) / price;
      if (used + price <= entries && (best === undefined || gain > best.gain)) best = { key, price, gain };
    }
    if (best === undefined) return new Map([...rungs.keys()].map((key) => [key, levelsOf(key)]));
    rungs.set(best.key, rungs.get(best.key)! + 1);
    used += best.price;
  }
}

/** Who shares a table with whom: the first two of those that matter least in their layer, then the next two. */
function partnersOf(
  activations: readonly Sensitivity[],
  error: LevelError,
  share: (layer: number) => number,
): ReadonlyMap<string, string> {
  const harm = ({ layer, output, cost }: Sensitivity) => cost * error(layer, output, FEWEST);
  const partners = new Map<string, string>();
  for (const layer of new Set(activations.map((a) => a.layer))) {
    const least = activations.filter((a) => a.layer === layer).sort((a, b) => harm(a) - harm(b));
    const keys = least.map((a) => keyOf(a.layer, a.output));
    for (let i = 0; i + 1 < 2 * Math.floor((keys.length * share(layer)) / 2); i += 2) {
      partners.set(keys[i]!, keys[i + 1]!);
      partners.set(keys[i + 1]!, keys[i]!);
    }
  }
  return partners;
}

/** An activation as the keys of the maps here have it. */
export const keyOf = (layer: number, output: number): string => `${layer} ${output}`;
