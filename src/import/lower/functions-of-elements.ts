import { diagnostic } from '../../diagnostics/index.ts';
import {
  affineRounding,
  canBeExact,
  nearTie,
  type Requantiser,
  requantise,
  roundHalfEven,
  type SourceRounding,
  tiesToEven,
} from '../../model/requantiser.ts';
import { elementCount, elementRange, type Interval, isWide } from '../../model/tensor.ts';
import { type Activation, type ModelBuilder, type Quantisation, viewed } from '../builder.ts';
import { lowerRequantise } from './elementwise.ts';
import { type Clamp, lowerConv2d } from './linear.ts';
import { lowerFunction, lowerFunctions, requireBytes } from './lookup.ts';

/** 256 KiB of tables: beyond that lines are worth being off by one here and there. */
const MOST_TABLES = 512;

/** Functions of one element, which become tables. */
export interface ElementFunctions {
  readonly name: string;
  readonly input: Activation;
  /** From `q - zeroPoint` of the input, in steps of the output, not yet rounded. */
  readonly steps: (acc: number, channel: number) => number;
  /** The elements are dealt out to so many functions in equal runs. */
  readonly channels: number;
  /** Added behind the rounding. */
  readonly zeroPoint: number;
}

/**
 * Functions of single elements between two grids, exactly as the source rounds them: a line where one gives all 256
 * values, else a table. Several functions become a convolution of one tap, which has a line for each channel; where some
 * function has none, there is a table for each, and for more of them than `MOST_TABLES` the nearest lines, with a warning.
 */
export function lowerElements(
  builder: ModelBuilder,
  given: ElementFunctions,
  to: Quantisation & Clamp,
): Activation {
  const functions = defined(builder, given);
  const { name, input, steps, channels, zeroPoint } = functions;
  if (isWide(input.type.element) || isWide(to.element)) return lowerWide(builder, functions, to);
  const range = centred(input);
  if (channels === 1)
    return lowerElement(
      builder,
      name,
      input,
      to,
      tiesToEven((acc) => steps(acc, 0), zeroPoint),
    );
  const signs = Array.from({ length: channels }, (_, o) =>
    steps(range.lo, o) <= steps(range.hi, o) ? 1 : -1,
  );
  const tables = () =>
    lowerFunctions(
      builder,
      name,
      input,
      to,
      signs.map((_, o) => tiesToEven((acc) => steps(acc, o), zeroPoint)),
    );
  const hasTables = channels <= MOST_TABLES;
  const sources: SourceRounding[] = [];
  for (const [o, sign] of signs.entries()) {
    const real = (acc: number) => steps(sign * acc, o);
    const over = turned(range, sign);
    // One channel without a line is enough for tables.
    if (hasTables && !rises(tiesToEven(real, zeroPoint), over, to)) return tables();
    const source = lineSource(builder, real, zeroPoint, over, to);
    if (hasTables && !canBeExact(source, over, to.min, to.max)) return tables();
    sources.push(source);
  }
  const rounding = countedLines(builder, functions, { sources, signs }, range, to);
  if (hasTables && rounding.exactness.accumulators > 0) return tables();
  return lowerScaledChannels(builder, functions, signs, rounding, to);
}

/** Whether it never falls between the ends of the clamp. */
function rises(source: SourceRounding, { lo, hi }: Interval, { min, max }: Clamp): boolean {
  let last = min;
  for (let acc = lo; acc <= hi; acc++) {
    const q = Math.max(min, Math.min(max, source(acc)));
    if (q < last) return false;
    last = q;
  }
  return true;
}

/** A line a channel: a convolution of one tap. */
function lowerScaledChannels(
  builder: ModelBuilder,
  { name, input, channels }: ElementFunctions,
  signs: readonly number[],
  rounding: Requantiser,
  to: Quantisation & Clamp,
): Activation {
  return lowerConv2d(
    builder,
    {
      name,
      input: viewed(input, [channels, elementCount(input.type.shape) / channels, 1]),
      weights: Int16Array.from(signs),
      bias: new Float64Array(channels),
      output: to,
      rounding,
    },
    { kernel: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], groups: channels },
  );
}

/** What is not a number, such as a root of a negative one, is the least value, with a warning: as runtimes' vector kernels have it. */
function defined(builder: ModelBuilder, functions: ElementFunctions): ElementFunctions {
  const { name, input, steps, channels } = functions;
  const { lo, hi } = centred(input);
  let values = 0;
  for (let acc = lo; acc <= hi; acc++)
    for (let o = 0; o < channels; o++) if (Number.isNaN(steps(acc, o))) values++;
  if (values === 0) return functions;
  const total = (hi - lo + 1) * channels;
  builder.diagnostics.push(diagnostic('not-a-number', { values, total }, builder.place(name)));
  return {
    ...functions,
    steps: (acc, channel) => {
      const at = steps(acc, channel);
      return Number.isNaN(at) ? Number.NEGATIVE_INFINITY : at;
    },
  };
}

