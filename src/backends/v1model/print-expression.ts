import type { Expression } from '../common/expression.ts';

/** How tightly an operator binds, as P4_16 has it (appendix of the grammar); operands bind tighter or get parentheses. */
const BINDING = { '*': 6, '+': 5, '-': 5, '++': 5, '<<': 4, '>>': 4, '&': 3, '^': 2, '|': 1 } as const;

/** Casts and slices take only what binds like a name. */
const UNARY = 7;
const PRIMARY = 8;

/** `8w255`, in hexadecimal from 16 on. */
export const printLiteral = (value: bigint, width: number): string =>
  `${width}w${value < 16n ? value : `0x${value.toString(16)}`}`;

/** P4_16 source of an expression. Sums and products keep the order of the tree: p4c computes them as they stand. */
export function printExpression(e: Expression): string {
  return print(e, 0);
}

function print(e: Expression, context: number): string {
  const wrap = (text: string, binding: number) => (binding < context ? `(${text})` : text);
  const infix = (left: Expression, operator: keyof typeof BINDING, right: string) => {
    const binding = BINDING[operator];
    return wrap(`${print(left, binding)} ${operator} ${right}`, binding);
  };
  switch (e.kind) {
    case 'reference':
      return e.name;
    case 'literal':
      return printLiteral(e.value, e.width);
    case 'binary':
      // & | ^ mixed with others are warned about by readers, not by p4c: they bind as in the table.
      return infix(e.left, e.operator, print(e.right, BINDING[e.operator] + 1));
    case 'shift':
      return infix(e.operand, e.operator, `${e.amount}`);
    case 'select':
      return infix(e.operand, '>>', print(e.amount, BINDING['>>'] + 1));
    case 'concat':
      return infix(e.left, '++', print(e.right, BINDING['++'] + 1));
    case 'slice':
      return `${print(e.operand, PRIMARY)}[${e.high}:${e.low}]`;
    case 'cast':
      return wrap(`(bit<${e.width}>)${print(e.operand, UNARY)}`, UNARY);
  }
}
