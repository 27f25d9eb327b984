/**
 * Expressions as BMv2's JSON has them. BMv2 computes with whole numbers of any size, so p4c puts a mask behind each operation that
 * may leave the width of its type. Most of them change nothing: the lower bits of sums, products and shifts do not depend on
 * higher ones, and a field drops what does not fit when it is assigned.
 */

/** An object of p4c's JSON, of which nothing is known yet. */
export type Json = Readonly<Record<string, unknown>>;

/** Widths in bits of what an expression reads; undefined where it may be negative or is not known. */
export interface Widths {
  field(header: string, name: string): number | undefined;
  /** A parameter of the action, by its place. */
  parameter(index: number): number | undefined;
}

/** All bits of the result count, as in a comparison. */
const EXACT = Number.POSITIVE_INFINITY;

/** Narrows a part of p4c's JSON. */
export const isObject = (x: unknown): x is Json => typeof x === 'object' && x !== null && !Array.isArray(x);

/**
 * The same lower `bits` of the result, with fewer operations. `((a + b) & 0xff)` for 8 bits is `a + b`; for 16 it stays.
 * @param bits of the result that count; by default all of them, so that the value is the same
 */
export function withoutMasks(expression: unknown, widths: Widths, bits = EXACT): unknown {
  const e = bare(expression);
  if (!isObject(e) || typeof e.op !== 'string') return e;
  const operand = (of: unknown, counting: number) => withoutMasks(of, widths, counting);
  const both = (left: number, right: number) => ({
    op: e.op,
    left: wrapped(operand(e.left, left)),
    right: wrapped(operand(e.right, right)),
  });
  switch (e.op) {
    case '&':
      return masked(e, widths, bits);
    case '+':
    case '-':
    case '*':
    case '|':
    case '^':
      return both(bits, bits);
    case '<<':
      return both(bits === EXACT ? EXACT : Math.max(1, bits - (shiftIn(e.right) ?? 0)), EXACT);
    case '>>': {
      const by = shiftIn(e.right);
      return both(by === undefined ? EXACT : bits + by, EXACT);
    }
    case '?':
      return { ...both(bits, bits), cond: wrapped(operand(e.cond, EXACT)) };
    case '~':
      return { op: e.op, left: null, right: wrapped(operand(e.right, bits)) };
    default:
      // Comparisons and what else there is: all bits of all operands count.
      return Object.fromEntries(
        Object.entries(e).map(([key, value]) => [
          key,
          isObject(value) ? wrapped(operand(value, EXACT)) : value,
        ]),
      );
  }
}

/** `x & mask`: nothing of x counts above the mask, and where x has no bits there, the mask is not needed. */
function masked(e: Json, widths: Widths, bits: number): unknown {
  const [mask, value] = constantIn(e.right) !== undefined ? [e.right, e.left] : [e.left, e.right];
  const constant = constantIn(mask);
  if (constant === undefined || constant < 0n)
    return {
      op: '&',
      left: wrapped(withoutMasks(e.left, widths, bits)),
      right: wrapped(withoutMasks(e.right, widths, bits)),
    };
  const length = bitsOf(constant);
  const inner = withoutMasks(value, widths, Math.min(bits, length));
  const isLow = constant === (1n << BigInt(length)) - 1n;
  if (isLow && (length >= bits || (widthOf(inner, widths) ?? EXACT) <= length)) return inner;
  return { op: '&', left: wrapped(inner), right: mask };
}

/** Bits of a result that is never negative. */
function widthOf(expression: unknown, widths: Widths): number | undefined {
  const e = bare(expression);
  if (!isObject(e)) return undefined;
  const constant = constantIn(e);
  if (constant !== undefined) return constant < 0n ? undefined : bitsOf(constant);
  if (e.type === 'local' && typeof e.value === 'number') return widths.parameter(e.value);
  if (e.type === 'field' && Array.isArray(e.value)) return widths.field(`${e.value[0]}`, `${e.value[1]}`);
  const [left, right] = [widthOf(e.left, widths), widthOf(e.right, widths)];
  const by = shiftIn(e.right);
  switch (e.op) {
    case '&':
      return left === undefined || right === undefined ? (left ?? right) : Math.min(left, right);
    case '|':
    case '^':
      return left === undefined || right === undefined ? undefined : Math.max(left, right);
    case '+':
      return left === undefined || right === undefined ? undefined : Math.max(left, right) + 1;
    case '*':
      return left === undefined || right === undefined ? undefined : left + right;
    case '<<':
      return left === undefined || by === undefined ? undefined : left + by;
    case '>>':
      return left === undefined || by === undefined ? undefined : Math.max(0, left - by);
    default:
      return undefined;
  }
}

/** p4c wraps an expression in one or two objects that only say that it is one. */
function bare(expression: unknown): unknown {
  let e = expression;
  while (isObject(e) && e.type === 'expression') e = e.value;
  return e;
}

/** As a part of another expression. */
export const wrapped = (e: unknown): unknown =>
  isObject(e) && typeof e.op === 'string' ? { type: 'expression', value: e } : e;

const bitsOf = (constant: bigint): number => (constant === 0n ? 0 : constant.toString(2).length);

/** Value of a constant. */
function constantIn(expression: unknown): bigint | undefined {
  const e = bare(expression);
  if (!isObject(e) || e.type !== 'hexstr' || typeof e.value !== 'string') return undefined;
  return e.value.startsWith('-') ? -BigInt(e.value.slice(1)) : BigInt(e.value);
}

/** Of a shift's amount. */
const shiftIn = (expression: unknown): number | undefined => {
  const value = constantIn(expression);
  return value === undefined ? undefined : Number(value);
};
