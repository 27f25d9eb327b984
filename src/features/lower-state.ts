import type { StateVariable } from './definition-schema.ts';
import { type Expression, ExpressionError, parseExpression } from './expression/index.ts';
import { PAYLOAD_BYTES } from './fields.ts';

/** A number that a flow keeps: what it is before the first packet, and what each packet makes of it. */
export interface ScalarText {
  readonly name: string;
  /** Its place in a sequence, a histogram or a payload. */
  readonly index?: number;
  /** Read by the others only: no expression of the user names it. */
  readonly hidden?: true;
  /** `all ones` stands for the largest value of the width. */
  readonly initial: Expression | 'all ones';
  /** Bare names of the state mean their values before the packet. */
  readonly update: Expression;
  /** Width; what the value needs if absent. */
  readonly bits?: number;
}

const COUNTER_BITS = 32;

const number = (value: number): Expression => ({ kind: 'number', value, at: 0 });
const call = (name: string, ...args: Expression[]): Expression => ({ kind: 'call', name, args, at: 0 });
const choice = (condition: Expression, whenTrue: Expression, whenFalse: Expression): Expression => ({
  kind: 'choice',
  condition,
  whenTrue,
  whenFalse,
  at: 0,
});
type Operator = (Expression & { kind: 'binary' })['operator'];
const binary = (left: Expression, operator: Operator, right: Expression): Expression => ({
  kind: 'binary',
  operator,
  left,
  right,
  at: 0,
});

/** Every kind of state as plain numbers with an update each. @throws ExpressionError with the field's name in front */
export function lowerState(name: string, v: StateVariable): readonly ScalarText[] {
  const self: Expression = { kind: 'name', name, at: 0 };
  const one = (scalar: Omit<ScalarText, 'name'>): readonly ScalarText[] => [{ name, ...scalar }];
  const guarded = (condition: string | undefined, update: Expression, otherwise: Expression = self) =>
    condition === undefined ? update : choice(parse('when', condition), update, otherwise);

  if ('count' in v) {
    const every = v.count === 'true' || v.count === '1';
    const plusOne = binary(self, '+', number(1));
    const update = every ? plusOne : choice(parse('count', v.count), plusOne, self);
    return one({ initial: number(0), update, bits: v.bits ?? COUNTER_BITS });
  }
  if ('sum' in v) {
    const update = guarded(v.when, binary(self, '+', parse('sum', v.sum)));
    return one({ initial: number(0), update, bits: v.bits ?? COUNTER_BITS });
  }
  if ('min' in v)
    return one({ initial: 'all ones', update: guarded(v.when, call('min', self, parse('min', v.min))) });
  if ('max' in v)
    return one({ initial: number(0), update: guarded(v.when, call('max', self, parse('max', v.max))) });
  if ('first' in v) return one({ initial: parse('first', v.first), update: self });
  if ('last' in v) {
    const value = parse('last', v.last);
    return one({ initial: value, update: guarded(v.when, value) });
  }
  if ('or' in v)
    return one({ initial: number(0), update: guarded(v.when, binary(self, '|', parse('or', v.or))) });
  if ('ewma' in v) return average(name, v, self);
  if ('histogram' in v) return histogram(name, v);
  if ('sequence' in v) return sequence(name, v);
  return payload(name, v.payload);
}

/** `self - (self >> s) + (x >> s)`, from the first value on. */
function average(
  name: string,
  v: Extract<StateVariable, { ewma: string }>,
  self: Expression,
): readonly ScalarText[] {
  const value = parse('ewma', v.ewma);
  const shift = number(v.shift);
  const kept = binary(self, '-', binary(self, '>>', shift));
  const update = binary(kept, '+', binary(value, '>>', shift));
  return [
    {
      name,
      initial: value,
      update: v.when === undefined ? update : choice(parse('when', v.when), update, self),
    },
  ];
}

function histogram(name: string, v: Extract<StateVariable, { histogram: string }>): readonly ScalarText[] {
  const { thresholds } = v;
  if (thresholds.some((t, i) => i > 0 && t <= thresholds[i - 1]!))
    throw new ExpressionError('thresholds: must ascend', 0);
  const value = parse('histogram', v.histogram);
  const condition = v.when === undefined ? undefined : parse('when', v.when);
  return Array.from({ length: thresholds.length + 1 }, (_, index): ScalarText => {
    const self: Expression = { kind: 'name', name, index, at: 0 };
    const from = index === 0 ? undefined : binary(value, '>=', number(thresholds[index - 1]!));
    const below = index === thresholds.length ? undefined : binary(value, '<', number(thresholds[index]!));
    const inside = [from, below, condition].filter((e) => e !== undefined);
    const all = inside.reduce((a, b) => binary(a, '&&', b));
    return {
      name,
      index,
      initial: number(0),
      update: choice(all, binary(self, '+', number(1)), self),
      bits: v.bits ?? COUNTER_BITS,
    };
  });
}

function sequence(name: string, v: Extract<StateVariable, { sequence: string }>): readonly ScalarText[] {
  const value = parse('sequence', v.sequence);
  const seen = `${name}.seen`;
  const count: Expression = { kind: 'name', name: seen, at: 0 };
  const condition = v.when === undefined ? number(1) : parse('when', v.when);
  const next = call('min', binary(count, '+', number(1)), number(v.length));
  return [
    { name: seen, hidden: true, initial: number(0), update: choice(condition, next, count), bits: 6 },
    ...Array.from({ length: v.length }, (_, index): ScalarText => {
      const self: Expression = { kind: 'name', name, index, at: 0 };
      const here = binary(condition, '&&', binary(count, '==', number(index)));
      return { name, index, initial: number(0), update: choice(here, value, self) };
    }),
  ];
}

function payload(name: string, bytes: number): readonly ScalarText[] {
  if (bytes > PAYLOAD_BYTES) throw new ExpressionError(`payload: at most ${PAYLOAD_BYTES} bytes`, 0);
  const seen = `${name}.seen`;
  const taken: Expression = { kind: 'name', name: seen, at: 0 };
  const length: Expression = { kind: 'name', name: 'payload.length', at: 0 };
  return [
    {
      name: seen,
      hidden: true,
      initial: number(0),
      update: choice(taken, number(1), binary(length, '>', number(0))),
      bits: 1,
    },
    ...Array.from({ length: bytes }, (_, index): ScalarText => {
      const self: Expression = { kind: 'name', name, index, at: 0 };
      const byte: Expression = { kind: 'name', name: 'payload', index, at: 0 };
      return { name, index, initial: number(0), update: choice(taken, self, byte), bits: 8 };
    }),
  ];
}

function parse(field: string, text: string): Expression {
  try {
    return parseExpression(text === 'true' ? '1' : text);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    throw new ExpressionError(`${field}: ${error.message}`, error.at);
  }
}
