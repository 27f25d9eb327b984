import { onnxAddRounding } from '../../model/add-fit.ts';
import {
  float32Rounding,
  idealRounding,
  roundHalfEven,
  type SourceRounding,
} from '../../model/requantiser.ts';
import { elementRange } from '../../model/tensor.ts';
import { type Activation, type Quantisation, viewed } from '../builder.ts';
import { lowerAdd, lowerRequantise } from '../lower/elementwise.ts';
import { tabulated } from '../lower/functions.ts';
import { type Clamp, lowerConv2d, lowerDense } from '../lower/linear.ts';
import { lowerFunction } from '../lower/lookup.ts';
import { lowerAveragePool, lowerMaxPool } from '../lower/pooling.ts';
import type { NodeReader } from './node-reader.ts';
import { averageRounding } from './pool-rounding.ts';
import { isFree, type LinearTerm, type Real, type RealClamp, type Term } from './values.ts';

/** Makes the layer that computes these reals and rounds them to the grid. */
export function materialise(c: NodeReader, real: Real, to: Quantisation): Activation {
  const made = lower(c, real.term, { ...to, ...clampOf(real.clamp, to) });
  return viewed(made, real.shape);
}

/** Rounding does not decrease: clamping before it is the same as clamping by the rounded bounds behind it. */
function clampOf({ lo, hi }: RealClamp, { element, scale, zeroPoint }: Quantisation): Clamp {
  const range = elementRange(element);
  const q = (real: number) => roundHalfEven(Math.fround(real / scale)) + zeroPoint;
  const inside = (x: number) => Math.max(range.lo, Math.min(range.hi, x));
  return { min: inside(q(lo)), max: inside(q(hi)) };
}

function lower(c: NodeReader, term: Term, to: Quantisation & Clamp): Activation {
  const { builder } = c;
  switch (term.kind) {
    case 'activation': {
      const { scale } = term.activation.type;
      // DequantizeLinear, then QuantizeLinear: two float32 operations.
      const rounding: SourceRounding = (acc) =>
        roundHalfEven(Math.fround(Math.fround(acc * scale) / to.scale)) + to.zeroPoint;
      return lowerRequantise(builder, c.name, term.activation, to, rounding);
    }
    case 'linear': {
      const { name, input, weights, weightBits = 8, bias, conv } = term;
      const spec = { name, input, weights, weightBits, bias, output: to, rounding: linearRounding(term, to) };
      return conv === undefined ? lowerDense(builder, spec) : lowerConv2d(builder, spec, conv);
    }
    case 'average':
      return lowerAveragePool(builder, { ...term, output: to, rounding: averageRounding(term, to) });
    case 'sum': {
      const rounding = onnxAddRounding([term.a.type.scale, term.b.type.scale, to.scale], to.zeroPoint);
      return lowerAdd(builder, { ...term, output: to, rounding });
    }
    case 'function':
      return lowerFunction(builder, term.name, term.input, to, tabulated(term.of, term.input.type, to));
    case 'maximum': {
      const of = materialise(c, { ...term.of, clamp: term.of.clamp }, to);
      const pooled = lowerMaxPool(builder, term.name, of, term.window);
      const { lo, hi } = elementRange(to.element);
      const clamps = to.min > lo || to.max < hi;
      return clamps ? builder.clamped(`${term.name}_clamp`, pooled, to.min, to.max) : pooled;
    }
  }
}

function linearRounding({ scale, fused }: LinearTerm, to: Quantisation): SourceRounding[] {
  return Array.from(scale, (s) =>
    fused
      ? float32Rounding(Math.fround(s / to.scale), to.zeroPoint)
      : idealRounding(s / to.scale, to.zeroPoint),
  );
}

/**
 * The reals as an activation without another rounding: only those that already lie on a grid can be. A clamp keeps
 * them there if its bounds lie on it too.
 *
 * @throws DiagnosticError `onnx-float-value`
 */
export function onGrid(c: NodeReader, real: Real, input: number): Activation {
  const { term, clamp, shape } = real;
  if (term.kind !== 'activation')
    return c.refuseFloat(input, `there is no QuantizeLinear between "${term.name}" and this operator`);
  const { type } = term.activation;
  const activation = viewed(term.activation, shape);
  if (isFree(clamp)) return activation;
  const range = elementRange(type.element);
  const bound = (bound: number, end: number): number => {
    const q = bound / type.scale + type.zeroPoint;
    if (q <= range.lo) return range.lo;
    if (q >= range.hi) return range.hi;
    const nearest = Math.round(q);
    if (Math.abs(q - nearest) > 1e-4 * Math.max(1, Math.abs(q)))
      c.refuseFloat(
        input,
        `its clamp at ${bound} is not on its grid of ${type.scale}, and no QuantizeLinear follows`,
      );
    return Number.isNaN(q) ? end : nearest;
  };
  const made = c.builder.clamped(c.name, activation, bound(clamp.lo, range.lo), bound(clamp.hi, range.hi));
  c.builder.record(made.value, { name: c.tensor(input), type: made.type, real: true });
  return made;
}
