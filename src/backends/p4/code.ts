import { type Assignment, type Expression, reference } from '../common/expression.ts';

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

/** What a table's action does for one layer, or several: parameters out of the entry, assignments in order. */
export interface Stage {
  /** The layer whose weights the entry holds; undefined where no layer has any. */
  readonly layer: number | undefined;
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
  readonly stages: Stage[] = [{ layer: undefined, parameters: [], body: [] }];

  /** Statements and parameters from here on belong to this layer's table. */
  beginStage(layer: number): void {
    const current = this.stages.at(-1)!;
    // What came before the first layer with weights (a pool, say) goes into its action: it costs no table of its own.
    if (current.layer !== undefined) this.stages.push({ layer, parameters: [], body: [] });
    else this.stages[this.stages.length - 1] = { ...current, layer };
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

  assign(target: Expression, value: Expression): void {
    if (target.kind !== 'reference') throw new Error('only a field can be assigned');
    this.stages.at(-1)!.body.push({ target, value });
  }
}

/** `2^offset` at each offset, times the value: the same number in many lanes. */
export const lanesOf = (offsets: readonly number[], value: bigint): bigint =>
  offsets.reduce((sum, offset) => sum + (value << BigInt(offset)), 0n);
