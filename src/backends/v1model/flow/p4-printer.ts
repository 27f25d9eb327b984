import type { Typed } from '../../../features/expression/index.ts';
import { lanesOf } from '../code.ts';
import { printLiteral } from '../print-expression.ts';

/** Where an expression finds what it names, as P4 of 64 bits. */
export interface Names {
  readonly field: (name: string) => string;
  readonly state: (index: number, before: boolean) => string;
}

/** The header of a flow's work: it is never emitted. */
export const FLOW = 'hdr.flow';

/** A field of a generated header; width in bits. */
export interface FlowField {
  readonly name: string;
  readonly width: number;
}

const WORD = 64;
const LOG8_END = 2 ** 34;

/** How a logarithm is found by halving: steps that are tried, and how far a number is let down. */
const LOGS = {
  log8: { valueBits: 34, steps: [16, 8, 4, 2, 1], rest: 3 },
  log2: { valueBits: 53, steps: [32, 16, 8, 4, 2, 1], rest: 0 },
} as const;
type Log = keyof typeof LOGS;

/**
 * Typed expressions as P4 in one action. What is read twice gets a field; validating the header behind its assignment keeps
 * p4c from computing the expression in both places.
 */
export class P4Printer {
  readonly #names: Names;
  readonly #prefix: string;
  readonly #uses = new Map<string, number>();
  readonly #known = new Map<string, string>();
  #lines: string[] = [];
  readonly fields: FlowField[] = [];

  constructor(names: Names, prefix = 't') {
    this.#names = names;
    this.#prefix = prefix;
  }

  take(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  /** Told of all expressions beforehand: what occurs twice is computed once. */
  expect(all: readonly Typed[]): void {
    for (const e of all) {
      const key = keyOf(e);
      const uses = (this.#uses.get(key) ?? 0) + 1;
      this.#uses.set(key, uses);
      if (uses === 1) this.expect(operandsOf(e));
    }
  }

  /** Finds the logarithms that these expressions read, all at once, each in a lane of one word. */
  batchLogs(all: readonly Typed[]): void {
    for (const name of ['log8', 'log2'] as const) {
      const found = new Map<string, Typed & { kind: Log }>();
      const walk = (e: Typed): void => {
        if (e.kind === name && !containsLog(e.operand)) found.set(keyOf(e), e);
        operandsOf(e).forEach(walk);
      };
      all.forEach(walk);
      const lanes = [...found.values()];
      const most = Math.floor(MOST_WIDTH / (LOGS[name].valueBits + 1));
      for (let i = 0; i < lanes.length; i += most) this.#logs(name, lanes.slice(i, i + most));
    }
  }

  /** P4 of 64 bits; statements go before. */
  value(e: Typed): string {
    const key = keyOf(e);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (e.kind === 'log8' || e.kind === 'log2') {
      this.#logs(e.kind, [e]);
      return this.#known.get(key)!;
    }
    const text = this.#text(e);
    return isAtom(e) || (this.#uses.get(key) ?? 1) < 2 ? text : this.#keep(key, text);
  }

  /** The value, at most `most`. */
  bounded(e: Typed, most: number): string {
    if (e.type.kind !== 'integer' || e.type.most <= most) return this.value(e);
    const v = this.#named(e);
    return `(${v} < ${literal(most)} ? ${v} : ${literal(most)})`;
  }

  /** A bool. */
  condition(e: Typed): string {
    if (e.kind === 'operator' && (e.operator === '<' || e.operator === '<=' || e.operator === '==')) {
      if (!this.#known.has(keyOf(e))) return `(${this.value(e.left)} ${e.operator} ${this.value(e.right)})`;
    }
    return `(${this.value(e)} != 0)`;
  }

  #text(e: Typed): string {
    switch (e.kind) {
      case 'constant':
        return literal(e.value);
      case 'field':
        return this.#names.field(e.name);
      case 'now':
        return `${FLOW}.now`;
      case 'state':
        return this.#names.state(e.index, e.before);
      case 'operator':
        return this.#operator(e);
      case 'shift':
        return `(${this.value(e.operand)} ${e.to === 'left' ? '<<' : '>>'} ${e.bits})`;
      case 'divide':
        return e.by === 1 ? this.value(e.operand) : divided(this.value(e.operand), e.by);
      case 'choice':
        return `(${this.condition(e.condition)} ? ${this.value(e.whenTrue)} : ${this.value(e.whenFalse)})`;
      case 'table':
        return looked(this.#named(e.operand), e.table);
      case 'log8':
      case 'log2':
        throw new Error('logarithms have lanes');
      case 'bins': {
        const x = this.#named(e.operand);
        const each = e.thresholds.map((t) => `(${x} < ${literal(t)} ? ${literal(0)} : ${literal(1)})`);
        return `(${sum(each)})`;
      }
    }
  }

  #operator(e: Typed & { kind: 'operator' }): string {
    switch (e.operator) {
      case '<':
      case '<=':
      case '==':
        return `(${this.value(e.left)} ${e.operator} ${this.value(e.right)} ? ${literal(1)} : ${literal(0)})`;
      case 'min':
      case 'max': {
        const [a, b] = [this.#named(e.left), this.#named(e.right)];
        return e.operator === 'min' ? `(${a} < ${b} ? ${a} : ${b})` : `(${a} < ${b} ? ${b} : ${a})`;
      }
      case '-':
        return `(${this.value(e.left)} |-| ${this.value(e.right)})`;
      default:
        return `(${this.value(e.left)} ${e.operator} ${this.value(e.right)})`;
    }
  }

  /** A name or a literal of the value. */
  #named(e: Typed): string {
    if (isAtom(e)) return this.value(e);
    const key = keyOf(e);
    return this.#known.get(key) ?? this.#keep(key, this.value(e));
  }

  #keep(key: string, text: string): string {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const name = this.#assign(text, WORD);
    this.#known.set(key, name);
    return name;
  }

  #assign(text: string, width: number): string {
    const name = `${this.#prefix}${this.fields.length}`;
    this.fields.push({ name, width });
    this.#set(`${FLOW}.${name}`, text);
    return `${FLOW}.${name}`;
  }

  #set(name: string, text: string): void {
    this.#lines.push(`${name} = ${text};`, `${FLOW}.setValid();`);
  }

