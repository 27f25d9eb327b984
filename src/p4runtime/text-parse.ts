import type { FieldPlan, FieldType, MessagePlan } from './proto/field-plan.ts';
import type { Config } from './proto/messages.ts';
import { configCodec, messagePlan } from './proto/registry.ts';
import { snakeCase } from './text.ts';
import { TextFormatError, type Token, tokens } from './text-tokens.ts';

type Plain = Record<string, unknown>;

/** Recursive descent over the tokens of one text. */
class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokens(text);
  }

  message(plan: MessagePlan, close?: string): Plain {
    const message: Plain = {};
    const byName = new Map(plan.fields.map((field) => [snakeCase(field.name), field]));
    while (!this.#ends(close)) {
      const name = this.#next('a field');
      const field = name.kind === 'name' ? byName.get(name.text) : undefined;
      if (field === undefined)
        throw new TextFormatError(name.line, `${plan.fullName} has no field ${name.text}`);
      this.#field(field, message);
      while (this.#accept(',') || this.#accept(';'));
    }
    return message;
  }

  #field(field: FieldPlan, message: Plain): void {
    this.#accept(':');
    if (field.rule === 'one') {
      message[field.name] = this.#value(field.type);
      return;
    }
    if (field.rule === 'map') {
      message[field.name] ??= {};
      this.#mapEntry(field, message[field.name] as Plain);
      return;
    }
    message[field.name] ??= [];
    const items = message[field.name] as unknown[];
    if (!this.#accept('[')) {
      items.push(this.#value(field.type));
      return;
    }
    while (!this.#accept(']')) {
      items.push(this.#value(field.type));
      this.#accept(',');
    }
  }

  #mapEntry(field: FieldPlan, entries: Plain): void {
    const open = this.#next('{');
    const close = open.text === '<' ? '>' : '}';
    let key = '';
    let value: unknown = field.type.kind === 'message' ? {} : undefined;
    while (!this.#ends(close)) {
      const name = this.#next('key or value');
      this.#accept(':');
      if (name.text === 'key') key = this.#string();
      else if (name.text === 'value') value = this.#value(field.type);
      else throw new TextFormatError(name.line, `a map entry has key and value, not ${name.text}`);
      while (this.#accept(',') || this.#accept(';'));
    }
    entries[key] = value;
  }

  #value(type: FieldType): unknown {
    if (type.kind === 'message') {
      const open = this.#next('{');
      if (open.text !== '{' && open.text !== '<')
        throw new TextFormatError(open.line, `expected {, not ${open.text}`);
      return this.message(type.message, open.text === '{' ? '}' : '>');
    }
    if (type.kind === 'enum') {
      const token = this.#next('a name');
      if (token.kind === 'number') return Number(token.text);
      if (type.byName[token.text] === undefined)
        throw new TextFormatError(token.line, `unknown value ${token.text}`);
      return token.text;
    }
    if (type.scalar === 'string') return this.#string();
    if (type.scalar === 'bytes') return this.#bytes();
    const token = this.#next('a value');
    if (type.scalar === 'bool') return token.text === 'true' || token.text === '1';
    if (token.kind !== 'number')
      throw new TextFormatError(token.line, `expected a number, not ${token.text}`);
    return type.scalar === 'int64' || type.scalar === 'uint64' ? bigintOf(token) : Number(token.text);
  }

  #string(): string {
    return Buffer.from(this.#bytes()).toString('utf8');
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

  #accept(symbol: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'symbol' || token.text !== symbol) return false;
    this.#at++;
    return true;
  }

  #ends(close: string | undefined): boolean {
    return close === undefined ? this.#at >= this.#tokens.length : this.#accept(close);
  }
}

function bigintOf(token: Token): bigint {
  const negative = token.text.startsWith('-');
  const value = BigInt(negative ? token.text.slice(1) : token.text);
  return negative ? -value : value;
}

/** Protobuf's text format to a message of that name. @throws TextFormatError */
export function parseMessageText(fullName: string, text: string): object {
  return new Parser(text).message(messagePlan(fullName));
}

const p4infoCodec = configCodec('P4Info');

/** What `p4c --p4runtime-files x.txt` writes. @throws TextFormatError */
export function parseP4InfoText(text: string): Config<'P4Info'> {
  // Encoding and decoding once fills in the defaults that the text leaves out.
  return p4infoCodec.decode(p4infoCodec.encode(parseMessageText('p4.config.v1.P4Info', text)));
}

/** P4Info as p4c writes it: text, or binary protobuf. @throws TextFormatError, RangeError */
export function parseP4Info(file: Uint8Array): Config<'P4Info'> {
  const text = Buffer.from(file).toString('utf8');
  // Binary protobuf starts with the tag of pkg_info or tables; no text does.
  const binary = file[0] === 0x0a || file[0] === 0x12;
  return binary && !/^\s*[a-z_]+\s*[:{<]/.test(text) ? p4infoCodec.decode(file) : parseP4InfoText(text);
}
