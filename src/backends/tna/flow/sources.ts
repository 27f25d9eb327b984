import type { FeatureDefinition } from '../../../features/definition.ts';
import type { Typed } from '../../../features/expression/index.ts';
import { cover, type Pieces } from '../../../passes/tables/cover.ts';
import { stageLimits, TCAM_ROWS } from '../chips.ts';
import { fieldRefusal, foundField } from './fields.ts';
import { constantOf, type Leaf, leavesOf, piecesOf } from './functions.ts';

/** What of a definition no Tofino does, and what helps. */
export class Refusal extends Error {
  constructor(
    readonly what: string,
    readonly why: string,
  ) {
    super(`${what}: ${why}`);
  }
}

/** A number at hand before a register or a table reads it. */
export type Operand = {
  readonly bits: number;
  /** The table or register that it comes from; none where it is of the packet. */
  readonly after?: string;
} & (
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'field'; readonly text: string }
);

/** A function of one number as a table of ranges, which are prefixes. */
export interface FunctionTable {
  readonly name: string;
  /** P4 of what it matches, and bits; of a time its lower bits, of which `beyond` says that they are not all. */
  readonly key: { readonly text: string; readonly bits: number };
  /** P4 of 16 bits that are not 0 where the time is longer than the lower bits tell: it has the last value then. */
  readonly beyond?: string;
  readonly pieces: Pieces;
  /** P4 that it sets. */
  readonly to: string;
  readonly bits: number;
  /** What must have been read before. */
  readonly after?: string;
}

/** The lesser or larger of two fields. */
export interface Extremum {
  readonly name: string;
  readonly operator: 'min' | 'max';
  readonly left: string;
  readonly right: string;
}

/** `now` less what two registers told, in two halves. */
export interface Duration {
  readonly name: string;
  /** Its registers are called so, with `_low` and `_high`. */
  readonly register: string;
}

/** The register of a number of the state, which is made if need be. */
export type Find = (scalar: number) => { readonly name: string; readonly bits: number };

/** Entries that the TCAM of a stage holds, of keys of one block's width. */
const MOST_ROWS = stageLimits.tcam * TCAM_ROWS;

/** Longest time that the lower 32 bits of the clock tell for sure. */
const MOST_TOLD = 2 ** 32 - 2 ** 16;
const TIME_BITS = 48;

const bitsOf = (most: number): number => Math.max(1, Math.floor(Math.log2(Math.max(1, most))) + 1);

/** Where numbers come from: fields, and what is made of them by tables and adds before the network. */
export class Sources {
  readonly tables: FunctionTable[] = [];
  readonly extrema: Extremum[] = [];
  readonly durations: Duration[] = [];
  readsClock = false;

  constructor(readonly definition: FeatureDefinition) {}

  clock(half: 'low' | 'high'): Operand {
    this.readsClock = true;
    return { kind: 'field', text: `meta.now_${half}`, bits: 32 };
  }

  /** What a register adds, compares or stores, or what says whether. @throws Refusal */
  operand(place: string, e: Typed, find: Find): Operand {
    const value = constantOf(e);
    if (value !== undefined) return { kind: 'constant', value, bits: bitsOf(value) };
    const leaf = this.#leaf(place, e, find);
    if (e === leaf.expression) return copyOf(leaf);
    const name = `v${this.tables.length}`;
    const pieces = this.#pieces(place, e, leaf);
    const bits = bitsOf(Math.max(...pieces.levels));
    const to = `meta.${name}`;
    this.tables.push({ ...tableOf(name, leaf, pieces, to), bits });
    return { kind: 'field', text: to, bits, after: name };
  }

  /** A feature: a constant, a field as it is, or what a table sets. @throws Refusal */
  feature(index: number, name: string, e: Typed, find: Find): Operand {
    const place = `feature ${name}`;
    const value = constantOf(e);
    if (value !== undefined) return { kind: 'constant', value, bits: 8 };
    const leaf = this.#leaf(place, e, find);
    const pieces = this.#pieces(place, e, leaf);
    if (leaf.beyond === undefined && leaf.bits <= 8 && pieces.levels.every((v, i) => v === pieces.starts[i]))
      if (pieces.starts.length === 2 ** leaf.bits) return copyOf(leaf);
    const [table, text, bits] = [`feature_${index}`, `meta.f${index}`, 8];
    this.tables.push({ ...tableOf(table, leaf, pieces, text), bits });
    return { kind: 'field', text, bits, after: table };
  }

