import type { EmbeddingLayer } from '../../model/model.ts';
import { binary, concat, type Expression, literal, reference, slice } from '../common/expression.ts';
import { type Activations, ELEMENT_BITS, type Placement } from './activations.ts';
import type { Code, Lookup } from './code.ts';
import {
  constantsOf,
  emitRequantisation,
  emitSides,
  emitTies,
  requantisationOf,
  startWords,
} from './emit-matrix.ts';
import { type LaneWords, type MatrixSpec, rowOffset } from './lane-words.ts';

/**
 * Rows by keys: a match table a key, since a packet may use a table but once, all with the same entries. An entry holds its
 * row in lanes, already times the multiplier, and its action adds it to the bag's words; behind the last key they are
 * requantised as the sums of any matrix are.
 */
export function emitEmbedding(
  code: Code,
  index: number,
  layer: EmbeddingLayer,
  input: Activations,
  { spec, multiplier }: { readonly spec: MatrixSpec; readonly multiplier: number },
  layout: LaneWords,
  runtime: boolean,
): Placement[] {
  const { keyBytes, bag, rows } = layer;
  const keyCount = input.placements.length / keyBytes;
  const name = `l${index}`;
  const bags = Array.from({ length: keyCount / bag }, (_, b) =>
    layout.words.map((word, w) => code.field(`${name}_${b}_${w}`, word.width)),
  );
  for (const field of bags.flat()) code.assign(field, literal(0, field.width));
  const keyFields = Array.from({ length: keyCount }, (_, k) =>
    keyField(code, `${name}_key${k}`, layer, k, input),
  );
  const keys = Array.from({ length: rows }, (_, key) => keyOnWire(key, keyBytes));
  const values = keys.map((_, key) =>
    layout.words.map((word) => rowWord(layer, multiplier, layout, word, key)),
  );
  code.beginLookups(
    index,
    keyFields.map((key, k): Lookup => {
      const targets = bags[Math.floor(k / bag)]!;
      return { layer: index, index: k, key, keys, targets, values, constant: !runtime };
    }),
  );

  const constant = constantsOf(code, runtime);
  const elements = bags.map((): Placement[] => []);
  for (const [w, word] of layout.words.entries()) {
    const requantisation = requantisationOf(spec, layout, word, runtime);
    const start = startWords(spec, layout, word).get('')!;
    for (const [b, fields] of bags.entries()) {
      const field = fields[w]!;
      code.assign(field, binary(field, '+', constant(`start_${w}`, word.width, start)));
      emitSides(code, field, w, spec, word, requantisation, constant);
      emitTies(code, field, w, spec, word, requantisation, constant);
      elements[b]!.push(...emitRequantisation(code, field, requantisation));
    }
  }
  return elements.flat();
}

/** The field that holds a key as it stands in the packet: its first byte, the least significant one, on top. */
function keyField(
  code: Code,
  name: string,
  { keyBytes }: EmbeddingLayer,
  index: number,
  { placements, low }: Activations,
): Expression {
  const bytes = placements.slice(index * keyBytes, (index + 1) * keyBytes);
  const width = keyBytes * ELEMENT_BITS;
  const { field } = bytes[0]!;
  const whole = bytes.every(
    (p, i) => p.field === field && p.width === width && p.offset === (keyBytes - 1 - i) * ELEMENT_BITS,
  );
  if (whole && low === 0) return reference(field, width);
  const parts = bytes.map((p) => {
    const u = slice(reference(p.field, p.width), p.offset, ELEMENT_BITS);
    return low === 0 ? u : binary(u, '+', literal(low, ELEMENT_BITS));
  });
  const key = code.field(name, width);
  code.assign(
    key,
    parts.reduce((a, b) => concat(a, b)),
  );
  return key;
}

/** The number that a key's bytes are when the first is the most significant one. */
function keyOnWire(key: number, bytes: number): number {
  let reversed = 0;
  for (let i = 0; i < bytes; i++) reversed = reversed * 256 + (Math.floor(key / 256 ** i) % 256);
  return reversed;
}

/** What the key adds to a bag's word. */
function rowWord(
  { table, width }: EmbeddingLayer,
  multiplier: number,
  layout: LaneWords,
  word: LaneWords['words'][number],
  key: number,
): bigint {
  let sum = 0n;
  for (let row = 0; row < word.rows; row++) {
    const entry = table[key * width + word.firstRow + row]! * multiplier;
    sum += BigInt(entry) << BigInt(rowOffset(layout, row));
  }
  return BigInt.asUintN(word.width, sum);
}
