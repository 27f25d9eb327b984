import type { Grid, Grids } from './emit.ts';
import { hasGrid, type Network, type Node } from './network.ts';
import type { Spread } from './statistics.ts';

/** How the range of a value's grid follows from what was seen of it. */
export type RangeMethod = 'minmax' | 'percentile' | 'mse';

/** In the order in which `auto` tries them. */
export const rangeMethods: readonly RangeMethod[] = ['minmax', 'percentile', 'mse'];

/** Share of elements that a percentile keeps within the grid. */
const KEPT = 0.9999;

const STEPS = 255;

interface Range {
  readonly lo: number;
  readonly hi: number;
}

/** Grids of all values that have one, and of the input. */
export function chooseGrids(
  network: Network,
  spreads: ReadonlyMap<string, Spread>,
  input: Spread,
  method: RangeMethod,
): Grids {
  const values = new Map<string, Grid>();
  const inputGrid = gridOfInput(network, input, method);
  for (const node of network.nodes) {
    if (!hasGrid(network, node)) continue;
    const kept =
      node.kind === 'pool' && node.operator.endsWith('MaxPool')
        ? gridBehind(network, values, inputGrid, node)
        : undefined;
    values.set(node.output, kept ?? gridOf(rangeOf(spreads.get(node.output)!, method)));
  }
  return { input: inputGrid, values };
}

/** A maximum lies on the grid of what it is taken of. */
function gridBehind(network: Network, values: ReadonlyMap<string, Grid>, input: Grid, node: Node): Grid {
  let [value] = node.inputs as [string];
  for (;;) {
    if (value === network.input.name) return input;
    const grid = values.get(value);
    if (grid !== undefined) return grid;
    value = network.nodes.find(({ output }) => output === value)!.inputs[0]!;
  }
}

function gridOfInput({ input }: Network, spread: Spread, method: RangeMethod): Grid {
  const { element, grid, affine } = input;
  if (element !== 'float32') return { element, ...grid, scale: Math.fround(grid.scale) };
  // Bytes are taken as they are: nothing is lost.
  if (affine === undefined && spread.whole && spread.lo >= 0 && spread.hi <= 255)
    return { element: 'uint8', scale: 1, zeroPoint: 0 };
  if (affine === undefined && spread.whole && spread.lo >= -128 && spread.hi <= 127)
    return { element: 'int8', scale: 1, zeroPoint: 0 };
  return gridOf(rangeOf(spread, method));
}

/** Zero is always within, and lies on the grid: padding and ReLU need it. */
function gridOf({ lo, hi }: Range): Grid {
  const scale = Math.max(Math.fround((hi - lo) / STEPS), 2 ** -60);
  const zeroPoint = Math.max(-128, Math.min(127, Math.round(-128 - lo / scale)));
  return { element: 'int8', scale, zeroPoint };
}

/** The range that a grid is to span; zero lies within. */
export function rangeOf(spread: Spread, method: RangeMethod): Range {
  const whole = { lo: Math.min(0, spread.lo), hi: Math.max(0, spread.hi) };
  switch (method) {
    case 'minmax':
      return whole;
    case 'percentile':
      return within(whole, percentile(spread));
    case 'mse':
      return leastError(spread, whole);
  }
}

const within = (outer: Range, inner: Range): Range => ({
  lo: Math.min(0, Math.max(outer.lo, inner.lo)),
  hi: Math.max(0, Math.min(outer.hi, inner.hi)),
});

function percentile({ lo, hi, counts, total }: Spread): Range {
  const width = (hi - lo) / counts.length;
  const out = ((1 - KEPT) * total) / 2;
  const edge = (bins: Iterable<number>): number => {
    let [seen, index] = [0, 0];
    for (const n of bins) {
      seen += n;
      if (seen > out) break;
      index++;
    }
    return index * width;
  };
  return { lo: lo + edge(counts), hi: hi - edge(counts.toReversed()) };
}

/**
 * The range of least squared error: what lies within is off by a step's noise, what lies outside by its distance. Found by
 * shortening one end, then the other, in turns.
 */
function leastError({ lo, hi, counts }: Spread, whole: Range): Range {
  const width = (hi - lo) / counts.length;
  const error = (range: Range): number => {
    const noise = ((range.hi - range.lo) / STEPS) ** 2 / 12;
    let sum = 0;
    for (const [i, n] of counts.entries()) {
      if (n === 0) continue;
      const x = lo + (i + 0.5) * width;
      const outside = Math.max(0, x - range.hi, range.lo - x);
      sum += n * (outside > 0 ? outside ** 2 : noise);
    }
    return sum;
  };
  let best = whole;
  let least = error(best);
  for (let turn = 0; turn < 3; turn++)
    for (const end of ['hi', 'lo'] as const)
      for (let share = 1; share > 0.2; share -= 0.02) {
        const range = { ...best, [end]: whole[end] * share };
        const now = error(range);
        if (now < least) [best, least] = [range, now];
      }
  return best;
}
