import { affineRounding, float32Rounding, type SourceRounding } from '../../model/requantiser.ts';
import type { Quantisation } from '../builder.ts';
import type { AverageTerm } from './values.ts';

/** How ONNX Runtime rounds an average, by the divisor, or a sum. */
export function averageRounding(
  { input, sum, fused, shifted }: AverageTerm,
  to: Quantisation,
): (divisor: number) => SourceRounding {
  const { scale } = input.type;
  const f = Math.fround;
  if (sum) return () => affineRounding(scale / to.scale, 0, to.zeroPoint);
  return (divisor) =>
    fused
      ? float32Rounding(f(scale / f(to.scale * divisor)), to.zeroPoint)
      : affineRounding(scale / (to.scale * divisor), shifted ? to.zeroPoint : 0, shifted ? 0 : to.zeroPoint);
}
