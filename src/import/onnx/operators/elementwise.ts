import { refuse } from '../../../diagnostics/index.ts';
import type { Activation } from '../../builder.ts';
import { lowerNegated } from '../../lower/lookup.ts';
import {
  affineTarget,
  biased,
  composed,
  followedBy,
  isLinear,
  joined,
  linearPerChannel,
  scaled,
  shifted,
  vectorOf,
} from '../affine.ts';
import { normalisedInput, scaledInput } from '../input-affine.ts';
import { onGrid } from '../materialise.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Real, Value } from '../values.ts';
import { realConstant } from '../weights.ts';
import { elementsOf } from './functions.ts';
import { productOf, sumOf } from './pairs.ts';

/** Which input is the activation, and which the constant, of an operator whose inputs may be swapped. */
function sides(c: NodeReader): readonly [real: Real, realAt: number, constantAt: number | undefined] {
  const [a, b] = [c.input(0), c.input(1)];
  if (a.kind === 'real') return [a, 0, b.kind === 'real' ? undefined : 1];
  if (b.kind === 'real') return [b, 1, 0];
  return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
}

/** Two activations, or one and a constant: then a bias, or a function of one element. */
export function add(c: NodeReader): Value {
  const input = scaledInput(c, 'Add');
  if (input !== undefined) return input;
  const [real, realAt, constantAt] = sides(c);
  if (constantAt !== undefined) {
    const target = affineTarget(c, real, realAt);
    if (isLinear(target))
      return { ...target, term: { ...biased(c, target, constantAt, 'broadcast'), fused: false } };
    return followedBy(c, target, constantAt, 'the summand', (x, y) => Math.fround(x + y));
  }
  const same = joinedPair(c, (x, y) => Math.fround(x + y));
  if (same !== undefined) return same;
  const [a, b] = activations(c, real);
  return sumOf(c, a, b);
}

/** Where both inputs are functions of the same elements. */
function joinedPair(c: NodeReader, step: (x: number, y: number) => number): Value | undefined {
  const [a, b] = [c.input(0), c.input(1)];
  return a.kind === 'real' && b.kind === 'real' ? joined(c, a, b, step) : undefined;
}

/** Of two, as Add; of one, itself. */
export function sum(c: NodeReader): Value {
  const count = c.node.input.length;
  if (count > 2) c.refuseAttribute('inputs', count, '1 or 2');
  return count === 1 ? c.input(0) : add(c);
}

/** Both inputs where both are activations. */
function activations(c: NodeReader, real: Real): readonly [Activation, Activation] {
  const other = c.input(1);
  const a = onGrid(c, real, 0);
  return [a, other.kind === 'real' ? onGrid(c, other, 1) : a];
}

/** By a constant. */
export function mul(c: NodeReader): Value {
  const input = scaledInput(c, 'Mul');
  if (input !== undefined) return input;
  const [real, realAt, constantAt] = sides(c);
  if (constantAt === undefined) {
    const same = joinedPair(c, (x, y) => Math.fround(x * y));
    if (same !== undefined) return same;
    const [a, b] = activations(c, real);
    return productOf(c, a, b, false);
  }
  const target = affineTarget(c, real, realAt);
  if (!isLinear(target)) return followedBy(c, target, constantAt, 'the factor', (x, y) => Math.fround(x * y));
  const factors = linearPerChannel(c, constantAt, target, 'the factor', 'broadcast');
  return { ...target, term: { ...scaled(target.term, factors), fused: false } };
}

