export { checkExpression, type Scope, UNITS, type Unit } from './check.ts';
export { type Context, type Evaluator, evaluator } from './evaluate.ts';
export { parseExpression } from './parse.ts';
export { ExpressionError } from './tokens.ts';
export type { Expression } from './tree.ts';
export { MOST_DURATION, mapParts, partsOf, type Typed, type ValueType } from './typed.ts';
