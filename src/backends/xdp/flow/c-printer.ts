import type { Typed } from '../../../features/expression/index.ts';
import { MOST_DURATION } from '../../../features/expression/index.ts';

/** Where an expression finds what it names, as C. */
export interface Names {
  readonly field: (name: string) => string;
  readonly state: (index: number, before: boolean) => string;
}

/** Numbers that log tables hold: the upper bits of what is larger are looked up, and its bytes counted. */
const LOG_TABLE_BITS = 11;
/** log8 reaches 255 here. */
const LOG8_END = 2 ** 34;

/**
 * Typed expressions as C statements, each operator one constant of type __u64. Nothing branches: the verifier would follow
 * both sides of each, and a mispredicted one costs more than all the masks. What was computed once is not again.
 */
export class CPrinter {
  readonly #names: Names;
  readonly #prefix: string;
  readonly #known = new Map<string, string>();
  #lines: string[] = [];
  #count = 0;
  /** Names of the log tables that were used. */
  readonly logTables = new Set<'log2' | 'log8'>();
  /** Tables of the definition, in the order of their first use. */
  readonly tables: (readonly number[])[];

  /**
   * @param prefix of the names that are given: each printer of a scope has its own
   * @param tables that printers of a program have in common
   */
  constructor(names: Names, prefix = 't', tables: (readonly number[])[] = []) {
    this.#names = names;
    this.#prefix = prefix;
    this.tables = tables;
  }

  /** The statements since the last call. */
  take(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  /** Forgets what was computed: it is in no scope any more, or would have to be kept too long. */
  forget(): void {
    this.#known.clear();
  }

  /** C of the value: a name or a constant; statements go before. */
  value(e: Typed): string {
    switch (e.kind) {
      case 'constant':
        return constant(e.value);
      case 'field':
        return this.#name(this.#names.field(e.name));
      case 'now':
        return 'now';
      case 'state':
        return this.#names.state(e.index, e.before);
      case 'operator':
        return this.#name(this.#operator(e));
      case 'shift':
        return this.#name(`${this.value(e.operand)} ${e.to === 'left' ? '<<' : '>>'} ${e.bits}`);
      case 'divide':
        return e.by === 1
          ? this.value(e.operand)
          : this.#name(`${this.value(e.operand)} / ${constant(e.by)}`);
      case 'choice': {
        const [c, a, b] = [this.#truth(e.condition), this.value(e.whenTrue), this.value(e.whenFalse)];
        return a === b ? a : this.#name(`intransit_flow_choose(${c}, ${a}, ${b})`);
      }
      case 'log8':
        return this.#log('log8', e.operand);
      case 'log2':
        return this.#log('log2', e.operand);
      case 'table': {
        const mask = tableSize(e.table) - 1;
        return this.#name(`table${this.#table(e.table)}[${this.value(e.operand)} & ${mask}]`);
      }
      case 'bins': {
        const x = this.value(e.operand);
        const above = e.thresholds.map((t) => this.#name(`intransit_flow_less(${x}, ${constant(t)})`));
        return this.#name([`${e.thresholds.length}`, ...above].join(' - '));
      }
    }
  }

  /** The value, at most `most`. */
  bounded(e: Typed, most: number): string {
    const value = this.value(e);
    if (e.type.kind !== 'integer' || e.type.most <= most) return value;
    return this.#name(`intransit_flow_min(${value}, ${constant(most)})`);
  }

  #operator(e: Typed & { kind: 'operator' }): string {
    const [a, b] = [this.value(e.left), this.value(e.right)];
    switch (e.operator) {
      case '-': {
        const difference = `intransit_flow_minus(${a}, ${b})`;
        return e.type.kind === 'duration'
          ? `intransit_flow_min(${this.#name(difference)}, ${constant(MOST_DURATION)})`
          : difference;
      }
      case '<':
        return `intransit_flow_less(${a}, ${b})`;
      case '<=':
        return `1 ^ ${this.#name(`intransit_flow_less(${b}, ${a})`)}`;
      case '==':
        return `intransit_flow_equal(${a}, ${b})`;
      case 'min':
      case 'max':
        return `intransit_flow_${e.operator}(${a}, ${b})`;
      default:
        return `${a} ${e.operator} ${b}`;
    }
  }

  /** 0 or 1. */
  #truth(e: Typed): string {
    const value = this.value(e);
    if (e.type.kind === 'integer' && e.type.most <= 1) return value;
    return this.#name(`1 ^ ${this.#name(`intransit_flow_equal(${value}, 0)`)}`);
  }

  /**
   * `log(v) = table[v >> s] + each * s`, s the least multiple of 8 that brings v into the table: what is shifted out does not
   * matter, as at least four bits stay.
   */
  #log(name: 'log2' | 'log8', operand: Typed): string {
    this.logTables.add(name);
    const given = operand.type.kind === 'integer' ? operand.type.most : MOST_DURATION;
    const most = name === 'log8' ? Math.min(given, LOG8_END - 1) : given;
    const v = this.bounded(operand, most);
    const steps: string[] = [];
    for (let end = LOG_TABLE_BITS; 2 ** end <= most; end += 8)
      steps.push(this.#name(`intransit_flow_less(${constant(2 ** end - 1)}, ${v})`));
    const mask = 2 ** LOG_TABLE_BITS - 1;
    if (steps.length === 0) return this.#name(`intransit_flow_${name}[${v} & ${mask}]`);
    const shift = this.#name(`(${steps.join(' + ')}) << 3`);
    const each = name === 'log8' ? ' * 8' : '';
    return this.#name(`intransit_flow_${name}[(${v} >> ${shift}) & ${mask}] + ${shift}${each}`);
  }

  #table(table: readonly number[]): number {
    const found = this.tables.indexOf(table);
    return found >= 0 ? found : this.tables.push(table) - 1;
  }

  /** Gives an expression a name, or the one that it has. */
  #name(expression: string): string {
    const known = this.#known.get(expression);
    if (known !== undefined) return known;
    const name = `${this.#prefix}${this.#count++}`;
    this.#lines.push(`const __u64 ${name} = ${expression};`);
    this.#known.set(expression, name);
    return name;
  }
}

const constant = (value: number): string => `${value}ULL`;

/** Places of a table in C: a power of two, so that a mask bounds the index for the verifier. */
export const tableSize = (table: readonly number[]): number => 2 ** Math.ceil(Math.log2(table.length));

/** A log table of the header's name. @param of the function, of numbers below 2^LOG_TABLE_BITS */
export function logTable(name: string, of: (v: number) => number): string[] {
  const values = Array.from({ length: 2 ** LOG_TABLE_BITS }, (_, v) => of(v));
  return [
    `static const __u8 intransit_flow_${name}[${values.length}] SEC(".rodata") = {`,
    ...rows(values),
    '};',
  ];
}

/** A read-only array of the program, filled up with zeros to a power of two. */
export function tableText(table: readonly number[], index: number): string[] {
  const values = Array.from({ length: tableSize(table) }, (_, i) => table[i] ?? 0);
  return [`static const __u16 table${index}[${values.length}] SEC(".rodata") = {`, ...rows(values), '};'];
}

function rows(values: readonly number[]): string[] {
  const lines: string[] = [];
  for (let i = 0; i < values.length; i += 24) lines.push(`\t${values.slice(i, i + 24).join(', ')},`);
  return lines;
}
