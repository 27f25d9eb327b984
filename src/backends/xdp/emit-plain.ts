import { type BlockPlace, declareNumbers, overTaps, store } from './emit-taps.ts';
import type { MatrixPlan } from './plan.ts';

/** One output, one multiply a weight: the plain form. */
export function plainBody(p: MatrixPlan, at: BlockPlace): string[] {
  return [
    `\t\tconst ${p.narrow ? '__s8' : '__s16'} *k = ${at.weights};`,
    declareNumbers(p, at),
    `\t\t__s64 sum = *(${at.start});`,
    '',
    ...overTaps(p, at, 1, (tap) => [`sum += (__s64)v * k[${tap}];`, 'INTRANSIT_OPAQUE(sum);']),
    store(p, at.targets[0]!, 'sum', 0, false),
  ];
}
