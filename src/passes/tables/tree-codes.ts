import type { Activation } from './activation.ts';
import { type CodeForm, type Cube, codeForms } from './codes.ts';
import type { Code, CodeMatch } from './program.ts';

/** A leaf by the ranks that lead to it: of each feature that its path asks for, the least and the greatest. */
export interface LeafRun {
  /** Row of the leaf's scores. */
  readonly row: number;
  readonly runs: ReadonlyMap<number, readonly [first: number, last: number]>;
}

/** Trees as matches of codes, and the codes that they share. */
export interface CodedTrees {
  readonly codes: readonly Code[];
  readonly trees: readonly CodedTree[];
}

/** A tree: the codes that it matches, and what of them leads to which row of scores. */
export interface CodedTree {
  /** Places of codes. */
  readonly codes: readonly number[];
  readonly matches: readonly { readonly row: number; readonly codes: readonly CodeMatch[] }[];
}

/** Bits of a code: those that a key of hardware is made of. */
export const CODE_BITS = 8;

/** Entries of a tree up to which fewer bits are bought: with two versions, those of a block of ternary memory. */
const MOST_ENTRIES = 256;

/** Entries that a bit is worth. */
const BIT_PRICE = 4;

/** Trees whose bits share bytes, as tried: more fill them better, fewer leave keys shorter. */
const GROUPS = [1, 2, 3, 4, 5, 6, 7, 8] as const;

/** One feature of one tree. */
interface Part {
  readonly feature: number;
  /** First ranks of all intervals but the lowest, ascending. */
  readonly starts: readonly number[];
  readonly forms: readonly CodeForm[];
}

/** Where bits of a tree's code of a feature stand: `count` of them from `from` on, at `low` of a byte. */
interface Piece {
  readonly tree: number;
  readonly part: Part;
  readonly form: CodeForm;
  readonly from: number;
  readonly count: number;
  readonly low: number;
}

/** Bits of several trees in a byte. */
interface Bin {
  readonly pieces: Piece[];
  used: number;
}

/**
 * Finds codes for the leaves of trees: for each feature of each tree those of the fewest bits that entries are well spent on, and
 * the bits of several trees together in bytes.
 * @param rankOf rank of each level of a feature
 * @pre each tree asks for some feature
 */
export function codeTrees(
  leaves: readonly (readonly LeafRun[])[],
  inputs: readonly Activation[],
  rankOf: (feature: number) => readonly number[],
): CodedTrees {
  const chosen = leaves.map((tree) => chooseForms(tree));
  const packings = GROUPS.filter((size) => size === 1 || size <= leaves.length).map((size) =>
    pack(chosen, size),
  );
  const best = packings.reduce((a, b) => (b.length < a.length ? b : a));
  const codes = best.map(({ feature, bin }, index): Code => {
    const ranks = rankOf(feature);
    return { index, key: inputs[feature]!, words: ranks.map((rank) => byteOf(bin, rank)) };
  });
  const trees = leaves.map((tree, t): CodedTree => {
    const own = best.flatMap(({ bin }, at) => (bin.pieces.some((p) => p.tree === t) ? [at] : []));
    const matches = tree.flatMap(({ row, runs }) =>
      cubesOfLeaf(chosen[t]!, runs).map((cube) => ({
        row,
        codes: own.map((at) => matchOf(best[at]!.bin, t, cube)),
      })),
    );
    return { codes: own, matches };
  });
  return { codes, trees };
}

type Chosen = ReadonlyMap<number, { readonly part: Part; readonly form: CodeForm }>;

/** Begins with a bit a threshold, and takes fewer where that costs the fewest entries a bit. */
function chooseForms(leaves: readonly LeafRun[]): Chosen {
  const parts = partsOf(leaves);
  /** Cubes of each leaf, by part and form. */
  const counts = parts.map((part) =>
    part.forms.map((form) => leaves.map(({ runs }) => cubesOfPart({ part, form }, runs).length)),
  );
  const at = parts.map(() => 0);
  let rows = leaves.map(() => 1);
  for (;;) {
    let best: { part: number; form: number; rows: number[]; price: number } | undefined;
    const entries = total(rows);
    for (const [p, { forms }] of parts.entries())
      for (let form = at[p]! + 1; form < forms.length; form++) {
        const more = rows.map((n, l) => (n / counts[p]![at[p]!]![l]!) * counts[p]![form]![l]!);
        const price = (total(more) - entries) / (forms[at[p]!]!.bits - forms[form]!.bits);
        if (total(more) <= MOST_ENTRIES && price <= BIT_PRICE && (best === undefined || price < best.price))
          best = { part: p, form, rows: more, price };
      }
    if (best === undefined) break;
    at[best.part] = best.form;
    rows = best.rows;
  }
  return new Map(parts.map((part, p) => [part.feature, { part, form: part.forms[at[p]!]! }]));
}

