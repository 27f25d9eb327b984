import type { Work } from './cost-model.ts';

/** One measurement: what was computed, and how long an inference took. */
export interface Sample {
  readonly work: Pick<Work, 'multiplies' | 'neurons'>;
  readonly ns: number;
}

/** `ns = fixedNs + multiplyNs * multiplies + neuronNs * neurons`. */
export interface Fit {
  readonly fixedNs: number;
  readonly multiplyNs: number;
  readonly neuronNs: number;
  /** Largest `|fitted / measured - 1|` over the samples. */
  readonly worstError: number;
}

type Terms = readonly [fixed: number, multiplies: number, neurons: number];

const termsOf = ({ work }: Sample): Terms => [1, work.multiplies, work.neurons];

/**
 * Least squares of the *relative* error, so that 100 ns off matter in a model of 200 ns and not in one of 20 us, with no
 * coefficient below zero: of all subsets of the three terms the best whose solution is not negative (with three terms
 * that is the exact solution of the non-negative problem). Ties go to fewer terms.
 *
 * With r = 1 / ns, minimises `sum_i (r_i * (t_i . c) - 1)^2`, by the normal equations `A^T A c = A^T 1`, `A_i = r_i * t_i`.
 * @pre at least one sample, each above 0 ns
 */
export function fitCost(samples: readonly Sample[]): Fit {
  if (samples.length === 0 || samples.some((s) => !(s.ns > 0)))
    throw new Error('a fit needs samples above 0 ns');
  let best: { readonly coefficients: Terms; readonly residual: number } | undefined;
  for (const subset of [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]]) {
    const coefficients = solveSubset(samples, subset);
    if (coefficients === undefined || coefficients.some((c) => c < 0)) continue;
    const residual = samples.reduce((sum, s) => sum + relativeError(coefficients, s) ** 2, 0);
    if (best === undefined || residual < best.residual - 1e-12) best = { coefficients, residual };
  }
  const { coefficients } = best!;
  return {
    fixedNs: coefficients[0],
    multiplyNs: coefficients[1],
    neuronNs: coefficients[2],
    worstError: Math.max(...samples.map((s) => Math.abs(relativeError(coefficients, s)))),
  };
}

const relativeError = (c: Terms, s: Sample): number => {
  const t = termsOf(s);
  return (c[0] * t[0] + c[1] * t[1] + c[2] * t[2]) / s.ns - 1;
};

/** Coefficients of the chosen terms, the others zero; undefined where the samples do not tell them apart. */
function solveSubset(samples: readonly Sample[], subset: readonly number[]): Terms | undefined {
  const rows = samples.map((s) => subset.map((k) => termsOf(s)[k]! / s.ns));
  // Columns of length one: then the size of a pivot says how far the column is from the others.
  const lengths = subset.map((_, i) => Math.hypot(...rows.map((row) => row[i]!)));
  const a = rows.map((row) => row.map((x, i) => x / lengths[i]!));
  const normal = subset.map((_, i) => [
    ...subset.map((_, j) => a.reduce((sum, row) => sum + row[i]! * row[j]!, 0)),
    a.reduce((sum, row) => sum + row[i]!, 0),
  ]);
  const solution = eliminate(normal);
  if (solution === undefined) return undefined;
  const coefficients: [number, number, number] = [0, 0, 0];
  for (const [i, k] of subset.entries()) coefficients[k] = solution[i]! / lengths[i]!;
  return coefficients;
}

/** Pivots below this are rounding: the columns are dependent. */
const LEAST_PIVOT = 1e-9;

/** Gauss-Jordan with row pivots on an augmented matrix of at most 3 x 4; undefined where it is singular. */
function eliminate(m: number[][]): number[] | undefined {
  for (let column = 0; column < m.length; column++) {
    let pivot = column;
    for (let row = column + 1; row < m.length; row++)
      if (Math.abs(m[row]![column]!) > Math.abs(m[pivot]![column]!)) pivot = row;
    if (!(Math.abs(m[pivot]![column]!) > LEAST_PIVOT)) return undefined;
    [m[column], m[pivot]] = [m[pivot]!, m[column]!];
    for (let row = 0; row < m.length; row++) {
      if (row === column) continue;
      const factor = m[row]![column]! / m[column]![column]!;
      m[row] = m[row]!.map((x, k) => x - factor * m[column]![k]!);
    }
  }
  return m.map((row, i) => row.at(-1)! / row[i]!);
}
