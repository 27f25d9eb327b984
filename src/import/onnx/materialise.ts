import { diagnostic, refuse } from '../../diagnostics/index.ts';
import { onnxAddRounding, qdqAddRounding } from '../../model/add-fit.ts';
import {
  affineRounding,
  float32Rounding,
  pivoted,
  roundHalfEven,
  type SourceRounding,
} from '../../model/requantiser.ts';
import { elementCount, elementRange, type Interval, isWide, type TensorType } from '../../model/tensor.ts';
import { type Activation, type ModelBuilder, type Quantisation, viewed } from '../builder.ts';
import { lowerAdd } from '../lower/elementwise.ts';
import { type ElementFunctions, lowerElement, lowerElements } from '../lower/functions-of-elements.ts';
import { lowerGather } from '../lower/gather.ts';
import { type Clamp, lowerConv2d, lowerDense } from '../lower/linear.ts';
import { lowerFunctions, lowerTranspose } from '../lower/lookup.ts';
import { lowerAveragePool, lowerExtreme } from '../lower/pooling.ts';
import { lowerSoftmax, softmaxTables } from '../lower/softmax.ts';
import { averageShare, linearShares } from './float-noise.ts';
import { isSameGrid, isSameValue, movedOnGrid, onGridOf } from './moves.ts';
import type { NodeReader } from './node-reader.ts';
import { averageRounding } from './pool-rounding.ts';
import { lowerProduct } from './product.ts';
import { finestGrid, realRange } from './real-ranges.ts';
import { singleTaps } from './single-taps.ts';
import {
  type FunctionTerm,
  isFree,
  type LinearTerm,
  type Real,
  type RealClamp,
  realActivation,
  type Term,
  unclamped,
} from './values.ts';

/** Makes the layer that computes these reals and rounds them to the grid. */
export function materialise(c: NodeReader, real: Real, to: Quantisation): Activation {
  const made = lower(c, real.term, { ...to, ...clampOf(real.clamp, to) });
  return viewed(made, real.shape);
}

const partsMade = new WeakMap<Term, Map<string, Activation>>();

/** The same of what others are made of, once a grid: where each of two reads a third, layers would double with every such pair. */
function materialisePart(c: NodeReader, real: Real, to: Quantisation): Activation {
  const { min, max } = clampOf(real.clamp, to);
  const key = [to.element, to.scale, to.zeroPoint, min, max].join();
  const known = partsMade.get(real.term) ?? new Map<string, Activation>();
  partsMade.set(real.term, known);
  const made = known.get(key) ?? materialise(c, real, to);
  known.set(key, made);
  return viewed(made, real.shape);
}

/** How a quantiser of few levels rounds steps of its grid and the zero point together. Must not decrease. */
export interface LevelRounding {
  (q: number): number;
  /** What is below zero is rounded as what is above, so that no one line gives both. */
  readonly isMirrored?: boolean;
}

/** One that is the same on both sides of zero. @param of rounds sizes, of zero and above */
export const mirrored = (of: (size: number) => number): LevelRounding =>
  Object.assign((q: number) => Math.sign(q) * of(Math.abs(q)), { isMirrored: true });

/** What is behind the point is cut off. */
export const towardsZero: LevelRounding = mirrored(Math.floor);

/**
 * The same with another rounding, as quantisers of few levels have.
 *
 * @throws DiagnosticError `onnx-float-value` of what is neither a product with constants nor a function of single elements
 */
export function materialiseBy(
  c: NodeReader,
  real: Real,
  grid: Quantisation & Clamp,
  round: LevelRounding,
): Activation {
  const { scale, zeroPoint } = grid;
  // Rounding does not decrease, so that bounds may be rounded first; a source that is level within its clamp would be no line.
  const inside = (bound: number) => Math.max(grid.min, Math.min(grid.max, round(bound / scale + zeroPoint)));
  const to = { ...grid, min: inside(real.clamp.lo), max: inside(real.clamp.hi) };
  const { term } = real;
  if (term.kind === 'linear') {
    const rounding = Array.from(term.scale, (s, o) =>
      levelRounding(round, s / scale, term.offset[o]! / scale + zeroPoint),
    );
    const made = lowerLinear(c.builder, term, to, rounding);
    const [share] = linearShares(term, to, [rounding], c.builder.valuesOf(term.input), (steps) =>
      round(steps + zeroPoint),
    );
    reportShare(c.builder, term.name, share!, made.type);
    return viewed(made, real.shape);
  }
  const single =
    term.kind === 'function'
      ? term
      : {
          name: c.name,
          input: onGrid(c, { ...real, clamp: unclamped }, 0),
          of: (x: number) => x,
          channels: 1,
        };
  const { steps, channels, input } = elementSteps(single, to);
  const tables = Array.from(
    { length: channels },
    (_, o) => (acc: number) => round(Math.fround(steps(acc, o) + zeroPoint)),
  );
  return viewed(lowerFunctions(c.builder, c.name, input, to, tables), real.shape);
}

