import { readFileSync } from 'node:fs';
import { Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { importOnnx } from '../../../src/import/onnx/index.ts';
import type { ForestLayer, Model } from '../../../src/model/model.ts';
import { elementCount } from '../../../src/model/tensor.ts';
import { codeForms } from '../../../src/passes/tables/codes.ts';
import { answerTables } from '../../../src/passes/tables/interpret.ts';
import { lowerToTables } from '../../../src/passes/tables/lower.ts';
import type { TableProgram } from '../../../src/passes/tables/program.ts';
import { cutRefusal, sliceTables } from '../../../src/passes/tables/slice.ts';
import { interpret } from '../../../src/reference/interpreter.ts';
import { Approximator } from '../../../src/targets/approximation.ts';
import { type ForestSpec, forestOnnx } from '../../support/forests.ts';
import { rowsOf } from '../../support/models.ts';
import { openRuntime } from '../../support/onnx-runtime.ts';
import { random } from '../../support/random.ts';

const small: ForestSpec = { features: 6, trees: 5, depth: 4, scores: 3, leaves: 'all' };

const forest = (seed: number, spec: Partial<ForestSpec> = {}): Model =>
  importOnnx(forestOnnx(random(seed), { ...small, ...spec }), `forest-${seed}.onnx`).model;

const lowered = (model: Model, bits = 56) =>
  lowerToTables(model, { from: 0, to: model.layers.length, target: 'test', bits });

/** Rows on which the tables of the model do not answer what the reference does. */
function mismatches(model: Model, program: TableProgram, rows: Uint8Array): number {
  const width = elementCount(model.input.shape);
  let count = 0;
  for (let at = 0; at < rows.length; at += width) {
    const row = rows.subarray(at, at + width);
    const [made, exact] = [answerTables(program, row), interpret(model, row)];
    if (made.some((byte, i) => byte !== exact[i])) count++;
  }
  return count;
}

describe('codes of intervals', () => {
  it.each([1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 40])(
    '%d thresholds: each run is matched by its cubes, and no other interval',
    (count) => {
      const forms = codeForms(count);
      for (const [i, form] of forms.entries()) {
        if (i > 0) expect(form.bits).toBeLessThan(forms[i - 1]!.bits);
        const words = Array.from({ length: count + 1 }, (_, interval) => form.wordOf(interval));
        expect(new Set(words).size).toBe(count + 1);
        for (const word of words) expect(word).toBeLessThan(1n << BigInt(form.bits));
        for (let first = 0; first <= count; first++)
          for (let last = first; last <= count; last++) {
            const cubes = form.cubesOf(first, last);
            const matched = words.flatMap((word, interval) =>
              cubes.some((cube) =>
                cube.every(({ bit, isSet }) => ((word >> BigInt(bit)) & 1n) === (isSet ? 1n : 0n)),
              )
                ? [interval]
                : [],
            );
            expect(matched).toEqual(Array.from({ length: last - first + 1 }, (_, k) => first + k));
            expect(cubes.length).toBeLessThanOrEqual(i === 0 ? 1 : 2 * form.bits);
          }
      }
    },
  );

  it('on a ring take half of the bits', () => {
    expect(codeForms(15).map((form) => form.bits)).toEqual([15, 8, 4]);
    expect(codeForms(2).map((form) => form.bits)).toEqual([2]);
  });
});

describe('the answers of the reference', () => {
  const kinds: Record<string, Partial<ForestSpec>> = {
    'shares of all classes': {},
    'one class a tree, signed': { trees: 12, leaves: 'one', signed: true },
    'a base for each class': { base: [0.1, -0.2, 0.05], signed: true },
    'two classes by one signed number': { scores: 2, leaves: 'second', signed: true },
    'trees that are leaves': { depth: 0 },
    'one deep tree': { trees: 1, depth: 12, features: 3 },
    'many features': { features: 60, trees: 3 },
    'sums of int8': { signed: true, scores: 2, base: [0.4, -0.1], operator: 'TreeEnsembleRegressor' },
  };
  it.each(Object.entries(kinds))('%s', (_, spec) => {
    for (let seed = 1; seed <= 6; seed++) {
      const model = forest(seed, spec);
      const { program, diagnostics } = lowered(model);
      expect(diagnostics).toEqual([]);
      expect(mismatches(model, program!, rowsOf(random(seed), model, 200))).toBe(0);
    }
  });

  it('behind a look-up of each element', () => {
    const model = forest(3);
    const [layer] = model.layers as [ForestLayer];
    const table = Int16Array.from({ length: 256 }, (_, i) => (i * 37 + 11) % 256);
    const lut = { kind: 'lut', name: 'mixed', inputs: [0], output: model.input, table } as const;
    const mixed: Model = { ...model, layers: [lut, { ...layer, inputs: [1] }] };
    expect(mismatches(mixed, lowered(mixed).program!, rowsOf(random(3), model, 200))).toBe(0);
  });

  it.each([
    [10, 8],
    [100, 6],
  ])(
    'and the labels of ONNX Runtime: %d trees of depth %d, on all rows of traffic-mlp',
    async (trees, depth) => {
      const bytes = forestOnnx(random(depth), { features: 16, trees, depth, scores: 7, leaves: 'all' });
      const { model } = importOnnx(bytes, 'forest.onnx');
      const { program } = lowered(model);
      const rows = readFileSync('examples/traffic-mlp.x.bin');
      const session = await openRuntime(bytes);
      const x = new Tensor('float32', Float32Array.from(rows), [rows.length / 16, 16]);
      const labels = Array.from((await session.run({ x })).label!.data as BigInt64Array, Number);
      expect(labels).toHaveLength(6003);
      expect(labels.map((_, r) => answerTables(program!, rows.subarray(16 * r, 16 * r + 16))[0])).toEqual(
        labels,
      );
      expect(mismatches(model, program!, rows.subarray(0, 16 * 500))).toBe(0);
    },
  );
});

describe('scores that need more bits than there are', () => {
  it('are refused, which says how to round them', () => {
    const { program, diagnostics } = lowered(forest(1), 32);
    expect(program).toBeUndefined();
    expect(diagnostics[0]!.message).toMatch(
      /scores of its trees need \d\d bits, and have 32: --calibrate ROWS/,
    );
  });

  it('lose nothing where they have a divisor in common', () => {
    const model = forest(2);
    const [layer] = model.layers as [ForestLayer];
    const votes = layer.scores.map((_, i) => (i % 3 === Math.floor(i / 3) % 3 ? 3 * 2 ** 40 : 0));
    const even: Model = { ...model, layers: [{ ...layer, scores: votes, base: [0, 0, 0], shift: 38 }] };
    const { program } = lowered(even, 16);
    for (const at of Array.from({ length: 200 }, (_, r) => 6 * r)) {
      const row = rowsOf(random(2), model, 200).subarray(at, at + 6);
      expect(answerTables(program!, row)[0]).toBe(interpret(even, row)[0]);
    }
  });

  it('are rounded on rows, which tells how many keep their class', () => {
    const model = forest(4, { trees: 20, depth: 6 });
    const range = { from: 0, to: 1, target: 'test', bits: 32 };
    const rows = rowsOf(random(4), model, 500);
    const approximator = new Approximator(model, range, { rows });
    const { program } = approximator.uniform(16);
    expect(program!.layers[0]!.sums.every((s) => s.most < 2 ** 31)).toBe(true);
    expect(approximator.agreementOf(program!).agreement).toBe(1);
    const few = new Approximator(model, { ...range, scoreBits: 6 }, { rows });
    const { agreement } = few.agreementOf(few.uniform(16).program!);
    expect(agreement).toBeGreaterThan(0.5);
    expect(agreement).toBeLessThan(1);
  });
});

it('a part may begin with a forest', () => {
  const model = forest(3);
  const [layer] = model.layers as [ForestLayer];
  const table = Int16Array.from({ length: 256 }, (_, i) => 255 - i);
  const lut = { kind: 'lut', name: 'turned', inputs: [0], output: model.input, table } as const;
  const turned: Model = { ...model, layers: [lut, { ...layer, inputs: [1] }] };
  const whole = lowered(turned);
  const tables = { program: whole.program!, values: whole.values! };
  expect(cutRefusal(tables, 1)).toBeUndefined();
  const [before, after] = [sliceTables(tables, turned, 0, 1), sliceTables(tables, turned, 1, 2)];
  const rows = rowsOf(random(5), model, 100);
  for (let at = 0; at < rows.length; at += 6) {
    const row = rows.subarray(at, at + 6);
    expect(answerTables(after, answerTables(before, row))).toEqual(interpret(turned, row));
  }
});
