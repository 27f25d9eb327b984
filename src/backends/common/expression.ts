/**
 * Unsigned expressions of a fixed width, as P4's `bit<W>`: all arithmetic is modulo 2^width. Both operands of a binary
 * operator have its width. The tree is what backends print and what tests evaluate.
 */
export type Expression =
  | { readonly kind: 'reference'; readonly name: string; readonly width: number }
  | { readonly kind: 'literal'; readonly value: bigint; readonly width: number }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly width: number;
    }
  | {
      readonly kind: 'shift';
      readonly operator: '<<' | '>>';
      readonly operand: Expression;
      readonly amount: number;
      readonly width: number;
    }
  /** `operand >> amount`, of an amount of eight bits that a packet brings. */
  | {
      readonly kind: 'select';
      readonly operand: Expression;
      readonly amount: Expression;
      readonly width: number;
    }
  /** Bits `high` down to `low`, both counted from the least significant. */
  | {
      readonly kind: 'slice';
      readonly operand: Expression;
      readonly high: number;
      readonly low: number;
      readonly width: number;
    }
  /** Zero-extends, or drops the high bits. */
  | { readonly kind: 'cast'; readonly operand: Expression; readonly width: number }
  /** Left is the more significant. */
  | {
      readonly kind: 'concat';
      readonly left: Expression;
      readonly right: Expression;
      readonly width: number;
    };

/** Of two operands of one width; sums and products lose what is above it. */
export type BinaryOperator = '+' | '-' | '*' | '&' | '|' | '^';

/** A field, parameter or variable by the name that the printed program has for it. */
export const reference = (name: string, width: number): Expression => ({ kind: 'reference', name, width });

/** A number modulo `2^width`. */
export const literal = (value: bigint | number, width: number): Expression => ({
  kind: 'literal',
  value: BigInt.asUintN(width, BigInt(value)),
  width,
});

/** @throws Error where the widths differ: nothing is widened silently */
export const binary = (left: Expression, operator: BinaryOperator, right: Expression): Expression => {
  if (left.width !== right.width) throw new Error(`widths ${left.width} ${operator} ${right.width}`);
  return { kind: 'binary', operator, left, right, width: left.width };
};

/** By a constant; a right shift brings in zeros. */
export const shift = (operand: Expression, operator: '<<' | '>>', amount: number): Expression =>
  amount === 0 ? operand : { kind: 'shift', operator, operand, amount, width: operand.width };

/** `operand >> amount`, with an amount that is known when the program runs. */
export const select = (operand: Expression, amount: Expression): Expression => ({
  kind: 'select',
  operand,
  amount,
  width: operand.width,
});

/** The whole of an operand is the operand itself. */
export function slice(operand: Expression, low: number, width: number): Expression {
  const high = low + width - 1;
  if (low < 0 || high >= operand.width) throw new Error(`bits ${high}..${low} of ${operand.width}`);
  return width === operand.width ? operand : { kind: 'slice', operand, high, low, width };
}

/** Cuts off high bits, or puts zeros before them. */
export const cast = (operand: Expression, width: number): Expression =>
  width === operand.width ? operand : { kind: 'cast', operand, width };

/** `left` stands in the high bits. */
export const concat = (left: Expression, right: Expression): Expression => ({
  kind: 'concat',
  left,
  right,
  width: left.width + right.width,
});

/** `target = value`, of one width. */
export interface Assignment {
  readonly target: { readonly name: string; readonly width: number };
  readonly value: Expression;
}

/** What the expression means: the definition that printed code is tested against. */
export function evaluate(e: Expression, values: ReadonlyMap<string, bigint>): bigint {
  switch (e.kind) {
    case 'reference': {
      const value = values.get(e.name);
      if (value === undefined) throw new Error(`${e.name} has no value`);
      return value;
    }
    case 'literal':
      return e.value;
    case 'binary':
      return BigInt.asUintN(
        e.width,
        applyOperator(e.operator, evaluate(e.left, values), evaluate(e.right, values)),
      );
    case 'shift': {
      const operand = evaluate(e.operand, values);
      const amount = BigInt(e.amount);
      return BigInt.asUintN(e.width, e.operator === '<<' ? operand << amount : operand >> amount);
    }
    case 'select':
      return evaluate(e.operand, values) >> evaluate(e.amount, values);
    case 'slice':
      return BigInt.asUintN(e.width, evaluate(e.operand, values) >> BigInt(e.low));
    case 'cast':
      return BigInt.asUintN(e.width, evaluate(e.operand, values));
    case 'concat':
      return (evaluate(e.left, values) << BigInt(e.right.width)) | evaluate(e.right, values);
  }
}

function applyOperator(operator: BinaryOperator, left: bigint, right: bigint): bigint {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '&':
      return left & right;
    case '|':
      return left | right;
    case '^':
      return left ^ right;
  }
}
