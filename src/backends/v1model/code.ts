import { type Assignment, type Expression, literal, reference } from '../common/expression.ts';

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
  readonly layer: number;
  /** Which of the layer's keys. */
  readonly index: number;
  readonly key: Expression;
  /** The value that the field of the key has, by entry. */
  readonly keys: readonly number[];
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
  /** The layer whose weights the entry holds; undefined where no layer has any. */
  readonly layer: number | undefined;
  readonly lookups: readonly Lookup[];
  readonly parameters: Parameter[];
  readonly body: Assignment[];
}

/** The header that holds them: one that is never emitted, since metadata is cleared for every packet. */
export const SCRATCH = 'hdr.scratch';

/** The packet's activations. */
export const INPUT = 'hdr.activations';

/** Collects the code of the layers as they are lowered: scratch fields over all, statements by stage. */
export class Code {
  readonly scratch: ScratchField[] = [];
  readonly stages: Stage[] = [{ layer: undefined, lookups: [], parameters: [], body: [] }];
  readonly #dispensable = new Set<string>();

  /** Statements and parameters from here on belong to this layer's table. */
  beginStage(layer: number): void {
    const current = this.stages.at(-1)!;
    // What came before the first layer with weights (a pool, say) goes into its action: it costs no table of its own.
    if (current.layer !== undefined) this.beginLookups(layer, []);
    else this.stages[this.stages.length - 1] = { ...current, layer };
  }

  /** The same behind lookups, so what came before them stands in an action of its own. */
  beginLookups(layer: number, lookups: readonly Lookup[]): void {
    this.stages.push({ layer, lookups, parameters: [], body: [] });
  }

  /** The layer to whose entry parameters go now. */
  get layer(): number | undefined {
    return this.stages.at(-1)!.layer;
  }

  field(name: string, width: number): Expression {
    this.scratch.push({ name, width });
    return reference(`${SCRATCH}.${name}`, width);
  }

  parameter(name: string, width: number, value: bigint): Expression {
    const { parameters } = this.stages.at(-1)!;
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
      ...s.lookups.map((lookup) => lookup.key),
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
