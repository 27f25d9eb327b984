import { expect, it } from 'vitest';
import { planXdp, type XdpOptions } from '../../../src/backends/xdp/plan.ts';
import { planReplacement } from '../../../src/backends/xdp/replacement.ts';
import { weightArrays } from '../../../src/backends/xdp/weights.ts';
import { importOnnx } from '../../../src/import/onnx/index.ts';
import type { ForestLayer, Model } from '../../../src/model/model.ts';
import { type ForestSpec, forestOnnx } from '../../support/forests.ts';
import { describeWith, loading } from '../../support/machine.ts';
import { rowsOf } from '../../support/models.ts';
import { random } from '../../support/random.ts';
import { compareXdp } from '../../support/xdp.ts';

const forest = (seed: number, spec: Partial<ForestSpec> = {}): Model =>
  importOnnx(
    forestOnnx(random(seed), { features: 16, trees: 10, depth: 8, scores: 7, leaves: 'all', ...spec }),
    `forest-${seed}.onnx`,
  ).model;

/** As many trees and scores as an import does not make: of one score, of int8, of sums. */
function signed(model: Model): Model {
  const [layer] = model.layers;
  if (layer?.kind !== 'forest') throw new Error('no forest');
  const threshold = layer.nodes.threshold.map((t) => t - 128);
  return {
    ...model,
    input: { ...model.input, element: 'int8' },
    layers: [{ ...layer, nodes: { ...layer.nodes, threshold } }],
  };
}

/** A tree after the other, each of other levels: runs of one step of trees, and the last that only fills it up. */
function unlike(): Model {
  const parts = [3, 14, 1, 8, 8, 2, 11, 6, 5].map((depth, i) => forest(30 + i, { trees: 1, depth }));
  const joined = parts
    .map((part) => part.layers[0] as ForestLayer)
    .reduce((a, b) => {
      const nodes = a.nodes.feature.length;
      const rows = a.scores.length / a.base.length;
      // A leaf's `low` is its row of scores, another node's is a node.
      const low = b.nodes.low.map((to, n) => to + (b.nodes.feature[n]! < 0 ? rows : nodes));
      return {
        ...b,
        nodes: {
          feature: Int16Array.of(...a.nodes.feature, ...b.nodes.feature),
          threshold: Int16Array.of(...a.nodes.threshold, ...b.nodes.threshold),
          low: Int32Array.of(...a.nodes.low, ...low),
          high: Int32Array.of(...a.nodes.high, ...b.nodes.high.map((to) => to + nodes)),
        },
        roots: Int32Array.of(...a.roots, ...b.roots.map((root) => root + nodes)),
        scores: Float64Array.of(...a.scores, ...b.scores),
        base: a.base.map((base, s) => base + b.base[s]!),
      };
    });
  return { ...parts[0]!, layers: [joined] };
}

describeWith(loading, 'forests in the kernel give the verdicts of the reference', () => {
  const kinds: [string, Model, XdpOptions][] = [
    ['ten trees of depth 8', forest(1), {}],
    ['seven of one class each', forest(2, { trees: 7, leaves: 'one', signed: true }), {}],
    ['one tree', forest(3, { trees: 1, features: 5 }), {}],
    ['leaves alone', forest(4, { depth: 0 }), {}],
    ['trees of one to fourteen levels', unlike(), {}],
    ['constants', forest(5, { trees: 3, depth: 4 }), { weights: 'static' }],
    ['int8', signed(forest(6)), {}],
    ['sums', forest(7, { scores: 3, signed: true, operator: 'TreeEnsembleRegressor' }), {}],
    ['three hundred features', forest(8, { features: 300 }), {}],
  ];
  it.each(kinds)('%s', async (_, model, options) => {
    const result = await compareXdp(model, options, rowsOf(random(11), model, 200));
    expect(result.mismatches).toBe(0);
    expect(result.verified).toBeLessThanOrEqual(result.foretold);
  });
});

it('another forest takes the place of one of its sizes, and is told where it does not fit', () => {
  const held = planXdp(forest(21)).plan!;
  const other = planReplacement(held, forest(1, { depth: 7 }), 2);
  const lengths = (plan: typeof held) => weightArrays(plan).map(({ values }) => values.length);
  expect(lengths(other)).toEqual(lengths(held));
  expect(() => planReplacement(held, forest(1, { trees: 20 }), 2)).toThrow('part of the code');
  expect(() => planReplacement(held, forest(1, { depth: 12 }), 2)).toThrow('its trees need room');
  const flat = planXdp(forest(1, { depth: 7 })).plan!;
  expect(() => planReplacement(flat, forest(21), 2)).toThrow('its trees need room');
});
