import { type ByKind, ofKind } from '../model/by-kind.ts';
import { inputType, type Layer, type Model, type ValueId, valueType } from '../model/model.ts';
import { accumulatorRanges, embeddingRange, productRange } from '../model/ranges.ts';
import { type Requantiser, requantise } from '../model/requantiser.ts';
import { elementRange, type Interval, isWide } from '../model/tensor.ts';

/** The q-values `least + step * k`, k from 0 up to but not `count`. */
export interface Levels {
  readonly least: number;
  readonly step: number;
  readonly count: number;
}

/**
 * Levels that hold every element of a value, whatever is sent: those of its type for what comes off the wire, fewer behind a
 * clamp, two behind a sign.
 * @param first the program's first value, which was made elsewhere
 */
export function valueLevels(model: Model, value: ValueId, first: ValueId): Levels {
  // A value that many layers read is looked at once, and only where its own levels say something of what follows.
  const known = new Map<ValueId, Levels>();
  const of = (v: ValueId): Levels => {
    const { element } = valueType(model, v);
    if (v <= first || isWide(element)) return between(elementRange(element));
    const layer = model.layers[v - 1]!;
    const levels = known.get(v) ?? ofKind(levelsOf, layer, model, () => layer.inputs.map(of));
    known.set(v, levels);
    return levels;
  };
  return of(value);
}

/** The q-values of levels. */
export const levelValues = ({ least, step, count }: Levels): number[] =>
  Array.from({ length: count }, (_, k) => least + step * k);

/** Whether all of `inner` are among `outer`. */
export const holdsLevels = (outer: Levels, inner: Levels): boolean =>
  levelValues(inner).every(
    (q) =>
      (q - outer.least) % outer.step === 0 &&
      q >= outer.least &&
      (q - outer.least) / outer.step < outer.count,
  );

const between = ({ lo, hi }: Interval): Levels => ({ least: lo, step: 1, count: hi - lo + 1 });

/** The fewest levels that hold these values. */
function levelsAmong(values: readonly number[]): Levels {
  const [least = 0, ...others] = [...new Set(values)].sort((a, b) => a - b);
  const step = others.reduce((gcd, q) => greatestDivisor(gcd, q - least), 0) || 1;
  return { least, step, count: ((others.at(-1) ?? least) - least) / step + 1 };
}

const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));

/** Two where no accumulator of any channel gives a value between the ends, else all from one end to the other. */
function requantised(r: Requantiser, ranges: readonly Interval[]): Levels {
  const isStep = ranges.every(({ lo, hi }, c) => {
    const ends = [requantise(r, c, lo), requantise(r, c, hi)];
    if (ends.some((q) => q !== r.min && q !== r.max)) return false;
    // The last accumulator of the lower end: the next one has to give the upper.
    let [low, high] = [lo, hi];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (requantise(r, c, middle) === ends[0]) low = middle;
      else high = middle;
    }
    return ends[0] === ends[1] || requantise(r, c, high) === r.max;
  });
  return isStep ? levelsAmong([r.min, r.max]) : between({ lo: r.min, hi: r.max });
}

const ofType = (layer: Layer): Levels => between(elementRange(layer.output.element));

type Inputs = () => readonly Levels[];

const same = (_layer: unknown, _model: Model, inputs: Inputs): Levels => inputs()[0]!;

const product = (
  layer: Layer & {
    readonly weights: Int16Array;
    readonly bias: ArrayLike<number>;
    readonly requantiser: Requantiser;
  },
  model: Model,
) => requantised(layer.requantiser, accumulatorRanges(layer, inputType(model, layer)));

const levelsOf = {
  dense: product,
  conv2d: product,
  averagePool: ({ requantiser: { min, max } }) => between({ lo: min, hi: max }),
  embedding: (layer) => requantised(layer.requantiser, [embeddingRange(layer)]),
  requantise(layer, model) {
    const { element, zeroPoint } = inputType(model, layer);
    const { lo, hi } = elementRange(element);
    return requantised(layer.requantiser, [{ lo: lo - zeroPoint, hi: hi - zeroPoint }]);
  },
  mul(layer, model) {
    const [a, b] = layer.inputs.map((v) => valueType(model, v));
    return requantised(layer.requantiser, [productRange(a!, b!)]);
  },
  add: ({ min, max }) => between({ lo: min, hi: max }),
  lut(layer, model, inputs) {
    const { lo } = elementRange(inputType(model, layer).element);
    const tables = Array.from({ length: layer.table.length / 256 }, (_, t) => 256 * t - lo);
    return levelsAmong(levelValues(inputs()[0]!).flatMap((q) => tables.map((at) => layer.table[at + q]!)));
  },
  maxPool: same,
  transpose: same,
  gather: (layer, _model, inputs) =>
    levelsAmong([
      ...inputs().flatMap(levelValues),
      ...(layer.sources.some((s) => s < 0) ? [layer.value] : []),
    ]),
  pad: ({ value }, _model, inputs) => levelsAmong([...inputs().flatMap(levelValues), value]),
  softmax: ofType,
  argmax: ofType,
  forest: ofType,
} satisfies ByKind<Levels, [model: Model, inputs: Inputs]>;
