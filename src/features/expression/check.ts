import { isField, mostOfField } from '../fields.ts';
import { ExpressionError } from './tokens.ts';
import type { BinaryOperator, Expression } from './tree.ts';
import { MOST, type Typed, type TypedOperator, type ValueType } from './typed.ts';

/** Units of time in nanoseconds. */
export const UNITS = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 } as const;
/** Suffix of a number that is a time. */
export type Unit = keyof typeof UNITS;

/** What names mean in an expression. */
export interface Scope {
  /** Nanoseconds of a step of the clock. */
  readonly clockNs: number;
  /** A scalar of the state by name and index, with its type; undefined if there is none. */
  readonly state: (
    name: string,
    index: number | undefined,
  ) => { readonly index: number; readonly type: ValueType } | undefined;
  /** Whether a bare name of the state means its value before this packet: so in updates, not so in features. */
  readonly before: boolean;
  /** Whether there is a packet at all: at a flow's end there is none. */
  readonly packet: boolean;
  readonly tables: Readonly<Record<string, readonly number[]>>;
  readonly bins: Readonly<Record<string, readonly number[]>>;
  /** Every name of the state, for messages. */
  readonly names: readonly string[];
}

const integer = (most: number): ValueType => ({ kind: 'integer', most });
const FLAG = integer(1);
/** Bitwise operators work on 32 bits. */
const MOST_BITWISE = 2 ** 32 - 1;

/** Resolves names and checks types and ranges. @throws ExpressionError */
export function checkExpression(e: Expression, scope: Scope): Typed {
  const sub = (inner: Expression) => checkExpression(inner, scope);
  switch (e.kind) {
    case 'number':
      return { kind: 'constant', value: e.value, type: integer(e.value) };
    case 'name':
      return nameOf(e, scope);
    case 'not': {
      const operand = asInteger(sub(e.operand), e.operand.at);
      return compare('==', operand, constant(0));
    }
    case 'binary':
      return binary(e.operator, sub(e.left), sub(e.right), e);
    case 'choice': {
      const condition = asInteger(sub(e.condition), e.condition.at);
      const [whenTrue, whenFalse] = [sub(e.whenTrue), sub(e.whenFalse)];
      return { kind: 'choice', condition, whenTrue, whenFalse, type: common(whenTrue, whenFalse, e.at) };
    }
    case 'call':
      return call(e.name, e.args.map(sub), e, scope);
  }
}

const constant = (value: number): Typed => ({ kind: 'constant', value, type: integer(value) });
const compare = (operator: '<' | '<=' | '==', left: Typed, right: Typed): Typed => ({
  kind: 'operator',
  operator,
  left,
  right,
  type: FLAG,
});

function nameOf(e: Expression & { kind: 'name' }, scope: Scope): Typed {
  const isOld = e.name.startsWith('old.');
  const state = scope.state(isOld ? e.name.slice(4) : e.name, e.index);
  if (state !== undefined) {
    if (isOld && !scope.packet)
      throw new ExpressionError(`${e.name} is unknown at a flow's end: there is no packet`, e.at);
    return { kind: 'state', index: state.index, before: isOld || scope.before, type: state.type };
  }
  const packetOnly = () => {
    if (!scope.packet)
      throw new ExpressionError(`${e.name} is of a packet, and at a flow's end there is none`, e.at);
  };
  if (e.name === 'time') {
    packetOnly();
    return { kind: 'now', type: { kind: 'instant' } };
  }
  const field = e.name === 'payload' && e.index !== undefined ? `payload.byte${e.index}` : e.name;
  if (isField(field) && (e.index === undefined || field !== e.name)) {
    packetOnly();
    return { kind: 'field', name: field, type: integer(mostOfField(field)) };
  }
  const shown = e.index === undefined ? e.name : `${e.name}[${e.index}]`;
  throw new ExpressionError(
    `there is no ${shown}; state has ${scope.names.join(', ') || 'nothing'}; see docs/features.md for fields`,
    e.at,
  );
}

function asInteger(e: Typed, at: number): Typed & { readonly type: { kind: 'integer'; most: number } } {
  if (e.type.kind === 'integer') return e as Typed & { type: { kind: 'integer'; most: number } };
  const what = e.type.kind === 'instant' ? 'a point in time' : 'a time';
  const help =
    e.type.kind === 'instant' ? 'subtract another from it' : 'give it a unit: ns(x), us(x), ms(x) or s(x)';
  throw new ExpressionError(`is ${what}, not a number; ${help}`, at);
}

function common(a: Typed, b: Typed, at: number): ValueType {
  if (a.type.kind === 'integer' && b.type.kind === 'integer')
    return integer(Math.max(a.type.most, b.type.most));
  if (a.type.kind !== b.type.kind) throw new ExpressionError(`mixes ${a.type.kind} and ${b.type.kind}`, at);
  return a.type;
}

