import type { RealRange } from '../../model/real-range.ts';
import type { Activation, Quantisation } from '../builder.ts';
import { materialise, onGrid } from './materialise.ts';
import type { NodeReader } from './node-reader.ts';
import type { Real } from './values.ts';

/** uint8 over a range of reals, which always holds zero: the grid that quantisers take for it. */
export function gridOver([from, to]: RealRange): Quantisation {
  const [lo, hi] = [Math.min(0, from), Math.max(0, to)];
  const scale = Math.fround((hi - lo) / 255);
  return { element: 'uint8', scale, zeroPoint: Math.round(-lo / scale) };
}

/** What a verdict is taken of: on its own grid, or on that of the range that is named for the end. */
export function scoresOf(c: NodeReader, real: Real): Activation {
  const { outputRange } = c.builder.options;
  if (outputRange === undefined || real.term.kind === 'activation') return onGrid(c, real, 0);
  return materialise(c, real, gridOver(outputRange));
}
