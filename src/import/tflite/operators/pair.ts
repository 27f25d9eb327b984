import { elementCount, elementRange, isWide } from '../../../model/tensor.ts';
import { tfliteAddRounding } from '../../../model/tflite-add.ts';
import { byMultiplier, quantizeMultiplier } from '../../../model/tflite-rounding.ts';
import { type Quantisation, sameShape, viewed } from '../../builder.ts';
import { lowerAdd } from '../../lower/elementwise.ts';
import { boundedCount, broadcastSources, lowerGather } from '../../lower/gather.ts';
import type { Clamp } from '../../lower/linear.ts';
import { lowerFunction, lowerFunctions } from '../../lower/lookup.ts';
import { lowerExtreme } from '../../lower/pooling.ts';
import { lowerMul } from '../../lower/product.ts';
import { aligned, asImage, asSource, fromImage, likewise, reshapedTo } from '../layout.ts';
import { gathered } from '../movement.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Quantised } from '../values.ts';

/** Tables of a vector that may differ by element: of 256 bytes each. */
export const MOST_TABLES = 4096;

type PairFunction = (a: number, b: number) => number;

const withoutOnes = (shape: readonly number[]): readonly number[] => {
  const first = shape.findIndex((size) => size !== 1);
  return first < 0 ? [] : shape.slice(first);
};

const sameElements = (a: readonly number[], b: readonly number[]): boolean =>
  sameShape(withoutOnes(a), withoutOnes(b));

/** Shape of both, matched from the last axis, sizes of 1 repeated. @throws DiagnosticError if they do not fit */
function broadcastShape(c: NodeReader, a: readonly number[], b: readonly number[]): readonly number[] {
  const rank = Math.max(a.length, b.length);
  const [first, second] = [a, b].map((s) => [...Array<number>(rank - s.length).fill(1), ...s]) as [
    number[],
    number[],
  ];
  if (first.some((size, i) => size !== second[i] && size !== 1 && second[i] !== 1))
    return c.refuseShape(
      'two shapes of which one is repeated along sizes of 1',
      `[${a.join(', ')}] and [${b.join(', ')}]`,
    );
  return first.map((size, i) => (size === 1 ? second[i]! : size));
}

/** A value repeated along its axes of size 1. */
function spread(c: NodeReader, q: Quantised, shape: readonly number[]): Quantised {
  if (sameElements(q.shape, shape)) return reshapedTo(q, shape);
  boundedCount(shape, elementCount(q.shape));
  return gathered(c, [q], broadcastSources(q.shape, shape));
}

/**
 * An operator of two operands, one of them a constant: a table for each of its numbers.
 *
 * @param f q of the output, from the operands less their zero points, the input's first
 */
function withConstant(
  c: NodeReader,
  given: Quantised,
  constant: ReturnType<NodeReader['constant']>,
  output: Quantisation & Clamp,
  f: PairFunction,
): Quantised {
  const own = withoutOnes(constant.shape);
  const shape = broadcastShape(c, given.shape, own);
  const input = sameElements(given.shape, shape) ? given : spread(c, given, shape);
  const { values } = constant;
  const functions = (of: ArrayLike<number>) => Array.from(of, (k) => (x: number) => f(x, k));
  if (values.every((v) => v === values[0]))
    return likewise(
      input,
      lowerFunctions(c.builder, c.name, input.activation, output, functions([values[0]!])),
    );
  const channels = input.shape.at(-1)!;
  const isVector = elementCount(input.shape) === channels;
  if (own.length === 1 && own[0] === channels && !isVector) {
    const image =
      asImage(c.builder, c.name, input) ?? c.refuseShape('[height, width, channels]', input.shape);
    const made = fromImage(lowerFunctions(c.builder, c.name, image, output, functions(values)));
    return { ...made, shape: input.shape };
  }
  if (elementCount(shape) > MOST_TABLES)
    return c.refuseShape(
      `a constant of one number, one a channel, or beside up to ${MOST_TABLES} elements`,
      constant.shape,
    );
  const all = broadcastSources(own, shape).sources;
  const source = asSource(c.builder, c.name, input);
  const each = functions(Array.from(all, (from) => values[from]!));
  return { ...input, activation: lowerFunctions(c.builder, c.name, source, output, each), order: 'source' };
}

type Make = (a: Quantised['activation'], b: Quantised['activation']) => Quantised['activation'];

/** Two computed operands: of one shape, or one of them repeated until it has the other's. */
function bothComputed(c: NodeReader, make: Make): Quantised {
  const [first, second] = [c.activation(0), c.activation(1)];
  const shape = broadcastShape(c, first.shape, second.shape);
  const isSame = sameElements(first.shape, second.shape);
  const made = isSame ? undefined : byChannel(c, first, second, shape, make);
  if (made !== undefined) return made;
  const [a, b] = bothSpread(c, first, second, shape);
  return likewise(a, make(a.activation, b.activation));
}

/** Both of the shape, and in one order. */
const bothSpread = (c: NodeReader, a: Quantised, b: Quantised, shape: readonly number[]) =>
  aligned(c.builder, c.name, spread(c, a, shape), spread(c, b, shape));

/** Of an image and one element a channel, which layers of two operands repeat themselves. */
function byChannel(
  c: NodeReader,
  first: Quantised,
  second: Quantised,
  shape: readonly number[],
  make: Make,
): Quantised | undefined {
  const isWhole = (q: Quantised) => sameElements(q.shape, shape);
  const isVector = (q: Quantised) => sameElements(q.shape, [shape.at(-1)!]) && shape.at(-1)! > 1;
  if (!(isWhole(first) && isVector(second)) && !(isVector(first) && isWhole(second))) return undefined;
  const image = (q: Quantised) =>
    asImage(c.builder, c.name, { ...q, shape: q.shape.length === 1 ? [1, ...q.shape] : q.shape });
  const [a, b] = [image(first), image(second)];
  return a === undefined || b === undefined ? undefined : { ...fromImage(make(a, b)), shape };
}