/** `gamma * (x - mean) / sqrt(variance + epsilon) + beta`, as a factor and an offset of each channel. */
export function batchNormalization(c: NodeReader): Value {
  c.requireInt('training_mode', 0);
  c.requireInt('spatial', 1);
  // Of the running statistics, which only training moves.
  c.ignore('momentum');
  if (c.node.output.slice(1).some((name) => name))
    c.refuseAttribute('outputs', c.node.output.length, '1, as in inference');
  const x = c.input(0);
  if (x.kind !== 'real' && x.kind !== 'floatInput')
    return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
  const target = x.kind === 'real' ? affineTarget(c, x, 0) : x;
  const channels = target.kind === 'real' && isLinear(target) ? target.term.bias.length : target.shape[0]!;
  const [gamma, beta, mean, variance] = ['scale', 'offset', 'mean', 'variance'].map((what, i) =>
    vectorOf(c, i + 1, channels, `the ${what}`),
  );
  // In the float32 steps of ONNX Runtime.
  const f = Math.fround;
  const epsilon = f(c.float('epsilon', 1e-5));
  const factors = gamma!.map((g, o) => f(f(1 / f(Math.sqrt(f(variance![o]! + epsilon)))) * g));
  if (factors.some((factor) => !Number.isFinite(factor)))
    refuse('bad-quantisation', { what: 'the variance is negative or too small' }, c.place());
  const offsets = beta!.map((b, o) => f(b - f(mean![o]! * factors[o]!)));
  if (target.kind === 'floatInput')
    return normalisedInput(c, target, Array.from(factors), Array.from(offsets));
  if (!isLinear(target)) return composed(target, channels, (y, o) => f(f(y * factors[o]!) + offsets[o]!));
  return { ...target, term: { ...shifted(scaled(target.term, factors), offsets), fused: false } };
}

/** One activation less another, or one and a constant. */
export function sub(c: NodeReader): Value {
  const input = scaledInput(c, 'Sub');
  if (input !== undefined) return input;
  const [real, realAt, constantAt] = sides(c);
  if (constantAt === undefined) {
    const same = joinedPair(c, (x, y) => Math.fround(x - y));
    if (same !== undefined) return same;
    const [a, b] = activations(c, real);
    return sumOf(c, a, lowerNegated(c.builder, c.name, b));
  }
  const target = affineTarget(c, real, realAt);
  const isMinuend = constantAt === 0;
  if (!isLinear(target))
    return followedBy(c, target, constantAt, isMinuend ? 'the minuend' : 'the subtrahend', (x, y) =>
      Math.fround(isMinuend ? y - x : x - y),
    );
  const signs = new Float64Array(target.term.bias.length).fill(isMinuend ? -1 : 1);
  const signed = { ...target, term: scaled(target.term, signs) };
  return {
    ...target,
    term: { ...biased(c, signed, constantAt, 'broadcast', isMinuend ? 1 : -1), fused: false },
  };
}

/** By a constant, or a constant by single elements. */
export function div(c: NodeReader): Value {
  const input = scaledInput(c, 'Div');
  if (input !== undefined) return input;
  const [real, realAt, constantAt] = sides(c);
  if (constantAt === undefined)
    return (
      joinedPair(c, (x, y) => Math.fround(x / y)) ??
      c.refuseAttribute('input 1', 'an activation', 'a constant, or a function of the same elements')
    );
  if (realConstant(c.input(constantAt))?.values.includes(0))
    refuse('bad-quantisation', { what: `the constant of ${c.operator} holds 0` }, c.place(constantAt));
  const target = affineTarget(c, real, realAt);
  if (!isLinear(target))
    return followedBy(c, target, constantAt, constantAt === 1 ? 'the divisor' : 'the dividend', (x, y) =>
      Math.fround(constantAt === 1 ? x / y : y / x),
    );
  if (constantAt === 0)
    return c.refuseFloat(1, `there is no QuantizeLinear between "${target.term.name}" and this operator`);
  const divisors = linearPerChannel(c, constantAt, target, 'the divisor', 'broadcast');
  return {
    ...target,
    term: {
      ...scaled(
        target.term,
        divisors.map((y) => 1 / y),
      ),
      fused: false,
    },
  };
}

/** The slope is a constant, which may differ by channel or element. */
export function prelu(c: NodeReader): Value {
  const x = c.input(0);
  if (x.kind !== 'real') return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
  return followedBy(c, elementsOf(c, x), 1, 'the slope', (y, slope) => (y < 0 ? Math.fround(slope * y) : y));
}
