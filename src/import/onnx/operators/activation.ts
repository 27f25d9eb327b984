import { refuse } from '../../../diagnostics/index.ts';
import { realFunctions } from '../../lower/functions.ts';
import { affineTarget, composed, isLinear } from '../affine.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Real, Value } from '../values.ts';
import { realConstant } from '../weights.ts';

function clampTo(c: NodeReader, lo: number, hi: number): Value {
  const x = c.input(0);
  if (x.kind !== 'real') return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
  const inside = (bound: number) => Math.max(lo, Math.min(hi, bound));
  const clamped: Real = { ...x, clamp: { lo: inside(x.clamp.lo), hi: inside(x.clamp.hi) } };
  return clamped;
}

export const relu = (c: NodeReader): Value => clampTo(c, 0, Number.POSITIVE_INFINITY);

/** Bounds are inputs from operator set 11 on, attributes before. */
export function clip(c: NodeReader): Value {
  const bound = (index: number, attribute: string, absent: number): number => {
    if (c.opset < 11) return c.float(attribute, absent);
    const value = c.optional(index);
    if (value === undefined) return absent;
    const constant = realConstant(value);
    if (constant === undefined || constant.values.length !== 1)
      return refuse('onnx-dynamic', { tensor: c.tensor(index), what: 'the bound' }, c.place(index));
    return constant.values[0]!;
  };
  const lo = bound(1, 'min', Number.NEGATIVE_INFINITY);
  const hi = bound(2, 'max', Number.POSITIVE_INFINITY);
  if (!(lo <= hi)) c.refuseAttribute('min, max', `${lo}, ${hi}`, 'min <= max');
  return clampTo(c, lo, hi);
}

/** Between DequantizeLinear and QuantizeLinear: a table of 256 values, or part of one. */
function elementwise(c: NodeReader, of: (x: number) => number): Value {
  const x = c.input(0);
  if (x.kind !== 'real') return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
  const target = affineTarget(c, x, 0);
  if (isLinear(target))
    return c.refuseFloat(0, `there is no QuantizeLinear between "${target.term.name}" and ${c.operator}`);
  return composed(target, 1, (y) => Math.fround(of(y)));
}

export const sigmoid = (c: NodeReader): Value => elementwise(c, realFunctions.sigmoid);
export const tanh = (c: NodeReader): Value => elementwise(c, realFunctions.tanh);
export const hardSwish = (c: NodeReader): Value => elementwise(c, realFunctions.hardSwish);

export function leakyRelu(c: NodeReader): Value {
  const alpha = Math.fround(c.float('alpha', 0.01));
  return elementwise(c, (x) => (x < 0 ? alpha * x : x));
}
