import { binary, cast, type Expression, literal, reference, shift, slice } from '../common/expression.ts';
import { type Activations, ELEMENT_BITS, type Placement } from './activations.ts';
import { type Code, fieldName } from './code.ts';
import { assignLarger } from './emit-pool.ts';

/** Elements that an index of eight bits can tell apart. */
export const MAX_ARGMAX = 256;

/** `[class, margin]` of elements. */
export const emitArgmax = (code: Code, name: string, input: Activations): Activations =>
  verdictOf(
    code,
    name,
    input.placements.map((p) => slice(reference(p.field, p.width), p.offset, ELEMENT_BITS)),
    (margin) => margin,
  );

/**
 * `[class, margin]` of values of one width. Each becomes a key, its value above the complement of its index, so the largest key
 * is the first of the largest values; the runner-up is kept beside it: `second = max(second, min(best, key))`.
 * @param marginOf what becomes of the distance between the two
 */
export function verdictOf(
  code: Code,
  name: string,
  values: readonly Expression[],
  marginOf: (distance: Expression) => Expression,
): Activations {
  const keyBits = values[0]!.width + ELEMENT_BITS;
  // A key and its guard, in whole bytes.
  const width = keyBits + ELEMENT_BITS;
  const field = (part: string) => code.field(`${name}_${part}`, width);
  const [best, second, larger, smaller, difference] = ['best', 'second', 'larger', 'smaller', 'd'].map(
    field,
  ) as [Expression, Expression, Expression, Expression, Expression];
  const keys = values.map((value, i) => keyOf(value, i, width));
  code.assign(best, keys[0]!);
  code.assign(second, literal(0, width));
  for (const key of keys.slice(1)) {
    code.assign(larger, best);
    assignLarger(code, larger, difference, key, [0], keyBits);
    code.assign(smaller, binary(binary(best, '+', key), '-', larger));
    code.assign(best, larger);
    assignLarger(code, second, difference, smaller, [0], keyBits);
  }
  const result = code.field(`${name}_class`, width);
  const margin = code.field(`${name}_margin`, width);
  const low = literal(0xff, width);
  code.assign(result, binary(binary(best, '&', low), '^', low));
  const value = (key: Expression) => shift(key, '>>', ELEMENT_BITS);
  const alone = values.length < 2;
  code.assign(margin, alone ? low : binary(value(best), '-', value(second)));
  const place = (f: Expression): Placement => ({
    field: fieldName(f),
    width,
    offset: 0,
    pitch: ELEMENT_BITS,
  });
  const placements = [place(result), place(alone ? margin : marginOf(margin))];
  return { placements, low: 0, high: 255 };
}

const keyOf = (value: Expression, index: number, width: number): Expression =>
  binary(shift(cast(value, width), '<<', ELEMENT_BITS), '|', literal(0xff - index, width));

/** The smaller of a field and a number. */
export function atMost(code: Code, name: string, value: Expression, most: number): Expression {
  const { width } = value;
  const [larger, difference, smaller] = ['larger', 'd', 'least'].map((part) =>
    code.field(`${name}_${part}`, width),
  ) as [Expression, Expression, Expression];
  const limit = code.constantField(`${name}_limit`, width, BigInt(most));
  code.assign(larger, value);
  assignLarger(code, larger, difference, reference(limit, width), [0], width - ELEMENT_BITS);
  code.assign(smaller, binary(binary(value, '+', literal(most, width)), '-', larger));
  return smaller;
}