function levelRounding(round: LevelRounding, slope: number, by: number): SourceRounding {
  if (round === roundHalfEven) return affineRounding(slope, by, 0);
  const source = (acc: number) => round(acc * slope + by);
  return round.isMirrored ? pivoted(source, Math.ceil(-by / slope)) : source;
}

/** A product with constant weights as a layer. */
function lowerLinear(
  builder: ModelBuilder,
  { name, input, weights, weightBits = 8, bias, conv, rows }: LinearTerm,
  output: Quantisation & Clamp,
  rounding: readonly SourceRounding[],
): Activation {
  const spec = { name, input, weights, weightBits, bias, output, rounding };
  const made = conv === undefined ? lowerDense(builder, spec) : lowerConv2d(builder, spec, conv);
  if (conv === undefined || rows === undefined) return made;
  const [outs, , count] = made.type.shape as [number, number, number];
  return lowerTranspose(builder, `${name}_rows`, viewed(made, [outs, count]), [1, 0]);
}

/** Rounding does not decrease: clamping before it is the same as clamping by the rounded bounds behind it. */
function clampOf({ lo, hi }: RealClamp, { element, scale, zeroPoint }: Quantisation): Clamp {
  const range = elementRange(element);
  const q = (real: number) => roundHalfEven(Math.fround(real / scale)) + zeroPoint;
  const inside = (x: number) => Math.max(range.lo, Math.min(range.hi, x));
  return { min: inside(q(lo)), max: inside(q(hi)) };
}

// Long: a case a kind of term.
function lower(c: NodeReader, term: Term, to: Quantisation & Clamp): Activation {
  const { builder } = c;
  switch (term.kind) {
    case 'activation': {
      const { activation: input } = term;
      return lowerElements(builder, elementSteps({ name: c.name, input, of: (x) => x, channels: 1 }, to), to);
    }
    case 'linear': {
      const single = singleTaps(builder, term, to);
      const whole = wholeRounding(single.term, to, builder.valuesOf(term.input));
      const rounding = whole.rounding.map((source, o) => single.roundings.get(o) ?? source);
      const share = single.roundings.size < term.bias.length ? whole.share : single.share;
      const made = lowerLinear(builder, single.term, to, rounding);
      const { name } = term;
      if (term.unrounded !== undefined) {
        const percent = (100 * share).toPrecision(2);
        builder.diagnostics.push(diagnostic('blocks-rounded', { percent }, builder.place(name)));
      } else if (!term.fused) reportShare(builder, name, share, made.type);
      return made;
    }
    case 'average': {
      const made = lowerAveragePool(builder, { ...term, output: to, rounding: averageRounding(term, to) });
      const layer = builder.layer(made.value);
      if (!term.fused && layer?.kind === 'averagePool') {
        const { divisors, requantiser } = layer;
        const share = averageShare({ ...term, divisors }, to, requantiser, builder.valuesOf(term.input));
        reportShare(builder, term.name, share, made.type);
      }
      return made;
    }
    case 'sum': {
      const [a, b] = [term.a.type, term.b.type];
      const scales = [a.scale, b.scale, to.scale] as const;
      const rounding = term.fused
        ? onnxAddRounding(scales, [a.zeroPoint, b.zeroPoint, to.zeroPoint])
        : qdqAddRounding(scales, to.zeroPoint);
      if (isSameValue(term.a, term.b) && !isWide(a.element) && !isWide(to.element)) {
        const apart = a.zeroPoint - b.zeroPoint;
        return lowerElement(builder, term.name, term.a, to, (acc) => rounding(acc, acc + apart));
      }
      return lowerAdd(builder, { ...term, output: to, rounding });
    }
    case 'product':
      return lowerProduct(builder, term, to);
    case 'softmax': {
      if (term.log)
        return refuse(
          'onnx-attribute',
          { attribute: 'operator', value: 'LogSoftmax', supported: 'Softmax, or LogSoftmax as the last' },
          builder.place(term.name),
        );
      const tables = softmaxTables(term.input.type.scale, to.scale, term.size);
      return lowerSoftmax(builder, term.name, term.input, to, term.size, tables);
    }
    case 'moved': {
      const parts = term.of.map((of) => partOnGrid(c, of, to));
      const fill = Math.max(to.min, Math.min(to.max, onGridOf(term.fill, to)));
      return lowerGather(builder, term.name, parts, term.shape, term.sources, fill);
    }
    case 'function':
      return lowerElements(builder, elementSteps(term, to), to);
    case 'maximum': {
      const of = materialisePart(c, term.of, to);
      const pooled = lowerExtreme(builder, term.name, of, term.window, term.least === true);
      return within(builder, `${term.name}_clamp`, pooled, to);
    }
  }
}

/** DequantizeLinear, the function, QuantizeLinear: each in float32. */
function elementSteps(
  { name, input, of, channels }: Omit<FunctionTerm, 'kind'>,
  { scale, zeroPoint }: Quantisation,
): ElementFunctions {
  const f = Math.fround;
  const steps = (acc: number, channel: number) => f(of(f(acc * input.type.scale), channel) / scale);
  return { name, input, steps, channels, zeroPoint };
}

