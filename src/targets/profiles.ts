import type { Diagnostic } from '../diagnostics/index.ts';
import type { Work } from './cost-model.ts';

/** One resource of a segment: what it needs, beside what its target has at most (none: the topology says). */
export interface SegmentNeed {
  readonly resource: string;
  readonly need: number;
  readonly limit?: number;
  readonly unit: string;
  /** Where one layer alone is what needs it. */
  readonly layer?: string;
}

/** What a kind of node makes of a segment, load and price aside. */
export interface SegmentProfile {
  readonly work: Work;
  readonly needs: readonly SegmentNeed[];
  /** Reasons for which this kind does not run it at all. */
  readonly unsupported: readonly string[];
}

/** What one kind of node makes of every segment of a model. */
export interface KindProfiles {
  /** @pre from < to, cut indices */
  profile(from: number, to: number): SegmentProfile;
  confirm(from: number, to: number): readonly string[];
  /** What is to be said of them, such as what an approximation loses. */
  readonly remarks?: readonly Diagnostic[];
}

/**
 * How the need of a segment follows from those of its blocks. `overlap[c]` is what joining the blocks on both sides of cut c
 * saves, for example a header that is parsed once instead of twice:
 * `need(i, j) = sum_{i <= b < j} need(b) - sum_{i < c < j} overlap(c)`, or the largest of its blocks.
 */
export type Combination =
  | { readonly how: 'sum'; readonly overlap?: readonly number[] }
  | { readonly how: 'largest' };

/** One resource over all blocks. */
export interface BlockNeeds {
  readonly need: Omit<SegmentNeed, 'need' | 'layer'>;
  readonly combination: Combination;
  readonly blocks: readonly { readonly need: number; readonly layer?: string }[];
}

/** What a target says of each block, the layers between two neighbouring cuts; `profilesOf` makes segments of it. */
export interface BlockTable {
  /** One a block. */
  readonly work: readonly Work[];
  readonly unsupported: readonly (readonly string[])[];
  readonly resources: readonly BlockNeeds[];
}

/** Profiles of segments from a table of blocks: sums in constant time, the rest in the length of the segment. */
export function profilesOf(table: BlockTable): (from: number, to: number) => SegmentProfile {
  const macs = prefixSums(table.work.map((w) => w.macs));
  const multiplies = prefixSums(table.work.map((w) => w.multiplies));
  const neurons = prefixSums(table.work.map((w) => w.neurons));
  const resources = table.resources.map(needOver);
  return (from, to) => ({
    work: {
      macs: macs[to]! - macs[from]!,
      multiplies: multiplies[to]! - multiplies[from]!,
      neurons: neurons[to]! - neurons[from]!,
    },
    needs: resources.map((need) => need(from, to)),
    unsupported: table.unsupported.slice(from, to).flat(),
  });
}

function needOver({ need, combination, blocks }: BlockNeeds): (from: number, to: number) => SegmentNeed {
  if (combination.how === 'largest')
    return (from, to) => {
      let largest = blocks[from]!;
      for (let b = from + 1; b < to; b++) if (blocks[b]!.need > largest.need) largest = blocks[b]!;
      return { ...need, ...largest };
    };
  const sums = prefixSums(blocks.map((b) => b.need));
  const overlaps = prefixSums(blocks.map((_, cut) => combination.overlap?.[cut] ?? 0));
  // The overlaps of cuts from + 1 up to to - 1.
  return (from, to) => ({ ...need, need: sums[to]! - sums[from]! - (overlaps[to]! - overlaps[from + 1]!) });
}

/** `sums[i]`: of the first i values. */
function prefixSums(values: readonly number[]): number[] {
  const sums = [0];
  for (const [i, value] of values.entries()) sums.push(sums[i]! + value);
  return sums;
}
