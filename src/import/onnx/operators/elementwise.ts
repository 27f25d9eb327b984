import { refuse } from '../../../diagnostics/index.ts';
import { sameShape } from '../../builder.ts';
import { biased, linearTarget, perChannel, scaled, shifted } from '../affine.ts';
import { scaledInput } from '../input-affine.ts';
import { onGrid } from '../materialise.ts';
import type { NodeReader } from '../node-reader.ts';
import { type Real, unclamped, type Value } from '../values.ts';

/** Which input is the activation, and which the constant, of an operator whose inputs may be swapped. */
function sides(c: NodeReader): readonly [real: Real, realAt: number, constantAt: number | undefined] {
  const [a, b] = [c.input(0), c.input(1)];
  if (a.kind === 'real') return [a, 0, b.kind === 'real' ? undefined : 1];
  if (b.kind === 'real') return [b, 1, 0];
  return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
}

/** Two activations, or one and a constant: then a bias. */
export function add(c: NodeReader): Value {
  const input = scaledInput(c, 'Add');
  if (input !== undefined) return input;
  const [real, realAt, constantAt] = sides(c);
  if (constantAt !== undefined) {
    const target = linearTarget(c, real, realAt);
    return { ...target, term: biased(c, target, constantAt, 'broadcast') };
  }
  const other = c.input(1);
  const a = onGrid(c, real, 0);
  const b = other.kind === 'real' ? onGrid(c, other, 1) : a;
  if (!sameShape(a.type.shape, b.type.shape))
    refuse(
      'shape-mismatch',
      {
        expected: 'two equal shapes',
        actual: `[${a.type.shape.join(', ')}] and [${b.type.shape.join(', ')}]`,
      },
      c.place(),
    );
  return { kind: 'real', term: { kind: 'sum', name: c.name, a, b }, clamp: unclamped, shape: a.type.shape };
}

/** By a constant, one value a channel or one for all. */
export function mul(c: NodeReader): Value {
  const input = scaledInput(c, 'Mul');
  if (input !== undefined) return input;
  const [real, realAt, constantAt] = sides(c);
  if (constantAt === undefined)
    return refuse('onnx-dynamic', { tensor: c.tensor(1), what: 'the factor' }, c.place(1));
  const target = linearTarget(c, real, realAt);
  const factors = perChannel(c, constantAt, target, 'the factor', 'broadcast');
  return { ...target, term: { ...scaled(target.term, factors), fused: false } };
}

/** `gamma * (x - mean) / sqrt(variance + epsilon) + beta`, folded into scale and bias of each channel. */
export function batchNormalization(c: NodeReader): Value {
  c.requireInt('training_mode', 0);
  c.requireInt('spatial', 1);
  // Of the running statistics, which only training moves.
  c.ignore('momentum');
  if (c.node.output.slice(1).some((name) => name))
    c.refuseAttribute('outputs', c.node.output.length, '1, as in inference');
  const x = c.input(0);
  if (x.kind !== 'real') return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
  const target = linearTarget(c, x, 0);
  const [gamma, beta, mean, variance] = ['scale', 'offset', 'mean', 'variance'].map((what, i) =>
    perChannel(c, i + 1, target, `the ${what}`, 'vector'),
  );
  const epsilon = c.float('epsilon', 1e-5);
  const factors = gamma!.map((g, o) => g / Math.sqrt(variance![o]! + epsilon));
  if (factors.some((f) => !Number.isFinite(f)))
    refuse('bad-quantisation', { what: 'the variance is negative or a parameter no number' }, c.place());
  const offsets = beta!.map((b, o) => b - mean![o]! * factors[o]!);
  const term = scaled(target.term, factors);
  return {
    ...target,
    term: { ...shifted(c, term, offsets, 'it holds the batch normalisation'), fused: false },
  };
}
