import type protobuf from 'protobufjs/light.js';
import { CompiledFunctions } from './compiled.ts';
import type { FieldPlan, FieldType, MessagePlan } from './field-plan.ts';

/** A 64-bit number of protobufjs. */
interface Halves {
  readonly low: number;
  readonly high: number;
}

/** What the functions of all types share. */
const shared = {
  /** Set where two members of one oneof were there. */
  twice: false,
  empty: new Uint8Array(0),
  has: (message: object, name: string): boolean => Object.hasOwn(message, name),
  uint64: ({ low, high }: Halves): bigint =>
    high === 0 ? BigInt(low >>> 0) : (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0),
  int64: ({ low, high }: Halves): bigint =>
    high === 0 ? BigInt(low >>> 0) : (BigInt(high | 0) << 32n) | BigInt(low >>> 0),
  enum: (byNumber: ReadonlyMap<number, string>, value: number): string | number =>
    byNumber.get(value) ?? value,
};

/** Text of a value that was sent, or that protobufjs has as a default; messages have been turned already. */
function valueText(type: FieldType, at: number, value: string): string {
  if (type.kind === 'enum') return `s.enum(c[${at}].byNumber, ${value})`;
  const wide = type.kind === 'scalar' && (type.scalar === 'uint64' || type.scalar === 'int64');
  return wide ? `s.${type.scalar}(${value})` : value;
}

/** Text of what is always there: lists, maps, and scalars outside of oneofs. */
function wholeText({ name, rule, type }: FieldPlan, at: number): string {
  const value = valueText(type, at, rule === 'one' ? `m.${name}` : 'x');
  if (rule === 'repeated') return value === 'x' ? `m.${name}.slice()` : `m.${name}.map((x) => ${value})`;
  if (rule === 'map' && value === 'x') return `m.${name}`;
  if (rule === 'map') return `Object.fromEntries(Object.entries(m.${name}).map(([k, x]) => [k, ${value}]))`;
  const bytes = type.kind === 'scalar' && type.scalar === 'bytes';
  return bytes ? `m.${name}.length === 0 ? s.empty : m.${name}` : value;
}

const isWhole = ({ rule, type, oneof }: FieldPlan): boolean =>
  rule !== 'one' || (type.kind !== 'message' && oneof === undefined);

/** Text of what turns one message of protobufjs into what programs see, its sub-messages turned already. */
function bodyOf({ fields }: MessagePlan): string {
  const whole = fields.flatMap((f, at) => (isWhole(f) ? `${f.name}: ${wholeText(f, at)}` : []));
  const rest = fields.flatMap((f, at) => {
    if (isWhole(f)) return [];
    const counted = f.oneof === undefined ? '' : ` n_${f.oneof}++;`;
    // Of a message that was not sent protobufjs has null, of a scalar its default.
    const sent = f.type.kind === 'message' ? `m.${f.name} !== null` : `s.has(m, "${f.name}")`;
    return `if (${sent}) { o.${f.name} = ${valueText(f.type, at, `m.${f.name}`)};${counted} }`;
  });
  const oneofs = [...new Set(fields.flatMap((f) => f.oneof ?? []))];
  return [
    `const o = { ${whole.join(', ')} };`,
    ...oneofs.map((oneof) => `let n_${oneof} = 0;`),
    ...rest,
    ...oneofs.map((oneof) => `if (n_${oneof} > 1) s.twice = true;`),
    'return o;',
  ].join('\n');
}

const functions = new CompiledFunctions(shared, bodyOf);

type Decode = (reader: protobuf.Reader | Uint8Array, length?: number, end?: number, depth?: number) => object;

/**
 * Makes the decoder of a type give what programs see: 64-bit numbers as bigints, enums by name, defaults where nothing was
 * sent. Decoders call those of the types inside, so each message is turned as soon as it is read: of a long answer no
 * second and third copy is alive at once.
 */
export function decodeShown(type: protobuf.Type, plan: MessagePlan): void {
  // protobufjs makes the coders of a type at its first use, and puts them into these properties.
  let decode: Decode = (...given) => {
    type.setup();
    return decode(...given);
  };
  Object.defineProperty(type, 'decode', {
    get: () => decode,
    set(made: Decode) {
      const shown = functions.of(plan);
      decode = (reader, length, end, depth) => shown(made.call(type, reader, length, end, depth));
    },
  });
}

/** @returns undefined where two members of one oneof are there: which one counts, only the bytes tell */
export function decodeWhole(type: protobuf.Type, bytes: Uint8Array): object | undefined {
  shared.twice = false;
  const message = type.decode(bytes);
  return shared.twice ? undefined : message;
}
