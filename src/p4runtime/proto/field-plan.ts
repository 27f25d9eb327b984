import type { Descriptor, EnumDescriptor, FieldDescriptor, MessageDescriptor } from './descriptor.ts';

/** What is to be known of a field. */
export interface FieldPlan {
  readonly name: string;
  readonly id: number;
  readonly rule: 'one' | 'repeated' | 'map';
  /** Name of the oneof that it belongs to: such a field is written even at its default. */
  readonly oneof: string | undefined;
  readonly type: FieldType;
  /** Wire type of one value: 0 for numbers, 2 for what has a length. */
  readonly wire: 0 | 2;
}

/** The scalar types that P4Runtime's messages have; there are no others here. */
export type ScalarName = 'uint32' | 'int32' | 'uint64' | 'int64' | 'bool' | 'string' | 'bytes';

/** What one value of a field is. */
export type FieldType =
  | { readonly kind: 'scalar'; readonly scalar: ScalarName }
  | {
      readonly kind: 'enum';
      readonly byName: Readonly<Record<string, number>>;
      readonly byNumber: ReadonlyMap<number, string>;
    }
  | { readonly kind: 'message'; readonly message: MessagePlan };

/** A message's fields, ready to encode and decode by: found once, then used for every message. */
export interface MessagePlan {
  readonly fullName: string;
  /** In the order of their numbers. */
  readonly fields: readonly FieldPlan[];
  readonly byId: ReadonlyMap<number, FieldPlan>;
  readonly byName: ReadonlyMap<string, FieldPlan>;
}

const SCALARS: ReadonlySet<string> = new Set([
  'uint32',
  'int32',
  'uint64',
  'int64',
  'bool',
  'string',
  'bytes',
]);
const isScalar = (type: string): type is ScalarName => SCALARS.has(type);

interface MutablePlan {
  readonly fullName: string;
  fields: FieldPlan[];
  byId: Map<number, FieldPlan>;
  byName: Map<string, FieldPlan>;
}

interface Found {
  readonly messages: Map<string, MessageDescriptor>;
  readonly enums: Map<string, EnumDescriptor>;
}

/** All messages and enums of a descriptor, by full name. */
function search(nested: Descriptor['nested'], prefix: string, found: Found): Found {
  for (const [name, item] of Object.entries(nested ?? {})) {
    if ('fields' in item) found.messages.set(`${prefix}${name}`, item);
    else if ('values' in item) found.enums.set(`${prefix}${name}`, item);
    if ('nested' in item) search(item.nested, `${prefix}${name}.`, found);
  }
  return found;
}

/** Names and numbers of an enum by its full name. @throws Error where there is none */
export function enumValues(descriptor: Descriptor, fullName: string): EnumDescriptor['values'] {
  const found = search(descriptor.nested, '', { messages: new Map(), enums: new Map() }).enums.get(fullName);
  if (found === undefined) throw new Error(`there is no enum ${fullName}`);
  return found.values;
}

function oneofOf(message: MessageDescriptor, name: string): string | undefined {
  return Object.entries(message.oneofs ?? {}).find(([, { oneof }]) => oneof.includes(name))?.[0];
}

/** Compiles all messages; they may refer to each other in circles. @throws Error on a type that does not exist. */
export function planMessages(descriptor: Descriptor): ReadonlyMap<string, MessagePlan> {
  const { messages, enums } = search(descriptor.nested, '', { messages: new Map(), enums: new Map() });
  const plans = new Map<string, MutablePlan>();
  for (const fullName of messages.keys())
    plans.set(fullName, { fullName, fields: [], byId: new Map(), byName: new Map() });
  const enumTypes = new Map<string, FieldType>();
  for (const [fullName, { values }] of enums) {
    const byNumber = new Map(Object.entries(values).map(([text, number]) => [number, text]));
    enumTypes.set(fullName, { kind: 'enum', byName: values, byNumber });
  }
  const typeOf = (type: string): FieldType => {
    if (isScalar(type)) return { kind: 'scalar', scalar: type };
    const message = plans.get(type);
    const found = message === undefined ? enumTypes.get(type) : { kind: 'message' as const, message };
    if (found === undefined) throw new Error(`the descriptor names no type ${type}`);
    return found;
  };
  const fieldOf = (message: MessageDescriptor, name: string, field: FieldDescriptor): FieldPlan => {
    const rule = field.keyType !== undefined ? 'map' : field.rule === 'repeated' ? 'repeated' : 'one';
    const type = typeOf(field.type);
    const numeric =
      type.kind === 'enum' || (type.kind === 'scalar' && type.scalar !== 'string' && type.scalar !== 'bytes');
    return { name, id: field.id, rule, oneof: oneofOf(message, name), type, wire: numeric ? 0 : 2 };
  };
  for (const [fullName, message] of messages) {
    const plan = plans.get(fullName)!;
    for (const [name, field] of Object.entries(message.fields))
      plan.fields.push(fieldOf(message, name, field));
    plan.fields.sort((a, b) => a.id - b.id);
    for (const field of plan.fields) {
      plan.byId.set(field.id, field);
      plan.byName.set(field.name, field);
    }
  }
  return plans;
}
