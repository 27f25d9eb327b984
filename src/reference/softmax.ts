import type { SoftmaxLayer } from '../model/model.ts';
import { elementRange } from '../model/tensor.ts';

/** Each row for itself; q-values. */
export function softmax(layer: SoftmaxLayer, x: Int32Array): Int32Array {
  const { size, exponentials, numerators, output } = layer;
  const { lo, hi } = elementRange(output.element);
  const out = new Int32Array(x.length);
  for (let at = 0; at < x.length; at += size) {
    const row = x.subarray(at, at + size);
    const most = row.reduce((a, b) => Math.max(a, b));
    const sum = row.reduce((acc, q) => acc + exponentials[most - q]!, 0);
    for (const [i, q] of row.entries()) {
      const share = floorOf(2 * numerators[most - q]! + sum, 2 * sum);
      out[at + i] = Math.max(lo, Math.min(hi, share + output.zeroPoint));
    }
  }
  return out;
}

/** Exact below 2^53: the quotient of doubles may be rounded up to a whole number. */
function floorOf(numerator: number, denominator: number): number {
  return (numerator - (numerator % denominator)) / denominator;
}
