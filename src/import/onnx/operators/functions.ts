import { roundHalfEven } from '../../../model/requantiser.ts';
import { elementCount } from '../../../model/tensor.ts';
import { sameShape } from '../../builder.ts';
import { realFunctions } from '../../lower/functions.ts';
import { affineTarget, composed, type FunctionReal, followedBy, isLinear, joined } from '../affine.ts';
import { onGrid } from '../materialise.ts';
import { moveValues } from '../moves.ts';
import type { NodeReader } from '../node-reader.ts';
import { type Real, realActivation, unclamped, type Value } from '../values.ts';
import { realConstant } from '../weights.ts';

/** Operators of one element, in float32 as ONNX Runtime computes them: between two grids each is a table. */

const f = Math.fround;

/** The value as a function of single elements of a grid: of the function before, if there is one. */
export function elementsOf(c: NodeReader, x: Real): FunctionReal {
  const isElementwise = x.term.kind === 'function' || x.term.kind === 'activation';
  const target = affineTarget(c, isElementwise ? x : realActivation(onGrid(c, x, 0)), 0);
  if (isLinear(target))
    return c.refuseFloat(0, `there is no QuantizeLinear between "${target.term.name}" and ${c.operator}`);
  return target;
}

/** Followed by one function for all elements; of values that are only moved, before they are. */
export function functionOf(c: NodeReader, x: Real, of: (x: number) => number): Real {
  const { term, clamp } = x;
  if (term.kind !== 'moved') return composed(elementsOf(c, x), 1, (y) => f(of(y)));
  const clamped = (y: number) => of(Math.max(clamp.lo, Math.min(clamp.hi, y)));
  const parts = term.of.map((part) => functionOf(c, part, clamped));
  return { ...x, clamp: unclamped, term: { ...term, of: parts, fill: f(clamped(term.fill)) } };
}

type Make = (c: NodeReader) => (x: number) => number;

const plain =
  (of: (x: number) => number): Make =>
  () =>
    of;

const { sigmoid, tanh, gelu, hardSwish } = realFunctions;

/** Gelu by the hyperbolic tangent. */
const geluTanh = (x: number): number =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

const softplus = (x: number): number => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)));

/** By operator; each reads the attributes of its node and gives the function. */
export const functions = {
  Abs: plain(Math.abs),
  Acos: plain(Math.acos),
  Acosh: plain(Math.acosh),
  Asin: plain(Math.asin),
  Asinh: plain(Math.asinh),
  Atan: plain(Math.atan),
  Atanh: plain(Math.atanh),
  Ceil: plain(Math.ceil),
  Celu: (c) => {
    const alpha = f(c.float('alpha', 1));
    return (x) => Math.max(0, x) + Math.min(0, alpha * Math.expm1(x / alpha));
  },
  Cos: plain(Math.cos),
  Cosh: plain(Math.cosh),
  Elu: (c) => {
    const alpha = f(c.float('alpha', 1));
    return (x) => (x < 0 ? alpha * Math.expm1(x) : x);
  },
  Erf: plain((x) => (x === 0 ? 0 : (2 * gelu(x * Math.SQRT2)) / (x * Math.SQRT2) - 1)),
  Exp: plain(Math.exp),
  Floor: plain(Math.floor),
  Gelu: (c) => {
    const approximate = c.node.domain ? 'none' : c.string('approximate', 'none');
    if (approximate === 'tanh') return geluTanh;
    if (approximate !== 'none') c.refuseAttribute('approximate', approximate, 'none, tanh');
    return gelu;
  },
  HardSigmoid: (c) => {
    const [alpha, beta] = [f(c.float('alpha', 0.2)), f(c.float('beta', 0.5))];
    return (x) => Math.max(0, Math.min(1, f(f(alpha * x) + beta)));
  },
  HardSwish: plain(hardSwish),
  LeakyRelu: (c) => {
    const alpha = f(c.float('alpha', 0.01));
    return (x) => (x < 0 ? f(alpha * x) : x);
  },
  Log: plain(Math.log),
  Mish: plain((x) => x * Math.tanh(softplus(x))),
  Neg: plain((x) => -x),
  Reciprocal: plain((x) => f(1 / x)),
  Round: plain(roundHalfEven),
  Selu: (c) => {
    const alpha = f(c.float('alpha', 1.6732631921768188));
    const gamma = f(c.float('gamma', 1.0507010221481323));
    return (x) => (x < 0 ? gamma * alpha * Math.expm1(x) : f(gamma * x));
  },
  Shrink: (c) => {
    const [lambd, bias] = [f(c.float('lambd', 0.5)), f(c.float('bias', 0))];
    return (x) => (x < -lambd ? f(x + bias) : x > lambd ? f(x - bias) : 0);
  },
  Sigmoid: plain(sigmoid),
  Sign: plain(Math.sign),
  Sin: plain(Math.sin),
  Sinh: plain(Math.sinh),
  Softplus: plain(softplus),
  Softsign: plain((x) => f(x / f(1 + Math.abs(x)))),
  Sqrt: plain(Math.sqrt),
  Swish: (c) => {
    const alpha = f(c.float('alpha', 1));
    return (x) => x * sigmoid(alpha * x);
  },
  Tan: plain(Math.tan),
  Tanh: plain(tanh),
  ThresholdedRelu: (c) => {
    const alpha = f(c.float('alpha', 1));
    return (x) => (x > alpha ? x : 0);
  },
  'com.microsoft.FastGelu': plain(geluTanh),
  'com.microsoft.Gelu': plain(gelu),
  'com.microsoft.QuickGelu': (c) => {
    const alpha = f(c.float('alpha', 1.702));
    return (x) => x * sigmoid(alpha * x);
  },
} satisfies Record<string, Make>;

