import type { Activation } from './activation.ts';
import { pieceAt } from './cover.ts';
import type { SumLayer, TableProgram, TreeRow, TreeTable } from './program.ts';

/** Finished sums by layer. */
type Sums = ReadonlyMap<number, readonly number[]>;

/**
 * What the program means: the reference of its targets. Runs one row of bytes.
 * @returns the q-values of the outputs; with a verdict, what it compares: q-values, or sums
 */
export function interpretTables(program: TableProgram, row: Uint8Array): number[] {
  const sums = new Map<number, number[]>();
  for (const layer of program.layers)
    sums.set(
      layer.layer,
      runLayer(layer, (a) => levelOf(a, row, sums)),
    );
  if (program.comparedSums !== undefined) return [...sums.get(program.layers.at(-1)!.layer)!];
  return program.outputs.map((a) => a.levels[levelOf(a, row, sums)]!);
}

/** The largest margin that is told. */
const MOST_MARGIN = 255;

/** The bytes that a program answers with: q-values, or with a verdict class and margin. */
export function answerTables(program: TableProgram, row: Uint8Array): Uint8Array {
  const values = interpretTables(program, row);
  if (program.verdict === undefined) return Uint8Array.from(values, (q) => q & 0xff);
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  const others = values.filter((_, i) => i !== best);
  const distance = others.length === 0 ? Number.POSITIVE_INFINITY : values[best]! - Math.max(...others);
  const steps = Math.floor(distance / 2 ** (program.comparedSums?.stepBits ?? 0));
  return Uint8Array.of(best, Math.min(MOST_MARGIN, steps));
}

/** Index of the level that an activation has. */
export function levelOf({ source, pieces }: Activation, row: Uint8Array, sums: Sums): number {
  if (source === undefined) return pieces.levels[0]!;
  const x = source.kind === 'byte' ? row[source.element]! : sums.get(source.layer)![source.output]!;
  return pieces.levels[pieceAt(pieces, x)]!;
}

/** The finished sums of a layer. */
export function runLayer({ tables, trees, sums }: SumLayer, level: (a: Activation) => number): number[] {
  const out = sums.map(() => 0);
  const add = (values: readonly number[]) => {
    for (let o = 0; o < out.length; o++) out[o]! += values[o]!;
  };
  for (const { keys, values } of tables)
    add(values[keys.reduce((index, key) => index * key.levels.length + level(key), 0)]!);
  if (trees === undefined) return out;
  const codes = trees.codes.map(({ key, words }) => words[level(key)]!);
  for (const tree of trees.tables) add(rowOf(tree, codes).values);
  return out;
}

/** The row of a tree that the codes of its layer lead to. */
const rowOf = (tree: TreeTable, codes: readonly number[]): TreeRow =>
  tree.rows.find((row) =>
    row.codes.every(({ value, mask }, i) => (codes[tree.codes[i]!]! & mask) === value),
  )!;
