import { CompiledFunctions } from './compiled.ts';
import type { FieldPlan, MessagePlan, ScalarName } from './field-plan.ts';

/**
 * The edge between programs and protobufjs, whose writer takes anything: it cuts numbers that are too wide, and writes zeros
 * that are there. So what is wrong is refused here, and what has its default is left out: one message has one encoding.
 * What comes out has all fields of its type in one order, null for what is not there: objects of one shape are written several
 * times as fast as objects of many.
 */

const misfit = (value: unknown, scalar: string): RangeError =>
  new RangeError(`${String(value)} does not fit ${scalar}`);

const U64 = 2n ** 64n;
const I63 = 2n ** 63n;

type Check<T> = (value: unknown) => T;

/** Each gives the value back. @throws RangeError, TypeError */
const checks: { readonly [S in ScalarName]: Check<unknown> } = {
  uint32(value) {
    if (typeof value !== 'number' || value >>> 0 !== value) throw misfit(value, 'uint32');
    return value;
  },
  int32(value) {
    if (typeof value !== 'number' || (value | 0) !== value) throw misfit(value, 'int32');
    return value;
  },
  uint64(value) {
    if (typeof value === 'bigint' ? value >= 0n && value < U64 : isWhole(value) && value >= 0) return value;
    throw misfit(value, 'uint64');
  },
  int64(value) {
    if (typeof value === 'bigint' ? value >= -I63 && value < I63 : isWhole(value)) return value;
    throw misfit(value, 'int64');
  },
  bool(value) {
    if (typeof value !== 'boolean') throw new TypeError(`${String(value)} is no bool`);
    return value;
  },
  string(value) {
    if (typeof value !== 'string') throw new TypeError(`${String(value)} is no string`);
    return value;
  },
  bytes(value) {
    if (!(value instanceof Uint8Array)) throw new TypeError(`${String(value)} is no Uint8Array`);
    return value;
  },
};

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value);

/** What the functions of all types share. */
const shared = {
  ...checks,
  enum(byName: Readonly<Record<string, number>>, value: unknown): unknown {
    if (typeof value === 'number') return checks.int32(value);
    const name = String(value);
    if (!Object.hasOwn(byName, name))
      throw new TypeError(`${name} is none of ${Object.keys(byName).join(', ')}`);
    return byName[name];
  },
  list(name: string, items: unknown, one: Check<unknown>): readonly unknown[] {
    if (!Array.isArray(items)) throw new TypeError(`${name} is a list`);
    const wire = new Array<unknown>(items.length);
    for (let i = 0; i < items.length; i++) wire[i] = one(items[i]);
    return wire;
  },
  map(items: object, one: Check<unknown>): object {
    return Object.fromEntries(Object.entries(items).map(([key, value]) => [key, one(value)]));
  },
  noMessage: (value: unknown, name: string): TypeError => new TypeError(`${String(value)} is no ${name}`),
};

/** When a scalar that passed its check has its default. */
const DEFAULT: Readonly<Record<ScalarName, string>> = {
  uint32: 'v === 0',
  int32: 'v === 0',
  uint64: 'v === 0n || v === 0',
  int64: 'v === 0n || v === 0',
  bool: 'v === false',
  string: 'v === ""',
  bytes: 'v.length === 0',
};

/** Text of a function from a value to its wire form. */
function functionOf({ type }: FieldPlan, at: number): string {
  if (type.kind === 'message') return `c[${at}]`;
  return type.kind === 'enum' ? `(x) => s.enum(c[${at}].byName, x)` : `s.${type.scalar}`;
}

/** Text of a field's wire form, null where it is not written. */
function fieldText(field: FieldPlan, at: number): string {
  const { name, rule, type, oneof } = field;
  const absent = `(v = m.${name}) === undefined || v === null`;
  if (rule === 'repeated') return `${absent} ? null : s.list("${name}", v, ${functionOf(field, at)})`;
  if (rule === 'map') return `${absent} ? null : s.map(v, ${functionOf(field, at)})`;
  if (type.kind === 'message') return `${absent} ? null : c[${at}](v)`;
  const value = type.kind === 'enum' ? `s.enum(c[${at}].byName, v)` : `s.${type.scalar}(v)`;
  if (oneof !== undefined) return `${absent} ? null : ${value}`;
  const isDefault = type.kind === 'enum' ? 'v === 0' : DEFAULT[type.scalar];
  return `${absent} || (v = ${value}, ${isDefault}) ? null : v`;
}

const functions = new CompiledFunctions<typeof shared, (message: object) => object>(
  'm',
  shared,
  ({ fullName, fields }) => {
    const parts = fields.map((field, at) => `${field.name}: ${fieldText(field, at)}`);
    return `if (typeof m !== 'object' || m === null) throw s.noMessage(m, "${fullName}");
let v;
return { ${parts.join(',\n')} };`;
  },
);

/**
 * A message as protobufjs is to write it: enums as numbers, without what has its default.
 * @throws RangeError on a number that does not fit its field, TypeError on a value of another type
 */
export const wireForm = (plan: MessagePlan, message: object): object => functions.of(plan)(message);
