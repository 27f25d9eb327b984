import { expect } from 'vitest';
import { pairsOf, type TnaKey, type TnaLayer, type TnaTable } from '../../../src/backends/tna/layers.ts';
import type { TnaPlan } from '../../../src/backends/tna/plan.ts';

/** A forest as a switch has it, entry by entry. */

/** What of the entries matches; all that do must do the same. */
function matched(table: TnaTable, numberOf: (key: TnaKey) => number): readonly number[] {
  const numbers = table.keys.map(numberOf);
  const matching = table.rows.filter((row) =>
    row.keys.every((key, k) =>
      'mask' in key
        ? (numbers[k]! & key.mask) === key.value
        : numbers[k]! >> (table.keys[k]!.bits - key.length) ===
          key.value >> (table.keys[k]!.bits - key.length),
    ),
  );
  expect(matching.length).toBeGreaterThan(0);
  for (const row of matching) expect(row.values).toEqual(matching[0]!.values);
  return matching[0]!.values;
}

/** Sums of a layer of trees as the entries make them: words of codes, then what trees that match them add. */
function sumsOf({ finding, tables, outputs, bits }: TnaLayer, row: Uint8Array): number[] {
  const words = new Map<string, number>();
  const numberOf = ({ source }: TnaKey): number => {
    if (source?.kind === 'code') return Math.floor(words.get(source.word.name)! / 2 ** source.low) % 256;
    return source?.kind === 'byte' ? row[source.element]! : Number.NaN;
  };
  for (const table of finding) {
    const values = matched(table, numberOf);
    if (table.result.kind === 'codes')
      for (const [w, { name }] of table.result.words.entries()) words.set(name, values[w]!);
  }
  const sums = Array.from({ length: outputs }, () => 0);
  for (const table of tables)
    for (const [o, value] of matched(table, numberOf).entries()) sums[o] = (sums[o]! + value) % 2 ** bits;
  return sums;
}

/** The class that the signs of the differences tell, or the distances to the largest sum. */
export function classOf({ layers, outputs }: TnaPlan, row: Uint8Array): number[] {
  const layer = layers.at(-1)!;
  const sums = sumsOf(layer, row);
  if (layer.toLargest) {
    const largest = Math.max(...sums);
    return [sums.map((sum) => largest - sum).indexOf(0)];
  }
  const pairs = pairsOf(outputs.length);
  const differences = layer.differences
    ? sums
    : pairs.map(([i, j]) => (sums[i]! - sums[j]! + 2 ** layer.bits) % 2 ** layer.bits);
  const signs = differences.map((d) => d >= 2 ** (layer.bits - 1));
  return outputs.flatMap((_, t) =>
    pairs.every(([i, j], k) => (i !== t || !signs[k]) && (j !== t || signs[k])) ? [t] : [],
  );
}