/** From how many values an inference on that may differ there is a warning, and from how many a note. */
const WARNED_NUMBER = 1e-2;
const NOTED_NUMBER = 1e-5;
/** A share of the values that is warned of however few they are. */
const WARNED_SHARE = 1e-4;

function reportShare(
  builder: ModelBuilder,
  name: string,
  share: number,
  { shape, element }: TensorType,
): void {
  const elements = elementCount(shape);
  const number = share * elements;
  if (number < NOTED_NUMBER) return;
  const place = builder.place(name);
  const told =
    share >= WARNED_SHARE || number >= WARNED_NUMBER
      ? diagnostic('float-sums', { percent: (100 * share).toPrecision(2), wide: isWide(element) }, place)
      : diagnostic('float-sums-rare', { values: 1 / share }, place);
  builder.diagnostics.push(told);
}

/**
 * Sums of float32 have no order of their own: the source's is taken for the exact sum. Whether one that all but lies on a tie
 * is better taken for the tie depends on the scales; the way that differs less often is taken.
 */
function wholeRounding(
  term: LinearTerm,
  to: Quantisation & Clamp,
  values: Interval,
): { readonly rounding: readonly SourceRounding[]; readonly share: number } {
  const { scale, offset, fused } = term;
  const of = (make: (scale: number, offset: number) => SourceRounding): SourceRounding[] =>
    Array.from(scale, (s, o) => make(s / to.scale, offset[o]! / to.scale));
  if (fused) return { rounding: of((s) => float32Rounding(Math.fround(s), to.zeroPoint)), share: 0 };
  const roundings = [
    of((s, by) => affineRounding(s, by, to.zeroPoint)),
    of((s, by) => (acc) => roundHalfEven(acc * s + by) + to.zeroPoint),
  ];
  const shares = linearShares(term, to, roundings, values);
  const candidates = roundings.map((rounding, i) => ({ rounding, share: shares[i]! }));
  const [ties, plain] = candidates as [(typeof candidates)[0], (typeof candidates)[0]];
  return plain.share < ties.share / 2 ? plain : ties;
}

/** A part as the grid of the whole has it, which may be its own. */
function partOnGrid(c: NodeReader, of: Real, to: Quantisation & Clamp): Activation {
  const { term } = of;
  const isThere = term.kind === 'activation' && isFree(of.clamp) && isSameGrid(term.activation.type, to);
  const part = isThere ? viewed(term.activation, of.shape) : materialisePart(c, of, to);
  return within(c.builder, c.name, part, to);
}

/** The values clamped, where the element has others. */
function within(builder: ModelBuilder, name: string, a: Activation, to: Quantisation & Clamp): Activation {
  const { lo, hi } = elementRange(to.element);
  return to.min > lo || to.max < hi ? builder.clamped(name, a, to.min, to.max) : a;
}

/** But for what float32 makes of it. */
const isWhole = (q: number): boolean => Math.abs(q - Math.round(q)) <= 1e-4 * Math.max(1, Math.abs(q));

/**
 * Reals that the source does not round here, on a grid that holds all of them.
 *
 * @throws DiagnosticError `onnx-float-value` of products with weights, whose range is not known
 */
function onInnerGrid(c: NodeReader, real: Real, input: number, name: string): Activation {
  const range = realRange(real);
  if (range === undefined)
    return c.refuseFloat(input, `there is no QuantizeLinear between "${name}" and this operator`);
  const grid = finestGrid(range);
  const { builder } = c;
  const args = { tensor: c.tensor(input), element: grid.element, scale: grid.scale };
  builder.diagnostics.push(diagnostic('onnx-inner-grid', args, builder.place(name)));
  return materialise(c, real, grid);
}

/**
 * The reals as an activation without another rounding: only those that already lie on a grid can be. A clamp keeps
 * them there if its bounds lie on it too.
 *
 * @throws DiagnosticError `onnx-float-value`
 */
export function onGrid(c: NodeReader, real: Real, input: number): Activation {
  const { term, clamp, shape } = real;
  if (term.kind === 'moved' && isFree(clamp)) {
    const parts = term.of.map((of) => realActivation(onGrid(c, of, input)));
    const moved = movedOnGrid(c, { ...term, of: parts });
    if (moved !== undefined) return viewed(moved, shape);
  }
  if (term.kind !== 'activation') return onInnerGrid(c, real, input, term.name);
  const { type } = term.activation;
  const activation = viewed(term.activation, shape);
  if (isFree(clamp)) return activation;
  const range = elementRange(type.element);
  const inside = (bound: number) =>
    Math.max(range.lo, Math.min(range.hi, bound / type.scale + type.zeroPoint));
  const [lo, hi] = [inside(clamp.lo), inside(clamp.hi)];
  if (![lo, hi].every(isWhole)) return onInnerGrid(c, real, input, c.name);
  const made = c.builder.clamped(c.name, activation, Math.round(lo), Math.round(hi));
  c.builder.record(made.value, { name: c.tensor(input), type: made.type, real: true });
  return made;
}