const total = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** The features that a tree asks for, with what its leaves tell apart. */
function partsOf(leaves: readonly LeafRun[]): Part[] {
  const starts = new Map<number, Set<number>>();
  for (const { runs } of leaves)
    for (const [feature, [first, last]] of runs) {
      const own = starts.get(feature) ?? new Set();
      starts.set(feature, own.add(first).add(last + 1));
    }
  return [...starts].flatMap(([feature, all]): Part[] => {
    // Where the whole begins and ends there is nothing to tell.
    const [least, most] = [0, Math.max(...all)];
    const inner = [...all].filter((start) => start > least && start < most).sort((a, b) => a - b);
    return inner.length === 0 ? [] : [{ feature, starts: inner, forms: codeForms(inner.length) }];
  });
}

/** Intervals of a run of ranks. */
const intervalsOf = (
  { starts }: Part,
  [first, last]: readonly [number, number],
): readonly [number, number] => [
  starts.filter((s) => s <= first).length,
  starts.filter((s) => s <= last).length,
];

const cubesOfPart = ({ part, form }: { part: Part; form: CodeForm }, runs: LeafRun['runs']) => {
  const run = runs.get(part.feature);
  return run === undefined ? [[]] : form.cubesOf(...intervalsOf(part, run));
};

/** Of a leaf: what its features have to be, by feature. */
function cubesOfLeaf(chosen: Chosen, runs: LeafRun['runs']): ReadonlyMap<number, Cube>[] {
  let cubes: ReadonlyMap<number, Cube>[] = [new Map()];
  for (const [feature, own] of chosen) {
    const parts = cubesOfPart(own, runs);
    cubes = cubes.flatMap((cube) => parts.map((part) => new Map(cube).set(feature, part)));
  }
  return cubes;
}

/** Bytes of codes, feature by feature: trees of a group share theirs. */
function pack(chosen: readonly Chosen[], size: number): { readonly feature: number; readonly bin: Bin }[] {
  const features = [...new Set(chosen.flatMap((own) => [...own.keys()]))].sort((a, b) => a - b);
  return features.flatMap((feature) => {
    const bins: { feature: number; bin: Bin }[] = [];
    for (let first = 0; first < chosen.length; first += size) {
      const members = chosen
        .slice(first, first + size)
        .flatMap((own, i) => {
          const there = own.get(feature);
          return there === undefined ? [] : [{ tree: first + i, ...there }];
        })
        .sort((a, b) => b.form.bits - a.form.bits || a.tree - b.tree);
      for (const bin of binsOf(members)) bins.push({ feature, bin });
    }
    return bins;
  });
}

/** The longest first, each in the first byte that has room; what is longer than a byte begins with bytes of its own. */
function binsOf(members: readonly { tree: number; part: Part; form: CodeForm }[]): Bin[] {
  const bins: Bin[] = [];
  for (const { tree, part, form } of members)
    for (let from = 0; from < form.bits; from += CODE_BITS) {
      const count = Math.min(CODE_BITS, form.bits - from);
      let bin = bins.find((b) => b.used + count <= CODE_BITS);
      if (bin === undefined) {
        bin = { pieces: [], used: 0 };
        bins.push(bin);
      }
      bin.pieces.push({ tree, part, form, from, count, low: bin.used });
      bin.used += count;
    }
  return bins;
}

/** The byte for values of a rank. */
const byteOf = ({ pieces }: Bin, rank: number): number =>
  pieces.reduce((byte, { part, form, from, count, low }) => {
    const word = form.wordOf(part.starts.filter((s) => s <= rank).length);
    return byte | (Number((word >> BigInt(from)) & ((1n << BigInt(count)) - 1n)) << low);
  }, 0);

/** What a tree asks of a byte, of which other bits are other trees'. */
function matchOf({ pieces }: Bin, tree: number, cube: ReadonlyMap<number, Cube>): CodeMatch {
  let [value, mask] = [0, 0];
  for (const { tree: owner, part, from, count, low } of pieces) {
    if (owner !== tree) continue;
    for (const { bit, isSet } of cube.get(part.feature)!) {
      if (bit < from || bit >= from + count) continue;
      mask |= 1 << (bit - from + low);
      if (isSet) value |= 1 << (bit - from + low);
    }
  }
  return { value, mask };
}
