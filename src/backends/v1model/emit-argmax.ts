import { binary, cast, type Expression, literal, reference, shift, slice } from '../common/expression.ts';
import { type Activations, ELEMENT_BITS, type Placement } from './activations.ts';
import type { Code } from './code.ts';
import { assignLarger } from './emit-pool.ts';

/** Elements that an index of eight bits can tell apart. */
export const MAX_ARGMAX = 256;

const KEY_BITS = 16;
/** A key and its guard, in whole bytes. */
const WIDTH = 24;

/**
 * `[class, margin]`. Each element becomes a key, its value above the complement of its index, so the largest key is the
 * first of the largest elements; the runner-up is kept beside it: `second = max(second, min(best, key))`.
 */
export function emitArgmax(code: Code, name: string, input: Activations): Activations {
  const field = (part: string) => code.field(`${name}_${part}`, WIDTH);
  const [best, second, larger, smaller, difference] = ['best', 'second', 'larger', 'smaller', 'd'].map(
    field,
  ) as [Expression, Expression, Expression, Expression, Expression];
  const keys = input.placements.map((p, i) => keyOf(p, i));
  code.assign(best, keys[0]!);
  code.assign(second, literal(0, WIDTH));
  for (const key of keys.slice(1)) {
    code.assign(larger, best);
    assignLarger(code, larger, difference, key, [0], KEY_BITS);
    code.assign(smaller, binary(binary(best, '+', key), '-', larger));
    code.assign(best, larger);
    assignLarger(code, second, difference, smaller, [0], KEY_BITS);
  }
  const result = code.field(`${name}_class`, WIDTH);
  const margin = code.field(`${name}_margin`, WIDTH);
  const low = literal(0xff, WIDTH);
  code.assign(result, binary(binary(best, '&', low), '^', low));
  const alone = input.placements.length < 2;
  const value = (key: Expression) => shift(key, '>>', ELEMENT_BITS);
  code.assign(margin, alone ? low : binary(value(best), '-', value(second)));
  const place = (f: Expression): Placement => ({
    field: f.kind === 'reference' ? f.name : '',
    width: WIDTH,
    offset: 0,
    pitch: ELEMENT_BITS,
  });
  return { placements: [place(result), place(margin)], low: 0, high: 255 };
}

function keyOf(p: Placement, index: number): Expression {
  const value = cast(slice(reference(p.field, p.width), p.offset, ELEMENT_BITS), WIDTH);
  return binary(shift(value, '<<', ELEMENT_BITS), '|', literal(0xff - index, WIDTH));
}
