import { type Assignment, type Expression, literal, reference } from '../common/expression.ts';
import type { LookupFamily } from '../common/table-model.ts';

/** One parameter of a layer's action: a word of weights or of start values. */
export interface Parameter {
  readonly name: string;
  readonly width: number;
  readonly value: bigint;
}

/** A field that layers compute in. It never leaves the switch. */
export interface ScratchField {
  readonly name: string;
  readonly width: number;
}

/** A table by a key of the packet: what its entry holds is added to fields. A key without an entry adds nothing. */
export interface Lookup {
  /** `tree` of tables that stand for one, `sums` of tables that stand for a whole layer; their entries are numbers of its neurons. Default `embedding`. */
  readonly family?: LookupFamily;
  readonly layer: number;
  /** Which of the layer's keys. */
  readonly index: number;
  readonly key: Expression;
  /** The value that the field of the key has, by entry. */
  readonly keys: readonly number[];
  /** Ranges of several fields, in place of one key: of each field the least and the greatest value, by entry. */
  readonly boxes?: {
    readonly fields: readonly Expression[];
    readonly bounds: readonly (readonly (readonly [lo: number, hi: number])[])[];
  };
  /** Bits of several fields, in place of one key: of each field which of them count, by entry. */
  readonly masks?: {
    readonly fields: readonly Expression[];
    readonly matches: readonly (readonly { readonly value: number; readonly mask: number }[])[];
  };
  /** Leading bits of the key that an entry asks for, by entry; absent where all of them. */
  readonly prefixes?: readonly number[];
  /** Entries of one version that there is room for, if more than there are. */
  readonly room?: number;
  /** What the entry holds takes the place of what is in the fields. */
  readonly sets?: true;
  readonly targets: readonly Expression[];
  /** What is added to each target, by entry. */
  readonly values: readonly (readonly bigint[])[];
  /** Whether the entries are part of the program. */
  readonly constant: boolean;
}

/**
 * Lookups, and then what a table's action does for one layer, or several: parameters out of the entry, assignments in
 * order.
 */
export interface Stage {
  /** The first of the layers whose weights the parameters are; undefined where no layer has any. */
  readonly layer: number | undefined;
  readonly lookups: readonly Lookup[];
  readonly parameters: Parameter[];
  readonly body: Assignment[];
}

/** The header that holds them: one that is never emitted, since metadata is cleared for every packet. */
export const SCRATCH = 'hdr.scratch';

/** The packet's activations. */
export const INPUT = 'hdr.activations';

/** Bytes of parameters beyond which a layer begins a stage of its own: a message to a switch has at most 4 MiB. */
const STAGE_BYTES = 2 ** 20;

const bytesOf = ({ parameters }: Stage): number => parameters.reduce((sum, { width }) => sum + width / 8, 0);

/** Collects the code of the layers as they are lowered: scratch fields over all, statements by stage. */
export class Code {
  readonly scratch: ScratchField[] = [];
  readonly stages: Stage[] = [{ layer: undefined, lookups: [], parameters: [], body: [] }];
  /** Every look-up has an entry for each key, so one that misses has no weights: nothing is computed then. */
  readonly complete: boolean;
  readonly #dispensable = new Set<string>();
  #layer: number | undefined;

  constructor(o: { readonly complete?: boolean } = {}) {
    this.complete = o.complete ?? false;
  }

  /**
   * Statements and parameters from here on are this layer's. They go on in the stage that is there, for each table costs a
   * packet a microsecond or two, unless its parameters become too many for one message.
   * @param bytes of the layer's parameters
   */
  beginLayer(layer: number, bytes: number): void {
    const current = this.stages.at(-1)!;
    if (bytesOf(current) + bytes > STAGE_BYTES && current.layer !== undefined) this.beginLookups(layer, []);
    else if (current.layer === undefined) this.stages[this.stages.length - 1] = { ...current, layer };
    this.#layer = layer;
  }

  /** The same behind lookups, so what came before them stands in an action of its own. */
  beginLookups(layer: number, lookups: readonly Lookup[]): void {
    this.stages.push({ layer, lookups, parameters: [], body: [] });
    this.#layer = layer;
  }

  /** The layer whose parameters and statements go into the stage now. */
  get layer(): number | undefined {
    return this.#layer;
  }

  field(name: string, width: number): Expression {
    this.scratch.push({ name, width });
    return reference(`${SCRATCH}.${name}`, width);
  }

  parameter(own: string, width: number, value: bigint): Expression {
    const { parameters, layer } = this.stages.at(-1)!;
    const name = layer === this.#layer ? own : `l${this.#layer}_${own}`;
    if (!parameters.some((p) => p.name === name)) parameters.push({ name, width, value });
    return reference(name, width);
  }

  /** A field of this value; nothing is left of it where nobody reads it. @returns its name */
  constantField(name: string, width: number, value: bigint): string {
    const field = this.field(name, width);
    this.assign(field, literal(value, width));
    this.#dispensable.add(fieldName(field));
    return fieldName(field);
  }

  /** Drops constants that neither the code nor these expressions read. */
  dropUnread(results: readonly Expression[]): void {
    if (this.#dispensable.size === 0) return;
    const read = new Set<string>();
    const values = this.stages.flatMap((s) => [
      ...s.body.map((a) => a.value),
      ...s.lookups.flatMap(keyFields),
    ]);
    for (const value of [...values, ...results]) eachReference(value, (name) => read.add(name));
    const unread = (name: string) => this.#dispensable.has(name) && !read.has(name);
    remove(this.scratch, (field) => unread(`${SCRATCH}.${field.name}`));
    for (const { body } of this.stages) remove(body, ({ target }) => unread(target.name));
  }

  assign(target: Expression, value: Expression): void {
    if (target.kind !== 'reference') throw new Error('only a field can be assigned');
    this.stages.at(-1)!.body.push({ target, value });
  }
}

function remove<T>(list: T[], unwanted: (item: T) => boolean): void {
  list.splice(0, list.length, ...list.filter((item) => !unwanted(item)));
}

/** What a look-up matches. */
export const keyFields = ({ key, boxes, masks }: Lookup): readonly Expression[] =>
  boxes?.fields ?? masks?.fields ?? [key];

/** Empty for what is no field. */
export const fieldName = (field: Expression): string => (field.kind === 'reference' ? field.name : '');

/** Names that an expression reads. */
export function eachReference(e: Expression, visit: (name: string) => void): void {
  switch (e.kind) {
    case 'reference':
      visit(e.name);
      return;
    case 'literal':
      return;
    case 'binary':
    case 'concat':
      eachReference(e.left, visit);
      eachReference(e.right, visit);
      return;
    case 'select':
      eachReference(e.operand, visit);
      eachReference(e.amount, visit);
      return;
    case 'shift':
    case 'slice':
    case 'cast':
      eachReference(e.operand, visit);
  }
}

/** `2^offset` at each offset, times the value: the same number in many lanes. */
export const lanesOf = (offsets: readonly number[], value: bigint): bigint =>
  offsets.reduce((sum, offset) => sum + (value << BigInt(offset)), 0n);
