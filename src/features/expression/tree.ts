/** Operators of two integers. `-` stops at 0: nothing in an expression is ever negative. */
export type BinaryOperator =
  | '+'
  | '-'
  | '*'
  | '&'
  | '|'
  | '^'
  | '<<'
  | '>>'
  | '<'
  | '<='
  | '>'
  | '>='
  | '=='
  | '!='
  | '&&'
  | '||';

/** What a name stands for, once it is known. */
export type Reference =
  | { readonly kind: 'field'; readonly name: string }
  /** A scalar of the flow's state: as it is after this packet, or as it was before it. */
  | { readonly kind: 'state'; readonly name: string; readonly before: boolean };

/** An expression as it is written; `at` is where in its text, for messages. */
export type Expression =
  | { readonly kind: 'number'; readonly value: number; readonly at: number }
  | { readonly kind: 'name'; readonly name: string; readonly index?: number; readonly at: number }
  | { readonly kind: 'not'; readonly operand: Expression; readonly at: number }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly at: number;
    }
  | {
      readonly kind: 'choice';
      readonly condition: Expression;
      readonly whenTrue: Expression;
      readonly whenFalse: Expression;
      readonly at: number;
    }
  | {
      readonly kind: 'call';
      readonly name: string;
      readonly args: readonly Expression[];
      readonly at: number;
    };
