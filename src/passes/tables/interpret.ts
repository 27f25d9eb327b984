import type { Activation } from './activation.ts';
import { pieceAt } from './cover.ts';
import type { SumLayer, TableProgram } from './program.ts';

/** Finished sums by layer. */
type Sums = ReadonlyMap<number, readonly number[]>;

/**
 * What the program means: the reference of its targets. Runs one row of bytes.
 * @returns the q-values of the outputs; with a verdict, of what it compares
 */
export function interpretTables(program: TableProgram, row: Uint8Array): number[] {
  const sums = new Map<number, number[]>();
  for (const layer of program.layers)
    sums.set(
      layer.layer,
      runLayer(layer, (a) => levelOf(a, row, sums)),
    );
  return program.outputs.map((a) => a.levels[levelOf(a, row, sums)]!);
}

/** Index of the level that an activation has. */
export function levelOf({ source, pieces }: Activation, row: Uint8Array, sums: Sums): number {
  if (source === undefined) return pieces.levels[0]!;
  const x = source.kind === 'byte' ? row[source.element]! : sums.get(source.layer)![source.output]!;
  return pieces.levels[pieceAt(pieces, x)]!;
}

/** The finished sums of a layer. */
export function runLayer({ tables, sums }: SumLayer, level: (a: Activation) => number): number[] {
  const out = sums.map(() => 0);
  for (const { keys, values } of tables) {
    const at = keys.reduce((index, key) => index * key.levels.length + level(key), 0);
    const added = values[at]!;
    for (let o = 0; o < out.length; o++) out[o]! += added[o]!;
  }
  return out;
}
