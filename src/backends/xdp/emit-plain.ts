import { type BlockPlace, overTaps, runs, store } from './emit-taps.ts';
import type { MatrixPlan } from './plan.ts';

/** One output, one multiply a weight: the plain form. */
export function plainBody(p: MatrixPlan, at: BlockPlace): string[] {
  const { count, length } = runs(p);
  const tap = count === 1 ? 't' : `r * ${length} + t`;
  return [
    `\t\tconst ${p.narrow ? '__s8' : '__s16'} *k = ${at.weights};`,
    `\t\tconst __u64 *multiplier = ${at.multiplier}, *offset = ${at.offset};`,
    `\t\t__s64 sum = *(${at.start});`,
    '',
    ...overTaps(p, at, [`sum += (__s64)v * k[${tap}];`, 'INTRANSIT_OPAQUE(sum);']),
    store(p, at.targets[0]!, 'sum', 'multiplier[0]', 'offset[0]', false),
  ];
}
