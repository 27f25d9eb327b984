import type { RealRange } from '../../model/real-range.ts';
import { elementRange, type TensorType } from '../../model/tensor.ts';
import type { Quantisation } from '../builder.ts';
import type { FunctionTerm, Real, Term } from './values.ts';

/**
 * All reals that a value can be, where that follows from the grids of what it is computed from; always with zero. Of products
 * with weights `undefined`: the range of all inputs is far wider than what comes.
 */
export function realRange({ term, clamp }: Real): RealRange | undefined {
  const ends = endsOf(term);
  if (ends === undefined) return undefined;
  const inside = (x: number) => Math.max(clamp.lo, Math.min(clamp.hi, x));
  const finite = ends.map(inside).filter(Number.isFinite);
  return finite.reduce<RealRange>(([lo, hi], x) => [Math.min(lo, x), Math.max(hi, x)], [0, 0]);
}

/** uint8 over a range that holds zero, as fine as 8 bits make it. */
export function finestGrid([lo, hi]: RealRange): Quantisation {
  // Shares of one are common: the same grid for all of them.
  const [from, to] = lo >= 0 && hi <= 1 ? [0, 1] : [lo, Math.max(hi, lo + 2 ** -100)];
  const scale = Math.fround((to - from) / 255);
  return { element: 'uint8', scale, zeroPoint: from === 0 ? 0 : Math.round(-from / scale) };
}

/** Values of which one is the least and one the largest. */
function endsOf(term: Term): readonly number[] | undefined {
  switch (term.kind) {
    case 'activation':
      return gridEnds(term.activation.type);
    case 'function':
      return functionValues(term);
    case 'average': {
      const count = term.sum ? term.window.kernel[0] * term.window.kernel[1] : 1;
      return gridEnds(term.input.type).map((x) => x * count);
    }
    case 'sum':
      return gridEnds(term.a.type).flatMap((x) => gridEnds(term.b.type).map((y) => x + y));
    case 'product':
      return gridEnds(term.a.type).flatMap((x) => gridEnds(term.b.type).map((y) => x * y));
    case 'softmax':
      return term.log ? undefined : [0, 1];
    case 'maximum':
      return realRange(term.of);
    case 'moved': {
      const parts = term.of.map(realRange);
      return parts.every((part) => part !== undefined) ? [...parts.flat(), term.fill] : undefined;
    }
    case 'linear':
      return undefined;
  }
}

const gridEnds = ({ element, scale, zeroPoint }: TensorType): number[] => {
  const { lo, hi } = elementRange(element);
  return [(lo - zeroPoint) * scale, (hi - zeroPoint) * scale];
};

function functionValues({ input, of, channels }: FunctionTerm): number[] {
  const { element, scale, zeroPoint } = input.type;
  const { lo, hi } = elementRange(element);
  const reals = Array.from({ length: hi - lo + 1 }, (_, i) => Math.fround((lo + i - zeroPoint) * scale));
  return Array.from({ length: channels }, (_, channel) =>
    reals.map((x) => Math.fround(of(x, channel))),
  ).flat();
}
