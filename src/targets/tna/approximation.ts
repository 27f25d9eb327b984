import type { Model } from '../../model/model.ts';
import { valueType } from '../../model/model.ts';
import { elementCount, elementRange } from '../../model/tensor.ts';
import { approximateTables, type Calibration, calibrationOf } from '../../passes/tables/approximate.ts';
import { interpretTables } from '../../passes/tables/interpret.ts';
import type { Linear } from '../../passes/tables/linear.ts';
import { lowerWith, type TableOptions } from '../../passes/tables/lower.ts';
import type { TableProgram } from '../../passes/tables/program.ts';
import { keyOf, levelsFor, sensitivities } from '../../passes/tables/sensitivity.ts';
import { lowerSums } from '../../passes/tables/sums.ts';
import { interpret } from '../../reference/interpreter.ts';

/** How near an approximated network is to the exact one on some rows. */
export interface Agreement {
  readonly rows: number;
  /** Share of the rows on which both have the same class. */
  readonly agreement: number;
  /** Shares of right classes, where labels are known. */
  readonly accuracy?: number;
  readonly exactAccuracy?: number;
}

/** Rows and what they should give. */
export interface UserRows {
  readonly rows: Uint8Array;
  readonly labels?: readonly number[];
}

const largest = (q: ArrayLike<number>): number => {
  let best = 0;
  for (let i = 1; i < q.length; i++) if (q[i]! > q[best]!) best = i;
  return best;
};

/** Approximations of one network, as many as are asked for: what the exact one gives on the rows is computed once. */
export class Approximator {
  readonly #model: Model;
  readonly #options: TableOptions;
  readonly #rows: UserRows;
  readonly #calibration: Calibration;
  readonly #classes: readonly number[];
  readonly #width: number;

  constructor(model: Model, options: TableOptions, rows: UserRows) {
    this.#model = model;
    this.#options = options;
    this.#rows = rows;
    this.#width = elementCount(valueType(model, options.from).shape);
    this.#calibration = calibrationOf(model, options.from, rows.rows, (row, layer) =>
      interpret(model, row, options.from, layer + 1),
    );
    const to = model.layers[options.to - 1]?.kind === 'argmax' ? options.to - 1 : options.to;
    const signed = elementRange(valueType(model, to).element).lo < 0;
    this.#classes = this.#eachRow((row) => {
      const bytes = interpret(model, row, options.from, to);
      return largest(signed ? new Int8Array(bytes) : bytes);
    });
  }

  /** All activations between layers have as many levels. */
  uniform(levels: number) {
    return approximateTables(this.#model, this.#options, this.#calibration, () => levels);
  }

  /** Levels by sensitivity, so that the tables behind the first layer have about so many entries. */
  bySensitivity(entries: number) {
    const layers: { layer: number; linear: Linear }[] = [];
    lowerWith(this.#model, {
      ...this.#options,
      sums(linear, layer, inputs) {
        layers.push({ layer, linear });
        return lowerSums(linear, layer, inputs, 48);
      },
    });
    const count = this.#classes.length;
    const variance = (layer: number, output: number): number => {
      let [sum, squares] = [0, 0];
      for (let r = 0; r < count; r++) {
        const q = this.#calibration.exact(layer, output, r);
        sum += q;
        squares += q * q;
      }
      return squares / count - (sum / count) ** 2;
    };
    const levels = levelsFor(sensitivities(layers, variance), entries);
    const of = (layer: number, output: number) => levels.get(keyOf(layer, output)) ?? 4;
    return approximateTables(this.#model, this.#options, this.#calibration, of);
  }

  agreementOf(program: TableProgram): Agreement {
    const classes = this.#eachRow((row) => largest(interpretTables(program, row)));
    const share = (of: readonly number[], as: readonly number[]) =>
      of.filter((c, i) => c === as[i]).length / of.length;
    const { labels } = this.#rows;
    return {
      rows: classes.length,
      agreement: share(classes, this.#classes),
      ...(labels && { accuracy: share(classes, labels), exactAccuracy: share(this.#classes, labels) }),
    };
  }

  #eachRow<T>(f: (row: Uint8Array) => T): T[] {
    const { rows } = this.#rows;
    const count = rows.length / this.#width;
    return Array.from({ length: count }, (_, r) => f(rows.subarray(r * this.#width, (r + 1) * this.#width)));
  }
}
