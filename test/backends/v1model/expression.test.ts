import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  binary,
  cast,
  concat,
  type Expression,
  evaluate,
  literal,
  reference,
  select,
  shift,
  slice,
} from '../../../src/backends/common/expression.ts';
import { printExpression, printLiteral } from '../../../src/backends/v1model/print-expression.ts';

const a = reference('a', 8);
const b = reference('b', 8);
const values = new Map([
  ['a', 0xf0n],
  ['b', 0x21n],
]);

describe('expressions', () => {
  test('arithmetic is modulo the width', () => {
    expect(evaluate(binary(a, '+', b), values)).toBe(0x11n);
    expect(evaluate(binary(b, '-', a), values)).toBe(0x31n);
    expect(evaluate(binary(a, '*', b), values)).toBe(BigInt.asUintN(8, 0xf0n * 0x21n));
    expect(evaluate(shift(a, '<<', 1), values)).toBe(0xe0n);
  });

  test('slices, casts and concatenations', () => {
    expect(evaluate(slice(a, 4, 4), values)).toBe(0xfn);
    expect(evaluate(cast(a, 4), values)).toBe(0n);
    expect(evaluate(concat(a, b), values)).toBe(0xf021n);
    expect(evaluate(literal(-1, 8), values)).toBe(0xffn);
    expect(evaluate(select(literal(0x1234, 16), slice(b, 5, 3)), values)).toBe(0x91an);
  });

  test('what has no effect makes no node', () => {
    expect(shift(a, '>>', 0)).toBe(a);
    expect(slice(a, 0, 8)).toBe(a);
    expect(cast(a, 8)).toBe(a);
  });

  test('operands of two widths are a fault of the caller', () => {
    expect(() => binary(a, '+', literal(1, 9))).toThrow('widths 8 + 9');
    expect(() => slice(a, 4, 5)).toThrow('bits 8..4 of 8');
  });
});

describe('printing', () => {
  test.each<[Expression, string]>([
    [binary(binary(a, '+', b), '*', a), '(a + b) * a'],
    [binary(a, '+', binary(b, '*', a)), 'a + b * a'],
    [binary(a, '-', binary(b, '-', a)), 'a - (b - a)'],
    [binary(binary(a, '-', b), '-', a), 'a - b - a'],
    [binary(a, '&', shift(b, '>>', 3)), 'a & b >> 3'],
    [shift(binary(a, '&', b), '>>', 3), '(a & b) >> 3'],
    [binary(binary(a, '&', b), '|', a), 'a & b | a'],
    [select(a, b), 'a >> b'],
    [binary(select(a, slice(b, 2, 3)), '&', a), 'a >> b[4:2] & a'],
    [select(a, binary(a, '+', b)), 'a >> a + b'],
    [select(a, select(a, b)), 'a >> (a >> b)'],
    [slice(binary(a, '+', b), 2, 3), '(a + b)[4:2]'],
    [cast(slice(a, 2, 3), 8), '(bit<8>)a[4:2]'],
    [slice(cast(a, 16), 2, 3), '((bit<16>)a)[4:2]'],
    [binary(cast(a, 16), '*', literal(300, 16)), '(bit<16>)a * 16w0x12c'],
  ])('%#: %s', (expression, text) => {
    expect(printExpression(expression)).toBe(text);
  });

  test('literals have their width, whatever their size', () => {
    expect(printLiteral(0n, 8)).toBe('8w0');
    expect(printLiteral(1n << 2047n, 2048)).toBe(`2048w0x8${'0'.repeat(511)}`);
  });

  /** Reads back what was printed, by the precedence of P4_16, with JavaScript's numbers. */
  const read = (text: string): bigint => {
    const js = text
      .replace(/\d+w(0x[0-9a-f]+|\d+)/g, '$1n')
      .replace(/(>>|<<) (\d+)/g, '$1 $2n')
      .replace(/\b([ab])\b/g, (name) => `${values.get(name)!}n`);
    return Function(`return ${js}`)() as bigint;
  };

  test('parentheses keep the tree: random expressions mean the same after printing', () => {
    const leaf = fc.constantFrom<Expression>(reference('a', 64), reference('b', 64), literal(3, 64));
    const { tree } = fc.letrec<{ tree: Expression }>((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        leaf,
        fc
          .tuple(tie('tree'), fc.constantFrom('+', '&', '|', '^', '*'), tie('tree'))
          .map(([l, o, r]) => binary(l, o, r)),
        fc.tuple(tie('tree'), fc.integer({ min: 1, max: 3 })).map(([e, n]) => shift(e, '>>', n)),
      ),
    }));
    fc.assert(
      fc.property(tree, (e) => {
        const exact = read(printExpression(e));
        // Wider than 64 bits the two differ by definition.
        fc.pre(exact < 2n ** 64n);
        expect(evaluate(e, values)).toBe(exact);
      }),
    );
  });
});