/** One function for all elements, from `q - zeroPoint` of the input to q before the clamp: a line where one is exact, else a table. */
export function lowerElement(
  builder: ModelBuilder,
  name: string,
  input: Activation,
  to: Quantisation & Clamp,
  source: SourceRounding,
): Activation {
  const line = exactLine(builder, source, centred(input), to);
  if (line !== undefined) return lowerRequantise(builder, name, input, to, line);
  return lowerFunction(builder, name, input, to, source);
}

/**
 * Where tables are too large, of 16 bits: functions that are lines but for what float32 makes of them, each given by its ends. What
 * such a line misses of the source is counted.
 *
 * @throws DiagnosticError `wide-activation` of any other function
 */
function lowerWide(builder: ModelBuilder, functions: ElementFunctions, to: Quantisation & Clamp): Activation {
  const { name, input, steps, channels, zeroPoint } = functions;
  const range = centred(input);
  const lines = Array.from({ length: channels }, (_, o) => lineOf((acc) => steps(acc, o), range));
  const straight = lines.filter((line) => line !== undefined);
  if (straight.length < channels || (channels === 1 && straight[0]!.slope < 0))
    requireBytes(builder, name, [input.type.element, to.element], 'a function');
  const sources = straight.map(({ slope, by }) => affineRounding(Math.abs(slope), by, zeroPoint));
  const signs = straight.map(({ slope }) => (slope < 0 ? -1 : 1));
  const rounding = countedLines(builder, functions, { sources, signs }, range, to);
  return channels === 1
    ? lowerRequantise(builder, name, input, to, rounding)
    : lowerScaledChannels(builder, functions, signs, rounding, to);
}

/** The line through both ends, if no value is further from it than the noise of float32. */
function lineOf(
  real: (acc: number) => number,
  { lo, hi }: Interval,
): { readonly slope: number; readonly by: number } | undefined {
  const slope = (real(hi) - real(lo)) / (hi - lo);
  const by = real(lo) - slope * lo;
  const noise = 2 ** -20 * Math.max(Math.abs(real(lo)), Math.abs(real(hi)), 1);
  for (let acc = lo; acc <= hi; acc++)
    if (!(Math.abs(real(acc) - (acc * slope + by)) <= noise)) return undefined;
  return { slope, by };
}

/** A range of the accumulator `sign * (q - zeroPoint)`. */
const turned = (range: Interval, sign: number): Interval =>
  sign > 0 ? range : { lo: -range.hi, hi: -range.lo };

/** Fits the sources, one a channel, and counts what the integers miss of the functions. */
function countedLines(
  builder: ModelBuilder,
  { steps, zeroPoint }: ElementFunctions,
  { sources, signs }: { readonly sources: readonly SourceRounding[]; readonly signs: readonly number[] },
  range: Interval,
  { min, max }: Clamp,
): Requantiser {
  const rising = signs.map((sign, o) => (acc: number) => steps(sign * acc, o));
  const ranges = signs.map((sign) => turned(range, sign));
  const fitted = builder.fit(sources, ranges, min, max);
  let accumulators = 0;
  let channels = 0;
  let total = 0;
  for (const [o, { lo, hi }] of ranges.entries()) {
    const before = accumulators;
    for (let acc = lo; acc <= hi; acc++) {
      const q = roundHalfEven(rising[o]!(acc)) + zeroPoint;
      if (Math.max(min, Math.min(max, q)) !== requantise(fitted, o, acc)) accumulators++;
    }
    if (accumulators > before) channels++;
    total += hi - lo + 1;
  }
  return { ...fitted, exactness: { channels, accumulators, total } };
}

/** The source itself if a line gives it; else with what float32 leaves next to a tie taken for one. */
export function lineSource(
  builder: Pick<ModelBuilder, 'fit'>,
  real: (acc: number) => number,
  zeroPoint: number,
  range: Interval,
  { min, max }: Clamp,
): SourceRounding {
  const exact = tiesToEven(real, zeroPoint);
  if (
    canBeExact(exact, range, min, max) &&
    builder.fit([exact], [range], min, max).exactness.accumulators === 0
  )
    return exact;
  return tiesToEven((acc) => nearTie(real(acc)), zeroPoint);
}

/** Integers of a line that gives the source's value everywhere, if there is one. */
function exactLine(
  builder: ModelBuilder,
  source: SourceRounding,
  range: Interval,
  { min, max }: Clamp,
): Requantiser | undefined {
  for (let acc = range.lo + 1; acc <= range.hi; acc++)
    if (!(source(acc) >= source(acc - 1))) return undefined;
  if (!canBeExact(source, range, min, max)) return undefined;
  const line = builder.fit([source], [range], min, max);
  return line.exactness.accumulators === 0 ? line : undefined;
}

/** q-values less their zero point. */
const centred = ({ type }: Activation): Interval => {
  const { lo, hi } = elementRange(type.element);
  return { lo: lo - type.zeroPoint, hi: hi - type.zeroPoint };
};
