import type { FieldPlan, FieldType, MessagePlan, ScalarName } from './proto/field-plan.ts';
import type { AnyInitOf, Config, FullName } from './proto/messages.ts';
import { configCodec, messageCodec, messagePlan, namedPlan } from './proto/registry.ts';
import { snakeCase } from './text.ts';
import { TextFormatError, type Token, tokens } from './text-tokens.ts';

type Plain = Record<string, unknown>;

const LIMITS: Readonly<Record<string, readonly [least: bigint, most: bigint]>> = {
  uint32: [0n, 2n ** 32n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
};

/** The words that protobuf's own parser takes for a bool. */
const BOOLS: Readonly<Record<string, boolean>> = {
  true: true,
  True: true,
  t: true,
  false: false,
  False: false,
  f: false,
};

const ANY = 'google.protobuf.Any';
/** As deep as protobuf's own parser goes. */
const DEEPEST = 100;

const fieldNames = new WeakMap<MessagePlan, ReadonlyMap<string, FieldPlan>>();

function fieldsOf(plan: MessagePlan): ReadonlyMap<string, FieldPlan> {
  const known = fieldNames.get(plan) ?? new Map(plan.fields.map((field) => [snakeCase(field.name), field]));
  fieldNames.set(plan, known);
  return known;
}

/** Decimal, hexadecimal and octal, as C writes them. */
function integerOf(text: string): bigint {
  return BigInt(/^0[0-7]+$/.test(text) ? `0o${text.slice(1)}` : text);
}

/** Recursive descent over the tokens of one text. */
class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#tokens = tokens(text);
  }

  message(plan: MessagePlan, close?: string): Plain {
    if (++this.#depth > DEEPEST) throw this.#fault(`nested deeper than ${DEEPEST}`);
    const message: Plain = {};
    while (!this.#ends(close)) {
      if (this.#accept('[')) this.#extension(plan, message);
      else {
        const name = this.#next('a field');
        const field = name.kind === 'name' ? fieldsOf(plan).get(name.text) : undefined;
        if (field === undefined)
          throw new TextFormatError(name.line, `${plan.fullName} has no field ${name.text}`);
        this.#checkOnce(plan, field, message, name.line);
        this.#field(field, message);
      }
      if (!this.#accept(',')) this.#accept(';');
    }
    this.#depth--;
    return message;
  }

  /** A field that is no list stands once, and of a oneof one member. */
  #checkOnce(plan: MessagePlan, field: FieldPlan, message: Plain, line: number): void {
    if (field.rule !== 'one') return;
    if (field.name in message)
      throw new TextFormatError(line, `${snakeCase(field.name)} stands twice, and is no list`);
    if (field.oneof === undefined) return;
    const other = plan.fields.find((f) => f.oneof === field.oneof && f.name in message);
    if (other !== undefined)
      throw new TextFormatError(
        line,
        `${snakeCase(field.name)} stands beside ${snakeCase(other.name)}, of which there is one`,
      );
  }

  #field(field: FieldPlan, message: Plain): void {
    const colon = this.#accept(':');
    if (!colon && field.type.kind !== 'message' && field.rule !== 'map')
      throw this.#fault(`expected a colon behind ${snakeCase(field.name)}`);
    if (field.rule === 'one') {
      message[field.name] = this.#value(field.type);
      return;
    }
    const isMap = field.rule === 'map';
    message[field.name] ??= isMap ? {} : [];
    const all = message[field.name];
    const one = (): void => {
      if (isMap) this.#mapEntry(field, all as Plain);
      else (all as unknown[]).push(this.#value(field.type));
    };
    if (!this.#accept('[')) one();
    else if (!this.#accept(']')) {
      do one();
      while (this.#accept(','));
      this.#expect(']');
    }
  }

  /** `[type.googleapis.com/p4.v1.Role] { ... }` in an Any: the message itself, in place of its bytes. */
  #extension(plan: MessagePlan, message: Plain): void {
    const line = this.#tokens[this.#at]?.line ?? 1;
    let name = '';
    while (!this.#accept(']')) name += this.#next(']').text;
    const type = name.includes('/') ? name.slice(name.lastIndexOf('/') + 1) : undefined;
    if (plan.fullName !== ANY || type === undefined)
      throw new TextFormatError(line, `${plan.fullName} has no field [${name}]`);
    const inner = namedPlan(type);
    if (inner === undefined) throw new TextFormatError(line, `[${name}]: there is no message ${type}`);
    if (Object.keys(message).length > 0)
      throw new TextFormatError(line, `[${name}] stands beside other fields of the Any`);
    this.#accept(':');
    const value = this.#braced(inner);
    message.typeUrl = name;
    message.value = messageCodec(type as FullName).encode(value);
  }

  #mapEntry(field: FieldPlan, entries: Plain): void {
    const close = this.#open();
    let key = '';
    let value: unknown = field.type.kind === 'message' ? {} : undefined;
    const seen = new Set<string>();
    while (!this.#ends(close)) {
      const name = this.#next('key or value');
      if (seen.has(name.text))
        throw new TextFormatError(name.line, `${name.text} stands twice in a map entry`);
      seen.add(name.text);
      this.#accept(':');
      if (name.text === 'key') key = this.#string();
      else if (name.text === 'value') value = this.#value(field.type);
      else throw new TextFormatError(name.line, `a map entry has key and value, not ${name.text}`);
      if (!this.#accept(',')) this.#accept(';');
    }
    entries[key] = value;
  }

  #open(): string {
    const open = this.#next('{');
    if (open.kind !== 'symbol' || (open.text !== '{' && open.text !== '<'))
      throw new TextFormatError(open.line, `expected {, not ${open.text}`);
    return open.text === '{' ? '}' : '>';
  }

  #braced(plan: MessagePlan): Plain {
    return this.message(plan, this.#open());
  }

  #value(type: FieldType): unknown {
    if (type.kind === 'message') return this.#braced(type.message);
    if (type.kind === 'enum') return this.#enum(type.byName);
    switch (type.scalar) {
      case 'string':
        return this.#string();
      case 'bytes':
        return this.#bytes();
      case 'bool':
        return this.#bool();
      default:
        return this.#integer(type.scalar);
    }
  }

  #enum(byName: Readonly<Record<string, number>>): string | number {
    const token = this.#tokens[this.#at];
    if (token?.kind === 'integer' || token?.text === '-') return Number(this.#integer('int32'));
    const name = this.#next('a name');
    if (name.kind !== 'name' || byName[name.text] === undefined)
      throw new TextFormatError(name.line, `${name.text} is none of ${Object.keys(byName).join(', ')}`);
    return name.text;
  }

  #bool(): boolean {
    const token = this.#next('true or false');
    if (token.kind === 'integer') {
      const value = integerOf(token.text);
      if (value <= 1n) return value === 1n;
    }
    const word = token.kind === 'name' ? BOOLS[token.text] : undefined;
    if (word === undefined) throw new TextFormatError(token.line, `${token.text} is neither true nor false`);
    return word;
  }

  #integer(scalar: ScalarName): number | bigint {
    const negative = this.#accept('-');
    const token = this.#next('a number');
    if (token.kind !== 'integer')
      throw new TextFormatError(token.line, `expected a whole number, not ${token.text}`);
    const value = integerOf(token.text) * (negative ? -1n : 1n);
    const [least, most] = LIMITS[scalar]!;
    if (value < least || value > most)
      throw new TextFormatError(token.line, `${value} does not fit ${scalar}`);
    return scalar === 'int64' || scalar === 'uint64' ? value : Number(value);
  }

  #string(): string {
    const line = this.#tokens[this.#at]?.line ?? 1;
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.#bytes());
    } catch (error) {
      if (error instanceof TextFormatError) throw error;
      throw new TextFormatError(line, 'the string is no UTF-8');
    }
  }

  /** Adjacent strings are one. */
  #bytes(): Uint8Array {
    const first = this.#next('a string');
    if (first.bytes === undefined)
      throw new TextFormatError(first.line, `expected a string, not ${first.text}`);
    const parts = [first.bytes];
    for (let next = this.#tokens[this.#at]; next?.bytes !== undefined; next = this.#tokens[++this.#at])
      parts.push(next.bytes);
    return Buffer.concat(parts);
  }

  #next(expected: string): Token {
    const token = this.#tokens[this.#at++];
    if (token === undefined)
      throw new TextFormatError(this.#tokens.at(-1)?.line ?? 1, `ends where ${expected} should be`);
    return token;
  }

  #expect(symbol: string): void {
    const token = this.#next(symbol);
    if (token.kind !== 'symbol' || token.text !== symbol)
      throw new TextFormatError(token.line, `expected ${symbol}, not ${token.text}`);
  }

  #accept(symbol: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'symbol' || token.text !== symbol) return false;
    this.#at++;
    return true;
  }

  #ends(close: string | undefined): boolean {
    return close === undefined ? this.#at >= this.#tokens.length : this.#accept(close);
  }

  #fault(reason: string): TextFormatError {
    return new TextFormatError(this.#tokens[Math.min(this.#at, this.#tokens.length - 1)]?.line ?? 1, reason);
  }
}

/**
 * Protobuf's text format to a message, by its full name such as `p4.v1.WriteRequest`.
 * @throws TextFormatError with the line
 */
export const parseMessageText = <N extends FullName>(fullName: N, text: string): AnyInitOf<N> =>
  new Parser(text).message(messagePlan(fullName)) as AnyInitOf<N>;

const p4infoCodec = configCodec('P4Info');

/** What `p4c --p4runtime-files x.txt` writes. @throws TextFormatError */
export function parseP4InfoText(text: string): Config<'P4Info'> {
  // Encoding and decoding once fills in the defaults that the text leaves out.
  return p4infoCodec.decode(p4infoCodec.encode(parseMessageText('p4.config.v1.P4Info', text)));
}

/** Binary protobuf has such bytes wherever it has a short length or a small number; no text has them. */
const isControl = (byte: number): boolean => byte < 0x20 && !(byte >= 0x09 && byte <= 0x0d);

/** P4Info as p4c writes it: text, or binary protobuf. @throws TextFormatError, RangeError */
export function parseP4Info(file: Uint8Array): Config<'P4Info'> {
  if (file.some(isControl)) return p4infoCodec.decode(file);
  return parseP4InfoText(Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString('utf8'));
}