  #pieces(place: string, e: Typed, leaf: FoundLeaf): Pieces {
    const pieces = piecesOf(e, leaf.expression, leaf.beyond === undefined ? leaf.bits : TIME_BITS);
    if (pieces === undefined)
      throw new Refusal(
        place,
        `a function of ${leaf.bits} bits is a table only where it rises or falls: use log8, >>, min or bins, or say bits: 16`,
      );
    if (leaf.beyond !== undefined && pieces.starts.at(-1)! > MOST_TOLD)
      throw new Refusal(
        place,
        'it tells times of more than 4.29 s apart, and the chip subtracts 32 bits of ns: bound it, for example min(ms(x), 255)',
      );
    const rows = cover(leaf.bits, pieces).length;
    const most = MOST_ROWS / (leaf.beyond === undefined ? 1 : 2);
    if (rows > most)
      throw new Refusal(
        place,
        `its table has ${rows} entries, and a stage holds ${most}: use log8, >>, min or bins, which have few steps`,
      );
    return pieces;
  }

  /** The one number that an expression reads. */
  #leaf(place: string, e: Typed, find: Find): FoundLeaf {
    const leaves = leavesOf(e);
    if (leaves.length > 1)
      throw new Refusal(
        place,
        `a table matches one number, and it reads ${leaves.length}: make features of each`,
      );
    const [expression] = leaves;
    if (expression!.kind === 'field') return { expression: expression!, ...fieldOf(place, expression!) };
    if (expression!.kind === 'state') {
      const { name, bits } = find(expression!.index);
      return { expression: expression!, text: `meta.${name}`, bits, after: name };
    }
    if (expression!.type.kind === 'duration') return this.#duration(place, expression!, find);
    const [left, right] = [expression!.left, expression!.right].map((f) =>
      fieldOf(place, f as Typed & { kind: 'field' }),
    );
    const name = `m${this.extrema.length}`;
    const bits = Math.max(left!.bits, right!.bits);
    this.extrema.push({
      name,
      operator: expression!.operator as 'min' | 'max',
      left: left!.text,
      right: right!.text,
    });
    return { expression: expression!, text: `meta.${name}`, bits };
  }

  #duration(place: string, e: Leaf & { kind: 'operator' }, find: Find): FoundLeaf {
    if (e.left.kind !== 'now' || e.right.kind !== 'state')
      throw new Refusal(place, 'the chip subtracts from the time of the packet alone: time - x');
    const register = find(e.right.index).name.replace(/_low$/, '');
    const name = register.replace('s', 'd');
    if (!this.durations.some((d) => d.name === name)) this.durations.push({ name, register });
    return {
      expression: e,
      text: `meta.${name}_low`,
      beyond: `meta.${name}_high`,
      bits: 32,
      after: name,
    };
  }
}

interface FoundLeaf {
  readonly expression: Leaf;
  readonly text: string;
  readonly bits: number;
  readonly after?: string;
  readonly beyond?: string;
}

const copyOf = ({ text, bits, after }: FoundLeaf): Operand => ({
  kind: 'field',
  text,
  bits,
  ...(after !== undefined && { after }),
});

const tableOf = (name: string, leaf: FoundLeaf, pieces: Pieces, to: string) => ({
  name,
  key: { text: leaf.text, bits: leaf.bits },
  ...(leaf.beyond !== undefined && { beyond: leaf.beyond }),
  pieces,
  to,
  ...(leaf.after !== undefined && { after: leaf.after }),
});

function fieldOf(place: string, e: Typed & { kind: 'field' }): { text: string; bits: number } {
  const why = fieldRefusal(e.name);
  if (why !== undefined) throw new Refusal(place, why);
  return foundField(e.name)!;
}
