import { refuse } from '../../../diagnostics/index.ts';
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

/** A clamp at 0, which costs nothing: it goes into the next requantiser. */
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
