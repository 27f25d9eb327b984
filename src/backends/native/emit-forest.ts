import type { ForestLayer } from '../../model/model.ts';
import { elementRange } from '../../model/tensor.ts';

/** Trees as anybody would write them: node by node, until there is a leaf. `x0` is read, `y` written. */
export function forestBody({ roots, base, shift, result, output }: ForestLayer, i: number): string[] {
  const scores = base.length;
  const { lo, hi } = elementRange(output.element);
  return [
    `int64_t sum[${scores}];`,
    `for (int s = 0; s < ${scores}; s++) sum[s] = b${i}[s];`,
    `for (int t = 0; t < ${roots.length}; t++) {`,
    `\tint n = o${i}[t];`,
    `\twhile (f${i}[n] >= 0) n = x0[f${i}[n]] <= t${i}[n] ? l${i}[n] : h${i}[n];`,
    `\tfor (int s = 0; s < ${scores}; s++) sum[s] += s${i}[l${i}[n] * ${scores} + s];`,
    '}',
    ...(result === 'sums'
      ? [`for (int s = 0; s < ${scores}; s++) y[s] = clamp(sum[s] >> ${shift}, ${lo}, ${hi});`]
      : [
          'int best = 0, second = -1;',
          `for (int s = 1; s < ${scores}; s++) if (sum[s] > sum[best]) best = s;`,
          `for (int s = 0; s < ${scores}; s++) if (s != best && (second < 0 || sum[s] > sum[second])) second = s;`,
          'y[0] = best;',
          `y[1] = second < 0 ? 255 : clamp((sum[best] - sum[second]) >> ${shift}, 0, 255);`,
        ]),
  ];
}