/** Either way round; `f` takes the operands in the order of the operator. */
function pair(c: NodeReader, output: Quantisation & Clamp, f: PairFunction, make: Make): Quantised {
  if (c.isConstant(1)) return withConstant(c, c.activation(0), c.constant(1), output, f);
  if (c.isConstant(0)) return withConstant(c, c.activation(1), c.constant(0), output, (x, k) => f(k, x));
  return bothComputed(c, make);
}

/** Grid of an operand, computed or constant. */
const gridOf = (c: NodeReader, index: number): Quantisation =>
  c.isConstant(index) ? c.constant(index).grid : c.activation(index).activation.type;

/** Options: activation. */
export function add(c: NodeReader): Quantised {
  const output = c.fusedOutput(0);
  const scales = [gridOf(c, 0).scale, gridOf(c, 1).scale, output.scale] as const;
  const width = isWide(output.element) ? 'wide' : 'narrow';
  const rounding = tfliteAddRounding(scales, output.zeroPoint, c.rounding, 1, width);
  return pair(c, output, rounding, (a, b) => lowerAdd(c.builder, { name: c.name, a, b, output, rounding }));
}

/** Options: activation. The second operand is turned round first, which 8 bits can; its rounding stays that of its own sign. */
export function sub(c: NodeReader): Quantised {
  const output = c.fusedOutput(0);
  const scales = [gridOf(c, 0).scale, gridOf(c, 1).scale, output.scale] as const;
  const rounding = tfliteAddRounding(scales, output.zeroPoint, c.rounding, -1);
  const negated = Object.assign((a: number, b: number) => rounding(a, -b), { fine: true } as const);
  return pair(c, output, rounding, (a, second) => {
    const { element, scale, zeroPoint } = second.type;
    const { lo, hi } = elementRange(element);
    const turned = { element, scale, zeroPoint: lo + hi - zeroPoint, min: lo, max: hi };
    const b = lowerFunction(c.builder, `${c.name}_negated`, second, turned, (q) => turned.zeroPoint - q);
    return lowerAdd(c.builder, { name: c.name, a, b, output, rounding: negated });
  });
}

/** Products of scales are doubles in TFLite Micro, and float32 in TensorFlow's kernels. */
function ratio(c: NodeReader, a: number, b: number, output: number): number {
  return c.rounding === 'double' ? (a * b) / output : Math.fround(Math.fround(a * b) / output);
}

/** Options: activation. */
export function mul(c: NodeReader): Quantised {
  const output = c.fusedOutput(0);
  const multiplier = quantizeMultiplier(ratio(c, gridOf(c, 0).scale, gridOf(c, 1).scale, output.scale));
  const rounding = byMultiplier(multiplier, output.zeroPoint, c.rounding);
  return pair(
    c,
    output,
    (a, b) => rounding(a * b),
    (a, b) => lowerMul(c.builder, { name: c.name, a, b, output, rounding }),
  );
}

/** Of q-values, all on one grid. */
const extremum =
  (most: PairFunction) =>
  (c: NodeReader): Quantised => {
    const output = c.fusedOutput(0);
    for (const { scale, zeroPoint } of [gridOf(c, 0), gridOf(c, 1)])
      if (scale !== output.scale || zeroPoint !== output.zeroPoint)
        c.refuseOption('quantization', `${scale}, ${zeroPoint}`, `that of the output: ${output.scale}`);
    if (!c.isConstant(0) && !c.isConstant(1)) return extremeOfTwo(c, most === Math.min);
    return pair(
      c,
      output,
      (a, b) => most(a, b) + output.zeroPoint,
      () => c.refuseOption(c.node.operator, 'of two constants', 'of computed values'),
    );
  };

/** Each pair of elements side by side is a window of two. */
function extremeOfTwo(c: NodeReader, least: boolean): Quantised {
  const [first, second] = [c.activation(0), c.activation(1)];
  const shape = broadcastShape(c, first.shape, second.shape);
  const [a, b] = bothSpread(c, first, second, shape);
  const count = elementCount(shape);
  const sources = Int32Array.from({ length: 2 * count }, (_, i) => Math.floor(i / 2) + (i % 2) * count);
  const pairs = lowerGather(
    c.builder,
    `${c.name}_pairs`,
    [a.activation, b.activation],
    [1, count, 2],
    sources,
  );
  const window = { kernel: [1, 2], strides: [1, 1], pads: [0, 0, 0, 0] } as const;
  const made = lowerExtreme(c.builder, c.name, pairs, window, least);
  return likewise(a, viewed(made, a.activation.type.shape));
}

/** Of two activations, or of one and a constant; all are on the output's grid, so that integers compare as their reals do. */
export const maximum = extremum(Math.max);
/** As `maximum`. */
export const minimum = extremum(Math.min);

/** Inputs: value, slopes below zero. */
export function prelu(c: NodeReader): Quantised {
  const input = c.activation(0);
  const { scale } = input.activation.type;
  const slopes = c.constant(1);
  const grid = c.outputGrid;
  const { lo, hi } = elementRange(grid.element);
  const above = quantizeMultiplier(ratio(c, scale, 1, grid.scale));
  const below = quantizeMultiplier(ratio(c, scale, slopes.grid.scale, grid.scale));
  const to = { ...grid, min: lo, max: hi };
  return withConstant(
    c,
    input,
    slopes,
    to,
    (x, slope) => (x >= 0 ? c.scaled(x, above) : c.scaled(x * slope, below)) + grid.zeroPoint,
  );
}
