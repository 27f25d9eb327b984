import { describe, expect, test } from 'vitest';
import { isObject, withoutMasks } from '../../src/toolchain/bmv2-expressions.ts';
import { linkBmv2Json } from '../../src/toolchain/bmv2-json.ts';

type Json = Record<string, unknown>;

const number = (value: bigint | number): Json => ({ type: 'hexstr', value: `0x${value.toString(16)}` });
const field = (name: string): Json => ({ type: 'field', value: ['h', name] });
const local = (index: number): Json => ({ type: 'local', value: index });
const op = (name: string, left: Json | null, right: Json, more: Json = {}): Json => ({
  type: 'expression',
  value: { op: name, left, right, ...more },
});
const mask = (bits: number): bigint => (1n << BigInt(bits)) - 1n;
/** What p4c writes for an operation on `bits` bits. */
const fitted = (bits: number, e: Json): Json => op('&', e, number(mask(bits)));

const widths = {
  field: (_: string, name: string) => Number(name.slice(1)),
  parameter: () => undefined,
};

/** As BMv2 does: on whole numbers of any size, shifts towards minus infinity. */
function evaluate(e: unknown, read: (name: string) => bigint): bigint {
  if (!isObject(e)) throw new Error(`no expression: ${JSON.stringify(e)}`);
  if (e.type === 'expression') return evaluate(e.value, read);
  if (e.type === 'hexstr') return BigInt(String(e.value));
  if (e.type === 'field') return read((e.value as string[])[1]!);
  if (e.type === 'local') return read(`p${e.value}`);
  const right = evaluate(e.right, read);
  if (e.op === '~') return ~right;
  const left = evaluate(e.left, read);
  switch (e.op) {
    case '&':
      return left & right;
    case '|':
      return left | right;
    case '^':
      return left ^ right;
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '<<':
      return left << right;
    case '>>':
      return left >> right;
    case '>':
      return left > right ? 1n : 0n;
    case '?':
      return evaluate(e.cond, read) === 1n ? left : right;
    default:
      throw new Error(`unknown operator ${e.op}`);
  }
}

function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** An expression of a type of so many bits, masked wherever p4c masks. */
function randomExpression(bits: number, depth: number, below: (n: number) => number): Json {
  const part = (n = bits) => randomExpression(n, depth - 1, below);
  if (depth === 0) {
    const leaf = below(3);
    if (leaf === 0) return field(`f${bits}`);
    return leaf === 1 ? local(bits) : number(BigInt(below(2 ** 30)) & mask(bits));
  }
  switch (below(9)) {
    case 0:
      return fitted(bits, op('+', part(), part()));
    case 1:
      return fitted(bits, op('-', part(), part()));
    case 2:
      return fitted(bits, op('*', part(), part()));
    case 3:
      return fitted(bits, op('<<', part(), number(below(bits))));
    case 4:
      return fitted(bits, op('>>', part(), number(below(bits))));
    case 5:
      return fitted(bits, op('~', null, part()));
    case 6:
      return op('?', part(), part(), { cond: op('>', part(), part()) });
    case 7:
      return op(['&', '|', '^'][below(3)]!, part(), part());
    default: {
      // A cast, to or from another width.
      const other = 1 + below(40);
      return fitted(bits, part(other));
    }
  }
}

describe('expressions without masks', () => {
  test('random ones have the same lower bits, and the same value where all bits count', () => {
    const below = numbers(15);
    let dropped = 0;
    for (let i = 0; i < 1000; i++) {
      const bits = 1 + below(40);
      const e = randomExpression(bits, 1 + below(5), below);
      const read = (name: string): bigint =>
        (BigInt(below(2 ** 30)) * BigInt(below(2 ** 30))) & mask(Number(name.slice(1)));
      const values = new Map<string, bigint>();
      const once = (name: string): bigint => {
        const value = values.get(name) ?? read(name);
        values.set(name, value);
        return value;
      };
      const before = evaluate(e, once);
      const [taken, whole] = [withoutMasks(e, widths, bits), withoutMasks(e, widths)];
      expect(evaluate(taken, once) & mask(bits), JSON.stringify(e)).toBe(before & mask(bits));
      expect(evaluate(whole, once), JSON.stringify(e)).toBe(before);
      dropped += JSON.stringify(taken).length < JSON.stringify(e).length ? 1 : 0;
    }
    expect(dropped).toBeGreaterThan(600);
  });

  test('of a sum of products nothing but the sums and products is left', () => {
    const product = (i: number) => fitted(64, op('*', fitted(64, field('f8')), local(i)));
    const sum = fitted(64, op('+', product(0), product(1)));
    expect(withoutMasks(sum, widths, 64)).toEqual({
      op: '+',
      left: op('*', field('f8'), local(0)),
      right: op('*', field('f8'), local(1)),
    });
  });

  test('a mask stays before a comparison, and before a shift down that brings what it took into the result', () => {
    const sum = fitted(16, op('+', field('f16'), number(0xffff)));
    expect(withoutMasks(op('>', sum, number(7)), widths)).toEqual({ op: '>', left: sum, right: number(7) });
    expect(withoutMasks(op('>>', sum, number(8)), widths, 16)).toEqual({
      op: '>>',
      left: sum,
      right: number(8),
    });
    expect(withoutMasks(op('>>', sum, number(8)), widths, 8)).toEqual({
      op: '>>',
      left: (sum.value as Json).left,
      right: number(8),
    });
  });
});

test('a header that was assigned is not made valid again; where a statement jumps, each keeps its place', () => {
  const assign = { op: 'assign', parameters: [{ type: 'field', value: ['h', 'f8'] }, number(1)] };
  const validate = { op: 'add_header', parameters: [{ type: 'header', value: 'h' }] };
  const drop = { op: 'remove_header', parameters: [{ type: 'header', value: 'h' }] };
  const jump = { op: '_jump', parameters: [number(4)] };
  const link = (primitives: unknown[]) => {
    const text = JSON.stringify({ actions: [{ id: 0, name: 'a', primitives }], pipelines: [] });
    return JSON.parse(linkBmv2Json(text)).actions[0].primitives;
  };
  expect(link([validate, assign, validate, assign])).toEqual([validate, assign, assign]);
  expect(link([assign, validate, drop, validate, validate])).toEqual([assign, drop, validate]);
  expect(link([assign, validate, jump, validate])).toEqual([assign, validate, jump, validate]);
});

test('a statement takes of a value what its field holds', () => {
  const value = { type: 'expression', value: fitted(16, op('+', field('f16'), number(1))) };
  const program = {
    header_types: [
      {
        name: 't',
        fields: [
          ['f16', 16, false],
          ['s16', 16, true],
        ],
      },
    ],
    headers: [{ name: 'h', header_type: 't' }],
    actions: [
      {
        id: 0,
        name: 'a',
        primitives: ['f16', 's16'].map((name) => ({ op: 'assign', parameters: [field(name), value] })),
      },
    ],
    pipelines: [],
  };
  const [unsigned, signed] = JSON.parse(linkBmv2Json(JSON.stringify(program))).actions[0].primitives;
  expect(unsigned.parameters[1]).toEqual({ type: 'expression', value: op('+', field('f16'), number(1)) });
  expect(signed.parameters[1]).toEqual(value);
});
