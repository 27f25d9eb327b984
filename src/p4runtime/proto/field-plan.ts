import type { MessageFields } from './dsl.ts';

/** What the codec must know of a field. */
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

export type ScalarName = 'uint32' | 'int32' | 'uint64' | 'int64' | 'bool' | 'string' | 'bytes';

export type FieldType =
  | { readonly kind: 'scalar'; readonly scalar: ScalarName }
  | {
      readonly kind: 'enum';
      readonly byName: Readonly<Record<string, number>>;
      readonly byNumber: ReadonlyMap<number, string>;
    }
  | { readonly kind: 'message'; readonly message: MessagePlan };

export interface MessagePlan {
  readonly fullName: string;
  /** In the order of their numbers. */
  readonly fields: readonly FieldPlan[];
  readonly byId: ReadonlyMap<number, FieldPlan>;
  readonly byName: ReadonlyMap<string, FieldPlan>;
}

type PackageMessages = Readonly<Record<string, Readonly<Record<string, MessageFields>>>>;
type PackageEnumValues = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, number>>>>>>;

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

/** Compiles all messages; they may refer to each other in circles. @throws Error on a type that does not exist. */
export function planMessages(
  messages: PackageMessages,
  enums: PackageEnumValues,
): ReadonlyMap<string, MessagePlan> {
  const plans = new Map<string, MutablePlan>();
  const enumTypes = new Map<string, FieldType>();
  for (const [pkg, values] of Object.entries(enums))
    for (const [name, byName] of Object.entries(values)) {
      const byNumber = new Map(Object.entries(byName).map(([text, number]) => [number, text]));
      enumTypes.set(`${pkg}.${name}`, { kind: 'enum', byName, byNumber });
    }
  for (const [pkg, named] of Object.entries(messages))
    for (const name of Object.keys(named))
      plans.set(`${pkg}.${name}`, {
        fullName: `${pkg}.${name}`,
        fields: [],
        byId: new Map(),
        byName: new Map(),
      });

  const typeOf = (pkg: string, type: string): FieldType => {
    if (isScalar(type)) return { kind: 'scalar', scalar: type };
    const fullName = type.startsWith('.') ? type.slice(1) : `${pkg}.${type}`;
    const message = plans.get(fullName);
    if (message !== undefined) return { kind: 'message', message };
    const values = enumTypes.get(fullName);
    if (values === undefined) throw new Error(`the schema names no type ${fullName}`);
    return values;
  };
  const fieldOf = (pkg: string, name: string, text: string, oneof?: string): FieldPlan => {
    const words = text.split(' ');
    const rule = words.length === 2 ? 'one' : words[0] === 'map' ? 'map' : 'repeated';
    const type = typeOf(pkg, words.at(-2)!);
    const numeric =
      type.kind === 'enum' || (type.kind === 'scalar' && type.scalar !== 'string' && type.scalar !== 'bytes');
    return { name, id: Number(words.at(-1)), rule, oneof, type, wire: numeric ? 0 : 2 };
  };
  for (const [pkg, named] of Object.entries(messages))
    for (const [name, fields] of Object.entries(named)) {
      const plan = plans.get(`${pkg}.${name}`)!;
      for (const [key, value] of Object.entries(fields)) {
        if (typeof value === 'string') plan.fields.push(fieldOf(pkg, key, value));
        else
          for (const [member, text] of Object.entries(value))
            plan.fields.push(fieldOf(pkg, member, text, key));
      }
      plan.fields.sort((a, b) => a.id - b.id);
      for (const field of plan.fields) {
        plan.byId.set(field.id, field);
        plan.byName.set(field.name, field);
      }
    }
  return plans;
}
