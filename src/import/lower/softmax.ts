import type { SoftmaxLayer } from '../../model/model.ts';
import type { Activation, ModelBuilder, Quantisation } from '../builder.ts';
import { requireBytes } from './lookup.ts';

type Tables = Pick<SoftmaxLayer, 'exponentials' | 'numerators'>;

/** Sums of this many bits, times two, leave the numerators exact. */
const SUM_BITS = 36;

/** As many bits as float32 has. */
const MOST_BITS = 24;

/**
 * `exp(-d * scale)` and the same in steps of the output, both times the largest power of two that keeps sums and numerators
 * exact.
 * @param size elements of a row
 */
export function softmaxTables(scale: number, outputScale: number, size: number): Tables {
  const room = SUM_BITS - Math.ceil(Math.log2(size)) - Math.max(0, Math.ceil(Math.log2(1 / outputScale)) - 8);
  const unit = 2 ** Math.max(1, Math.min(MOST_BITS, room));
  const powers = Array.from({ length: 256 }, (_, d) => Math.fround(Math.exp(-Math.fround(d * scale))));
  return {
    exponentials: powers.map((e) => Math.round(e * unit)),
    numerators: powers.map((e) => Math.round((e * unit) / outputScale)),
  };
}

/** A softmax over each row of `size` elements. */
export function lowerSoftmax(
  builder: ModelBuilder,
  name: string,
  input: Activation,
  { element, scale, zeroPoint }: Quantisation,
  size: number,
  tables: Tables,
): Activation {
  requireBytes(builder, name, [input.type.element, element], 'a softmax within the network');
  const output = { element, scale, zeroPoint, shape: input.type.shape };
  return builder.add(name, { kind: 'softmax', inputs: [input.value], output, size, ...tables });
}
