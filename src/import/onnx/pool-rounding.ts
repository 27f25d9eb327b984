import { idealRounding, type SourceRounding } from '../../model/requantiser.ts';
import type { Quantisation } from '../builder.ts';
import type { AverageTerm } from './values.ts';

/** How ONNX Runtime rounds an average, by the divisor. */
export function averageRounding(
  { input }: AverageTerm,
  to: Quantisation,
): (divisor: number) => SourceRounding {
  return (divisor) => idealRounding(input.type.scale / (to.scale * divisor), to.zeroPoint);
}
