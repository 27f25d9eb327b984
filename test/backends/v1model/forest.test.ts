import { expect, it, test } from 'vitest';
import { planV1model } from '../../../src/backends/v1model/plan.ts';
import { v1modelReplacement } from '../../../src/backends/v1model/replacement.ts';
import { importOnnx } from '../../../src/import/onnx/index.ts';
import { leafBoxes } from '../../../src/model/boxes.ts';
import type { ForestLayer, Model } from '../../../src/model/model.ts';
import { answerTables } from '../../../src/passes/tables/interpret.ts';
import { createBmv2Engine } from '../../../src/runtime/bmv2/engine.ts';
import { Approximator } from '../../../src/targets/approximation.ts';
import { type ForestSpec, forestOnnx } from '../../support/forests.ts';
import { rowsOf } from '../../support/models.ts';
import { random } from '../../support/random.ts';
import { bmv2Mismatches, describeWith, P4C, SWITCH } from './tools.ts';

const forest = (seed: number, spec: Partial<ForestSpec> = {}): Model =>
  importOnnx(
    forestOnnx(random(seed), { features: 6, trees: 4, depth: 5, scores: 3, leaves: 'all', ...spec }),
    `forest-${seed}.onnx`,
  ).model;

it('leaves are boxes that hold every row just once', () => {
  const layer = forest(1).layers[0] as ForestLayer;
  const r = random(1);
  for (const root of layer.roots) {
    const boxes = leafBoxes(layer, root, 0, 255);
    for (let row = 0; row < 200; row++) {
      const x = Array.from({ length: 6 }, () => r.int(0, 255));
      const inside = boxes.filter(({ ranges }) =>
        [...ranges].every(([f, { lo, hi }]) => x[f]! >= lo && x[f]! <= hi),
      );
      expect(inside).toHaveLength(1);
    }
  }
});

it('another forest takes the place of one whose trees have room for its leaves', () => {
  const { plan } = planV1model(forest(2));
  const { install } = v1modelReplacement(plan!, forest(2, { signed: true }), { modelVersion: 2, slot: 1 });
  expect(install.length).toBeGreaterThan(4);
  const wider = () => v1modelReplacement(plan!, forest(2, { depth: 9 }), { modelVersion: 2, slot: 1 });
  expect(wider).toThrow('envelope');
});

describeWith([P4C, SWITCH], 'forests on BMv2 give the bytes of the reference', () => {
  test.each([
    ['votes of one class a tree', forest(4, { leaves: 'one', signed: true }), 'runtime'],
    ['sums', forest(6, { signed: true, operator: 'TreeEnsembleRegressor' }), 'runtime'],
    ['constants', forest(7, { trees: 2, depth: 3 }), 'static'],
    ['more features than a key has', forest(8, { features: 40, trees: 2, depth: 4 }), 'runtime'],
  ] as const)('%s', async (_, model, weights) => {
    expect(await bmv2Mismatches(model, rowsOf(random(12), model, 60), { weights })).toBe(0);
  });

  test.each([
    ['votes', forest(4, { leaves: 'one', signed: true }), 'runtime'],
    ['sums', forest(6, { signed: true, operator: 'TreeEnsembleRegressor' }), 'runtime'],
    ['constants, and long codes', forest(7, { trees: 1, depth: 9, features: 2 }), 'static'],
    ['trees that are leaves', forest(9, { depth: 0 }), 'runtime'],
  ] as const)('as codes of features, then a look-up a tree: %s', async (_, model, weights) => {
    const rows = rowsOf(random(12), model, 60);
    expect(await bmv2Mismatches(model, rows, { weights, lowering: 'tables' })).toBe(0);
  });

  test('with scores that are rounded for a Tofino: the integers of its own reference', async () => {
    const model = forest(5);
    const rows = rowsOf(random(12), model, 100);
    const range = { from: 0, to: 1, target: 'test', bits: 32 };
    const program = new Approximator(model, range, { rows }).uniform(4).program!;
    const engine = await createBmv2Engine(model, { lowering: 'tables', tables: program });
    try {
      const expected = Array.from({ length: 100 }, (_, r) => [
        ...answerTables(program, rows.subarray(6 * r, 6 * r + 6)),
      ]);
      expect([...(await engine.run(rows))]).toEqual(expected.flat());
    } finally {
      await engine.close();
    }
  });
});
