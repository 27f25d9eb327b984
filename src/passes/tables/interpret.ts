import { pieceAt } from './cover.ts';
import type { SumLayer, TableProgram } from './program.ts';

/**
 * What the program means: the reference of its targets. Runs one row of bytes.
 * @returns the q-values of the outputs; with a verdict, of what it compares
 */
export function interpretTables(program: TableProgram, row: Uint8Array): number[] {
  const sums = new Map<number, number[]>();
  const levelOf = ({ source, pieces }: TableProgram['outputs'][number]): number => {
    if (source === undefined) return pieces.levels[0]!;
    const x = source.kind === 'byte' ? row[source.element]! : sums.get(source.layer)![source.output]!;
    return pieces.levels[pieceAt(pieces, x)]!;
  };
  for (const layer of program.layers) sums.set(layer.layer, runLayer(layer, levelOf));
  return program.outputs.map((a) => a.levels[levelOf(a)]!);
}

function runLayer(
  { tables, sums }: SumLayer,
  levelOf: (a: TableProgram['outputs'][number]) => number,
): number[] {
  const out = sums.map(() => 0);
  for (const { keys, values } of tables) {
    const at = keys.reduce((index, key) => index * key.levels.length + levelOf(key), 0);
    const added = values[at]!;
    for (let o = 0; o < out.length; o++) out[o]! += added[o]!;
  }
  return out;
}
