import type { Model } from '../model/model.ts';
import { valueType } from '../model/model.ts';
import { elementCount, elementRange } from '../model/tensor.ts';
import { approximateTables, bestTop, type Calibration, calibrationOf } from '../passes/tables/approximate.ts';
import { answerTables, interpretTables } from '../passes/tables/interpret.ts';
import type { Linear } from '../passes/tables/linear.ts';
import { lowerWith, type TableOptions } from '../passes/tables/lower.ts';
import type { TableProgram } from '../passes/tables/program.ts';
import { keyOf, levelsFor, sensitivities } from '../passes/tables/sensitivity.ts';
import { lowerSums } from '../passes/tables/sums.ts';
import { interpret } from '../reference/interpreter.ts';

/** How near an approximated network is to the exact one on some rows. */
export interface Agreement extends Share {
  /** The same of the rows on which nothing was calibrated. */
  readonly heldOut?: Share;
}

interface Share {
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

/** Whether the layers before `to` end in trees that tell a class. */
function isForestVerdict(model: Model, to: number): boolean {
  const end = model.layers[to - 1];
  return end?.kind === 'forest' && end.result === 'verdict';
}

/** Rows 0, 2, 4 and so on. */
function everySecond(rows: Uint8Array, width: number): Uint8Array {
  const count = Math.ceil(rows.length / width / 2);
  const out = new Uint8Array(count * width);
  for (let r = 0; r < count; r++) out.set(rows.subarray(2 * r * width, (2 * r + 1) * width), r * width);
  return out;
}

/**
 * Approximations of one network, as many as are asked for: what the exact one gives on the rows is computed once. Calibrated is
 * on every second row, so that the others tell what is to be expected of rows that were not seen.
 */
export class Approximator {
  readonly #model: Model;
  readonly #options: TableOptions;
  readonly #rows: UserRows;
  readonly #calibration: Calibration;
  readonly #classes: readonly number[];
  readonly #width: number;
  readonly #errors = new Map<string, number>();

  constructor(model: Model, options: TableOptions, rows: UserRows) {
    this.#model = model;
    this.#options = options;
    this.#rows = rows;
    this.#width = elementCount(valueType(model, options.from).shape);
    this.#calibration = calibrationOf(
      model,
      options.from,
      everySecond(rows.rows, this.#width),
      (row, layer) => interpret(model, row, options.from, layer + 1),
    );
    const end = model.layers[options.to - 1];
    const to = end?.kind === 'argmax' ? options.to - 1 : options.to;
    const signed = elementRange(valueType(model, to).element).lo < 0;
    const told = isForestVerdict(model, options.to);
    this.#classes = this.#eachRow((row) => {
      const bytes = interpret(model, row, options.from, to);
      return told ? bytes[0]! : largest(signed ? new Int8Array(bytes) : bytes);
    });
  }

  /** All activations between layers have as many levels. @param scoreBits of forests, by default those of other sums */
  uniform(levels: number, scoreBits = this.#options.scoreBits ?? this.#options.bits) {
    return approximateTables(this.#model, { ...this.#options, scoreBits }, this.#calibration, () => levels);
  }

  /**
   * Levels by sensitivity, so that the tables behind the first layer have about so many entries.
   * @param share of the activations of a layer that are matched by twos, the first layer between layers at 0
   */
  bySensitivity(entries: number, share: readonly number[] = []) {
    const layers: { layer: number; linear: Linear }[] = [];
    lowerWith(this.#model, {
      ...this.#options,
      sums(linear, layer, inputs) {
        layers.push({ layer, linear });
        return lowerSums(linear, layer, inputs, 48);
      },
    });
    const levels = levelsFor(
      sensitivities(layers),
      entries,
      (layer, output, n) => this.#errorOf(layer, output, n),
      (layer) => share[layers.findIndex((l) => l.layer === layer)] ?? 0,
    );
    const of = (layer: number, output: number) => levels.get(keyOf(layer, output)) ?? 4;
    return approximateTables(this.#model, this.#options, this.#calibration, of);
  }

  /** Mean square error on the rows of an activation that has so many levels. */
  #errorOf(layer: number, output: number, levels: number): number {
    const key = `${layer} ${output} ${levels}`;
    const known = this.#errors.get(key);
    if (known !== undefined) return known;
    const count = this.#calibration.rows.length / this.#width;
    const q = Array.from({ length: count }, (_, r) => this.#calibration.exact(layer, output, r));
    const { error } = bestTop(q, Math.min(...q), levels);
    this.#errors.set(key, error);
    return error;
  }

  agreementOf(program: TableProgram): Agreement {
    const told = isForestVerdict(this.#model, this.#options.to);
    const classes = this.#eachRow((row) =>
      told ? answerTables(program, row)[0]! : largest(interpretTables(program, row)),
    );
    const { labels } = this.#rows;
    const all = classes.map((_, r) => r);
    const sharesOf = (of: readonly number[]): Share => {
      const share = (a: readonly number[], b: readonly number[]) =>
        of.reduce((n, r) => n + Number(a[r] === b[r]), 0) / of.length;
      return {
        rows: of.length,
        agreement: share(classes, this.#classes),
        ...(labels && { accuracy: share(classes, labels), exactAccuracy: share(this.#classes, labels) }),
      };
    };
    const heldOut = all.filter((r) => r % 2 === 1);
    return { ...sharesOf(all), ...(heldOut.length > 0 && { heldOut: sharesOf(heldOut) }) };
  }

  #eachRow<T>(f: (row: Uint8Array) => T): T[] {
    const { rows } = this.#rows;
    const count = rows.length / this.#width;
    return Array.from({ length: count }, (_, r) => f(rows.subarray(r * this.#width, (r + 1) * this.#width)));
  }
}
