import type { FieldPlan, FieldType, MessagePlan, ScalarName } from './field-plan.ts';

type Plain = Record<string, unknown>;

/**
 * The edge between programs and proto-loader. Its serialisers take anything: they cut numbers that are too wide, and pass
 * over names of enums that they do not know; so what is wrong is refused before. They write a zero that is there, so what
 * has its default is left out: one message has one encoding.
 */

const LIMITS: Readonly<Record<'uint32' | 'int32', readonly [least: number, most: number]>> = {
  uint32: [0, 0xffff_ffff],
  int32: [-0x8000_0000, 0x7fff_ffff],
};
const WIDE: Readonly<Record<'uint64' | 'int64', readonly [least: bigint, most: bigint]>> = {
  uint64: [0n, 2n ** 64n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
};

const misfit = (value: unknown, scalar: string): RangeError =>
  new RangeError(`${String(value)} does not fit ${scalar}`);

/** @throws RangeError, TypeError @returns whether it is the default */
function checkScalar(scalar: ScalarName, value: unknown): boolean {
  switch (scalar) {
    case 'uint32':
    case 'int32': {
      const [least, most] = LIMITS[scalar];
      if (!Number.isInteger(value) || (value as number) < least || (value as number) > most)
        throw misfit(value, scalar);
      return value === 0;
    }
    case 'uint64':
    case 'int64': {
      const [least, most] = WIDE[scalar];
      const whole = typeof value === 'bigint' || Number.isSafeInteger(value);
      if (!whole || (value as bigint) < least || (value as bigint) > most) throw misfit(value, scalar);
      return value === 0n || value === 0;
    }
    case 'bool':
      if (typeof value !== 'boolean') throw new TypeError(`${String(value)} is no bool`);
      return !value;
    case 'string':
      if (typeof value !== 'string') throw new TypeError(`${String(value)} is no string`);
      return value === '';
    case 'bytes':
      if (!(value instanceof Uint8Array)) throw new TypeError(`${String(value)} is no Uint8Array`);
      return value.length === 0;
  }
}

function checkEnum(byName: Readonly<Record<string, number>>, value: unknown): boolean {
  if (typeof value === 'number') return checkScalar('int32', value);
  const number = byName[String(value)];
  if (number === undefined)
    throw new TypeError(`${String(value)} is none of ${Object.keys(byName).join(', ')}`);
  return number === 0;
}

/** One value of a field, of a list or of a map. */
function checkedValue(type: FieldType, value: unknown): unknown {
  if (type.kind === 'message') return checked(type.message, value);
  if (type.kind === 'scalar') checkScalar(type.scalar, value);
  else checkEnum(type.byName, value);
  return value;
}

function checkedList(field: FieldPlan, items: unknown): readonly unknown[] {
  if (!Array.isArray(items)) throw new TypeError(`${field.name} is a list`);
  let copy: unknown[] | undefined;
  for (let i = 0; i < items.length; i++) {
    const value = checkedValue(field.type, items[i]);
    if (value !== items[i]) {
      copy ??= [...items];
      copy[i] = value;
    }
  }
  return copy ?? items;
}

function checkedField(field: FieldPlan, value: unknown): unknown {
  const { rule, type } = field;
  if (rule === 'repeated') return checkedList(field, value);
  if (rule === 'map')
    return Object.fromEntries(Object.entries(value as Plain).map(([k, v]) => [k, checkedValue(type, v)]));
  if (type.kind === 'message') return checked(type.message, value);
  const isDefault = type.kind === 'scalar' ? checkScalar(type.scalar, value) : checkEnum(type.byName, value);
  return isDefault && field.oneof === undefined ? undefined : value;
}

/**
 * A message that can be serialised, without what has its default: the very same object where there is nothing to leave
 * out, which is the usual case.
 * @throws RangeError on a number that does not fit its field, TypeError on a value of another type
 */
export function checked(plan: MessagePlan, message: unknown): object {
  if (typeof message !== 'object' || message === null)
    throw new TypeError(`${String(message)} is no ${plan.fullName}`);
  const given = message as Plain;
  let copy: Plain | undefined;
  for (const key in given) {
    const value = given[key];
    if (value === undefined || value === null) continue;
    const field = plan.byName.get(key);
    if (field === undefined) continue;
    const wire = checkedField(field, value);
    if (wire === value) continue;
    copy ??= { ...given };
    copy[key] = wire;
  }
  return copy ?? given;
}