/** An operator whose one activation is input 0. */
const elementwise =
  (make: Make) =>
  (c: NodeReader): Value => {
    const x = c.input(0);
    if (x.kind !== 'real')
      return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
    return functionOf(c, x, make(c));
  };

/** Import of each function of one element, by the name of its operator; those of com.microsoft with their domain. */
export const functionOperators = Object.fromEntries(
  Object.entries<Make>(functions).map(([name, make]) => [name, elementwise(make)]),
);

/** A constant is added before the function. */
export function biasGelu(c: NodeReader): Value {
  const x = c.input(0);
  if (x.kind !== 'real') return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
  const target = elementsOf(c, x);
  return followedBy(c, target, 1, 'the bias', (y, bias) => f(gelu(f(y + bias))));
}

/** To a constant power. */
export function pow(c: NodeReader): Value {
  const x = c.input(0);
  if (x.kind !== 'real') return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
  const exponent = realConstant(c.input(1));
  if (exponent?.values.length !== 1) return c.refuseFloat(1, 'powers are those of one constant exponent');
  const power = exponent.values[0]!;
  return functionOf(c, x, (y) => y ** power);
}

/** Of two values, element by element: the larger or lesser of each pair, laid side by side. */
function extremeOfTwo(c: NodeReader, a: Real, b: Real, least: boolean): Value {
  const same = joined(c, a, b, least ? Math.min : Math.max);
  if (same !== undefined) return same;
  if (!sameShape(a.shape, b.shape))
    return c.refuseFloat(1, `a ${c.operator} of two values is taken of equal shapes`);
  const count = elementCount(a.shape);
  const sources = Int32Array.from({ length: 2 * count }, (_, i) => Math.floor(i / 2) + (i % 2) * count);
  const pairs = moveValues(c, [a, b], { shape: [1, count, 1, 2], sources });
  if (pairs.kind !== 'real') throw new Error('reals stay reals');
  const window = { kernel: [1, 2], strides: [1, 1], pads: [0, 0, 0, 0] } as const;
  const term = { kind: 'maximum', name: c.name, of: pairs, window, ...(least && { least }) } as const;
  return { kind: 'real', term, clamp: unclamped, shape: a.shape };
}

/** Against a constant: a clamp. */
export const extremum =
  (side: 'Min' | 'Max') =>
  (c: NodeReader): Value => {
    const values = c.node.input.map((_, i) => c.input(i));
    const [first, second, ...more] = values;
    if (first?.kind === 'real' && second?.kind === 'real' && more.length === 0)
      return extremeOfTwo(c, first, second, side === 'Min');
    const at = values.findIndex((value) => value.kind === 'real');
    const real = values[at];
    if (real?.kind !== 'real')
      return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
    const bounds = values.map((value, i) => (i === at ? undefined : realConstant(value)));
    if (bounds.length === 2 && bounds[1 - at] !== undefined && bounds[1 - at]!.values.length > 1)
      return followedBy(c, elementsOf(c, real), 1 - at, 'the bound', side === 'Min' ? Math.min : Math.max);
    let { lo, hi } = real.clamp;
    for (const [i, bound] of bounds.entries()) {
      if (i === at) continue;
      if (bound === undefined || bound.values.length !== 1)
        return c.refuseFloat(i, `a ${side} of several is taken with constants of one element`);
      const x = f(bound.values[0]!);
      if (side === 'Min') [lo, hi] = [Math.min(lo, x), Math.min(hi, x)];
      else [lo, hi] = [Math.max(lo, x), Math.max(hi, x)];
    }
    return { ...real, clamp: { lo, hi } };
  };
