import { evaluator, mapParts, partsOf, type Typed } from '../../../features/expression/index.ts';
import type { Pieces } from '../../../passes/tables/cover.ts';

/** A part of an expression that stands for one number of the packet or its flow: what a table can match. */
export type Leaf = Typed &
  (
    | { readonly kind: 'field' }
    | { readonly kind: 'state' }
    /** A time between two points, or the lesser or larger of two fields. */
    | { readonly kind: 'operator' }
  );

/** Widest number of which all values are tried. */
const TRIED_BITS = 16;
/** Pieces of a function at most: entries of a table are no fewer. */
const MOST_PIECES = 4096;

const isField = (e: Typed): boolean => e.kind === 'field';

function isLeaf(e: Typed): e is Leaf {
  if (e.kind === 'field' || (e.kind === 'state' && e.type.kind === 'integer')) return true;
  if (e.kind !== 'operator') return false;
  if (e.type.kind === 'duration') return true;
  return (e.operator === 'min' || e.operator === 'max') && isField(e.left) && isField(e.right);
}

const keyOf = (e: Typed): string => JSON.stringify(e);

/** The numbers that an expression reads, each once. */
export function leavesOf(e: Typed): readonly Leaf[] {
  const found = new Map<string, Leaf>();
  const walk = (inner: Typed): void => {
    if (isLeaf(inner)) found.set(keyOf(inner), inner);
    else for (const part of partsOf(inner)) walk(part);
  };
  walk(e);
  return [...found.values()];
}

/** What an expression is that reads no number at all. */
export const constantOf = (e: Typed): number | undefined =>
  leavesOf(e).length === 0 ? evaluator(e)(contextOf(new Float64Array(1))) : undefined;

const contextOf = (before: Float64Array) => ({
  fields: new Proxy({} as never, { get: () => 0 }),
  now: 0,
  before,
  after: before,
});

/**
 * An expression of one number as a function that is constant in pieces.
 * @param bits of the number
 * @returns undefined where the number is wide and the function neither rises nor falls, or has too many pieces
 */
export function piecesOf(e: Typed, leaf: Leaf, bits: number): Pieces | undefined {
  const known = keyOf(leaf);
  const x = new Float64Array(1);
  const context = contextOf(x);
  const f = evaluator(substituted(e, known));
  // What is wider than its number can be is never matched.
  const most = leaf.type.kind === 'integer' ? leaf.type.most : 2 ** bits - 1;
  const at = (value: number): number => {
    x[0] = Math.min(value, most);
    return f(context);
  };
  if (bits <= TRIED_BITS) return tried(at, 2 ** bits);
  return directionOf(e, known) === undefined ? undefined : bisected(at, 2 ** bits);
}

function tried(at: (x: number) => number, size: number): Pieces {
  const starts = [0];
  const levels = [at(0)];
  for (let x = 1; x < size; x++) {
    const level = at(x);
    if (level === levels.at(-1)) continue;
    starts.push(x);
    levels.push(level);
  }
  return { starts, levels };
}

/** @pre the function rises or falls */
function bisected(at: (x: number) => number, size: number): Pieces | undefined {
  const starts: number[] = [];
  const levels: number[] = [];
  for (let start = 0; start < size; ) {
    if (starts.length === MOST_PIECES) return undefined;
    const level = at(start);
    starts.push(start);
    levels.push(level);
    let [same, other] = [start, size];
    while (other - same > 1) {
      const middle = same + Math.floor((other - same) / 2);
      if (at(middle) === level) same = middle;
      else other = middle;
    }
    start = other;
  }
  return { starts, levels };
}

/** The expression with the number in place of the leaf. */
function substituted(e: Typed, leaf: string): Typed {
  if (keyOf(e) === leaf) return { kind: 'state', index: 0, before: true, type: e.type };
  return mapParts(e, (inner) => substituted(inner, leaf));
}

type Direction = 'up' | 'down' | 'flat';

/** Whether the function never falls, or never rises; undefined where its form does not say. */
function directionOf(e: Typed, leaf: string): Direction | undefined {
  if (keyOf(e) === leaf) return 'up';
  const of = (inner: Typed) => directionOf(inner, leaf);
  switch (e.kind) {
    case 'constant':
      return 'flat';
    case 'shift':
    case 'divide':
    case 'log8':
    case 'log2':
    case 'bins':
      return of(e.operand);
    case 'table':
      return isAscending(e.table) ? of(e.operand) : undefined;
    case 'operator':
      return ofOperator(e.operator, of(e.left), of(e.right));
    case 'choice':
    case 'field':
    case 'now':
    case 'state':
      return undefined;
  }
}

const isAscending = (table: readonly number[]): boolean =>
  table.every((v, i) => i === 0 || table[i - 1]! <= v);

function ofOperator(
  operator: (Typed & { kind: 'operator' })['operator'],
  left: Direction | undefined,
  right: Direction | undefined,
): Direction | undefined {
  switch (operator) {
    case '+':
    case '*':
    case 'min':
    case 'max':
      return both(left, right);
    case '-':
      return both(left, turned(right));
    case '<':
    case '<=':
      return both(turned(left), right);
    case '==':
    case '&':
    case '|':
    case '^':
      return left === 'flat' && right === 'flat' ? 'flat' : undefined;
  }
}

const turned = (d: Direction | undefined): Direction | undefined =>
  d === 'up' ? 'down' : d === 'down' ? 'up' : d;

const both = (a: Direction | undefined, b: Direction | undefined): Direction | undefined =>
  a === 'flat' || a === b ? b : b === 'flat' ? a : undefined;