function binary(
  operator: BinaryOperator,
  left: Typed,
  right: Typed,
  e: Expression & { kind: 'binary' },
): Typed {
  if (operator === '-' && left.type.kind === 'instant' && right.type.kind === 'instant')
    return { kind: 'operator', operator, left, right, type: { kind: 'duration' } };
  const a = asInteger(left, e.left.at);
  const b = asInteger(right, e.right.at);
  switch (operator) {
    case '>':
      return compare('<', b, a);
    case '>=':
      return compare('<=', b, a);
    case '<':
    case '<=':
    case '==':
      return compare(operator, a, b);
    case '!=':
      return compare('==', compare('==', a, b), constant(0));
    case '&&':
      return { kind: 'choice', condition: a, whenTrue: truth(b), whenFalse: constant(0), type: FLAG };
    case '||':
      return { kind: 'choice', condition: a, whenTrue: constant(1), whenFalse: truth(b), type: FLAG };
    case '<<':
    case '>>':
      return shift(operator, a, b, e);
    default:
      return {
        kind: 'operator',
        operator,
        left: a,
        right: b,
        type: integer(mostOf(operator, a.type.most, b.type.most, e.at)),
      };
  }
}

const truth = (e: Typed): Typed => compare('==', compare('==', e, constant(0)), constant(0));

function shift(
  operator: '<<' | '>>',
  a: Typed & { type: { most: number } },
  b: Typed,
  e: Expression & { kind: 'binary' },
): Typed {
  if (b.kind !== 'constant' || b.value > 52)
    throw new ExpressionError('shifts by a number from 0 to 52', e.right.at);
  const most = operator === '<<' ? a.type.most * 2 ** b.value : Math.floor(a.type.most / 2 ** b.value);
  return {
    kind: 'shift',
    operand: a,
    bits: b.value,
    to: operator === '<<' ? 'left' : 'right',
    type: integer(bounded(most, e.at)),
  };
}

function bounded(most: number, at: number): number {
  if (most > MOST) throw new ExpressionError('can exceed 2^53 - 1; bound it first with min(x, limit)', at);
  return most;
}

function mostOf(operator: '+' | '-' | '*' | '&' | '|' | '^', a: number, b: number, at: number): number {
  switch (operator) {
    case '+':
      return bounded(a + b, at);
    case '-':
      return a;
    case '*':
      return bounded(a * b, at);
    default:
      if (Math.max(a, b) > MOST_BITWISE)
        throw new ExpressionError(`${operator} works on 32 bits; bound its operands with min(x, limit)`, at);
      return operator === '&' ? Math.min(a, b) : 2 ** (Math.floor(Math.log2(Math.max(a, b, 1))) + 1) - 1;
  }
}

function call(name: string, args: readonly Typed[], e: Expression & { kind: 'call' }, scope: Scope): Typed {
  const place = (i: number) => e.args[i]!.at;
  const need = (count: number) => {
    if (args.length !== count)
      throw new ExpressionError(
        `${name} takes ${count} value${count === 1 ? '' : 's'}, not ${args.length}`,
        e.at,
      );
  };
  if (name === 'min' || name === 'max') {
    if (args.length < 2) throw new ExpressionError(`${name} takes two values or more`, e.at);
    return args.reduce((left, right, i) => extremum(name, left, right, place(i)));
  }
  if (name === 'clamp') {
    need(3);
    return extremum('min', extremum('max', args[0]!, args[1]!, place(1)), args[2]!, place(2));
  }
  if (name === 'log8' || name === 'log2') {
    need(1);
    const operand = asInteger(args[0]!, place(0));
    const log = Math.floor(Math.log2(Math.max(1, operand.type.most)));
    return { kind: name, operand, type: integer(name === 'log8' ? 255 : log) };
  }
  if (Object.hasOwn(UNITS, name)) {
    need(1);
    return inUnit(name as Unit, args[0]!, scope.clockNs, place(0));
  }
  if (Object.hasOwn(scope.tables, name)) {
    need(1);
    const operand = asInteger(args[0]!, place(0));
    const table = scope.tables[name]!;
    if (operand.type.most >= table.length)
      throw new ExpressionError(
        `${name} has ${table.length} places, and this value reaches ${operand.type.most}; bound it with min(x, ${table.length - 1})`,
        place(0),
      );
    return { kind: 'table', operand, table, type: integer(Math.max(...table)) };
  }
  if (Object.hasOwn(scope.bins, name)) {
    need(1);
    const thresholds = scope.bins[name]!;
    return {
      kind: 'bins',
      operand: asInteger(args[0]!, place(0)),
      thresholds,
      type: integer(thresholds.length),
    };
  }
  throw new ExpressionError(
    `there is no ${name}(); there are min, max, clamp, log8, log2, ns, us, ms, s, and the names under tables and bins`,
    e.at,
  );
}

function extremum(operator: TypedOperator & ('min' | 'max'), left: Typed, right: Typed, at: number): Typed {
  const a = asInteger(left, at);
  const b = asInteger(right, at);
  return {
    kind: 'operator',
    operator,
    left: a,
    right: b,
    type: integer(Math[operator](a.type.most, b.type.most)),
  };
}

function inUnit(unit: Unit, e: Typed, clockNs: number, at: number): Typed {
  if (e.type.kind !== 'duration')
    throw new ExpressionError(
      e.type.kind === 'integer'
        ? `${unit}() is of a time, and this is a number`
        : `${unit}() is of a time between two points, for example time - old.seen`,
      at,
    );
  const by = UNITS[unit] / clockNs;
  if (by < 1)
    throw new ExpressionError(
      `the clock counts ${clockNs === 1e3 ? 'microseconds' : 'nanoseconds'}: it has no ${unit}`,
      at,
    );
  const most = Math.floor((2 ** 48 - 1) / by);
  return { kind: 'divide', operand: e, by, type: integer(most) };
}
