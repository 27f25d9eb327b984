import type { FieldName } from '../fields.ts';

/** Largest value of an expression: what a double holds exactly. All targets compute in 64 bits. */
export const MOST = Number.MAX_SAFE_INTEGER;

/** Two instants are never further apart than this, in units of the clock: 8.9 years or 78 hours. */
export const MOST_DURATION = 2 ** 48 - 1;

/**
 * What an expression is: a whole number in 0..`most`, a point in time, or the distance of two such in units of the
 * clock. Times become numbers only by `ns`, `us`, `ms` and `s`.
 */
export type ValueType =
  | { readonly kind: 'integer'; readonly most: number }
  | { readonly kind: 'instant' }
  | { readonly kind: 'duration' };

/** Operators of two integers, as targets print them. `-` is `max(0, a - b)`; comparisons give 0 or 1. */
export type TypedOperator = '+' | '-' | '*' | '&' | '|' | '^' | '<' | '<=' | '==' | 'min' | 'max';

/** An expression whose names are resolved and whose types are checked: what the reference runs and the targets print. */
export type Typed = { readonly type: ValueType } & (
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'field'; readonly name: FieldName }
  | { readonly kind: 'now' }
  | { readonly kind: 'state'; readonly index: number; readonly before: boolean }
  | {
      readonly kind: 'operator';
      readonly operator: TypedOperator;
      readonly left: Typed;
      readonly right: Typed;
    }
  | { readonly kind: 'shift'; readonly operand: Typed; readonly bits: number; readonly to: 'left' | 'right' }
  /** `floor(operand / by)`. */
  | { readonly kind: 'divide'; readonly operand: Typed; readonly by: number }
  | {
      readonly kind: 'choice';
      readonly condition: Typed;
      readonly whenTrue: Typed;
      readonly whenFalse: Typed;
    }
  | { readonly kind: 'log8' | 'log2'; readonly operand: Typed }
  /** `table[operand]`, the operand below its length. */
  | { readonly kind: 'table'; readonly operand: Typed; readonly table: readonly number[] }
  /** How many of the ascending thresholds are at most the operand. */
  | { readonly kind: 'bins'; readonly operand: Typed; readonly thresholds: readonly number[] }
);

/** What an expression is made of, in the order of its text. */
export function partsOf(e: Typed): readonly Typed[] {
  switch (e.kind) {
    case 'operator':
      return [e.left, e.right];
    case 'choice':
      return [e.condition, e.whenTrue, e.whenFalse];
    case 'shift':
    case 'divide':
    case 'log8':
    case 'log2':
    case 'table':
    case 'bins':
      return [e.operand];
    case 'constant':
    case 'field':
    case 'now':
    case 'state':
      return [];
  }
}

/** The same operator on other parts. @param part what becomes of each */
export function mapParts(e: Typed, part: (inner: Typed) => Typed): Typed {
  switch (e.kind) {
    case 'operator':
      return { ...e, left: part(e.left), right: part(e.right) };
    case 'choice':
      return {
        ...e,
        condition: part(e.condition),
        whenTrue: part(e.whenTrue),
        whenFalse: part(e.whenFalse),
      };
    case 'shift':
    case 'divide':
    case 'log8':
    case 'log2':
    case 'table':
    case 'bins':
      return { ...e, operand: part(e.operand) };
    case 'constant':
    case 'field':
    case 'now':
    case 'state':
      return e;
  }
}