  /**
   * `v >> s` wherever v reaches `2^(s + rest)`, for each step s, in all lanes at once; acc counts the shifts. Then
   * log2 = acc, and log8 = 8 * acc + what is left, which is below 16.
   */
  #logs(name: Log, lanes: readonly (Typed & { kind: Log })[]): void {
    const { valueBits, steps, rest } = LOGS[name];
    const lane = valueBits + 1;
    const offsets = lanes.map((_, i) => i * lane);
    const width = lanes.length * lane;
    const ones = (value: bigint) => printLiteral(lanesOf(offsets, value), width);
    const values = lanes.map(
      (e) =>
        `(bit<${lane}>)${this.bounded(e.operand, name === 'log8' ? LOG8_END - 1 : Number.MAX_SAFE_INTEGER)}`,
    );
    const v = this.#assign(values.reverse().join(' ++ '), width);
    const acc = this.#assign(printLiteral(0n, width), width);
    const reached = this.#assign(printLiteral(0n, width), width);
    for (const s of steps) {
      const threshold = 1n << BigInt(s + rest);
      this.#set(
        reached,
        `(((${v} + ${ones((1n << BigInt(valueBits)) - threshold)}) >> ${valueBits}) & ${ones(1n)})`,
      );
      this.#set(acc, `(${acc} + (${reached} << ${Math.log2(s)}))`);
      const low = ones((1n << BigInt(valueBits - s)) - 1n);
      const mask = `((${reached} << ${valueBits}) - ${reached})`;
      this.#set(v, `(${v} ^ ((${v} ^ ((${v} >> ${s}) & ${low})) & ${mask}))`);
    }
    const result = name === 'log8' ? `((${acc} << 3) + ${v})` : acc;
    this.#set(v, result);
    lanes.forEach((e, i) => {
      const at = offsets[i]!;
      this.#known.set(keyOf(e), `((bit<${WORD}>)${v}[${at + lane - 1}:${at}])`);
    });
  }
}

const MOST_WIDTH = 2048;

const literal = (value: number): string => printLiteral(BigInt(value), WORD);

const isAtom = (e: Typed): boolean =>
  e.kind === 'constant' || e.kind === 'field' || e.kind === 'now' || e.kind === 'state';

/** A balanced sum: BMv2's reader refuses deep trees. */
function sum(terms: readonly string[], operator = '+'): string {
  if (terms.length === 1) return terms[0]!;
  const half = Math.ceil(terms.length / 2);
  return `(${sum(terms.slice(0, half), operator)} ${operator} ${sum(terms.slice(half), operator)})`;
}

/** `floor(x / by)` of x below 2^53: by a multiply that is exact there, in bits enough for it. */
function divided(x: string, by: number): string {
  const shift = 53 + Math.ceil(Math.log2(by));
  const multiplier = ((1n << BigInt(shift)) + BigInt(by) - 1n) / BigInt(by);
  return `((bit<${WORD}>)(((bit<128>)${x} * ${printLiteral(multiplier, 128)}) >> ${shift}))`;
}

/** Bits of a number that is shifted by as many as a field of eight bits says. */
const MOST_SHIFTED = 256;

/** `table[x]`, of 64 bits: parts of the table are numbers, shifted. @param x a name or a literal of 64 bits */
export function looked(
  x: string,
  table: readonly number[],
  each = Math.max(...table) < 256 ? 8 : 16,
  from = 0,
): string {
  if (each * table.length > MOST_SHIFTED) {
    const half = 2 ** (Math.ceil(Math.log2(table.length)) - 1);
    const low = looked(x, table.slice(0, half), each, from);
    return `(${x} < ${literal(from + half)} ? ${low} : ${looked(x, table.slice(half), each, from + half)})`;
  }
  const value = table.reduce((all, v, i) => all | (BigInt(v) << BigInt(i * each)), 0n);
  const index = from === 0 ? x : `(${x} - ${literal(from)})`;
  const number = printLiteral(value, MOST_SHIFTED);
  return `((bit<${WORD}>)(${number} >> ((bit<8>)${index} << ${Math.log2(each)})) & ${literal(2 ** each - 1)})`;
}

function operandsOf(e: Typed): readonly Typed[] {
  switch (e.kind) {
    case 'constant':
    case 'field':
    case 'now':
    case 'state':
      return [];
    case 'operator':
      return [e.left, e.right];
    case 'choice':
      return [e.condition, e.whenTrue, e.whenFalse];
    default:
      return [e.operand];
  }
}

const containsLog = (e: Typed): boolean =>
  e.kind === 'log8' || e.kind === 'log2' || operandsOf(e).some(containsLog);

const keyOf = (e: Typed): string => JSON.stringify(e);
