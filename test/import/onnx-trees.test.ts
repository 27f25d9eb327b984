import { readFileSync } from 'node:fs';
import { Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import type { ImportOptions } from '../../src/import/builder.ts';
import { importJson } from '../../src/import/index.ts';
import { exportJson } from '../../src/import/json/export.ts';
import { importOnnx } from '../../src/import/onnx/index.ts';
import { outputType } from '../../src/model/model.ts';
import { decodeElements } from '../../src/model/tensor.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';
import { type ForestSpec, forestOnnx, generalForestOnnx } from '../support/forests.ts';
import { openRuntime } from '../support/onnx-runtime.ts';
import { random, randomRows } from '../support/random.ts';

const small: ForestSpec = { features: 6, trees: 5, depth: 4, scores: 3, leaves: 'all' };

const load = (spec: ForestSpec, options: ImportOptions = {}, seed = 1) =>
  importOnnx(forestOnnx(random(seed), spec), 'forest.onnx', options);

const refusal = (spec: ForestSpec, options: ImportOptions = {}): string[] => {
  try {
    load(spec, options);
    return [];
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    return error.diagnostics.map(({ code }) => code);
  }
};

/** ONNX Runtime's first output, row after row. */
async function runtime(bytes: Uint8Array, rows: Uint8Array, { features, inputType }: ForestSpec) {
  const session = await openRuntime(bytes);
  const count = rows.length / features;
  const x =
    inputType === 'int64'
      ? new Tensor('int64', BigInt64Array.from(rows, BigInt), [count, features])
      : new Tensor('float32', Float32Array.from(rows), [count, features]);
  const made = await session.run({ x });
  return Array.from(made[session.outputNames[0]!]!.data as ArrayLike<number | bigint | string>);
}

describe('the labels of ONNX Runtime', () => {
  const kinds: Record<string, ForestSpec> = {
    'shares of all classes, as random forests have them': small,
    'one class a tree, as boosted ones have them': { ...small, trees: 12, leaves: 'one', signed: true },
    'a base for each class': { ...small, base: [0.1, -0.2, 0.05], signed: true },
    'two classes by the second one alone': { ...small, scores: 2, leaves: 'second' },
    'two classes by one signed number': { ...small, scores: 2, leaves: 'second', signed: true },
    'two classes by the number of the first and a base': {
      ...small,
      scores: 2,
      leaves: 'first',
      signed: true,
      base: [0.03],
    },
    'two classes by that of the second, which has no base': {
      ...small,
      scores: 2,
      leaves: 'second',
      signed: true,
      base: [0.03],
    },
    'two scores of two classes': { ...small, scores: 2, signed: true },
    'an input of int64': { ...small, inputType: 'int64' },
    'a tree that is a leaf': { ...small, depth: 0 },
  };
  it.each(Object.entries(kinds))('%s', async (_, spec) => {
    for (let seed = 1; seed <= 8; seed++) {
      const bytes = forestOnnx(random(seed), spec);
      const { model } = importOnnx(bytes, 'forest.onnx');
      const rows = randomRows(random(seed), 300, spec.features);
      const answers = interpretRows(model, rows);
      const labels = await runtime(bytes, rows, spec);
      expect(labels.map((_, i) => answers[2 * i])).toEqual(labels.map(Number));
    }
  });

  it.each([
    [10, 8],
    [100, 6],
  ])('%d trees of depth %d, on all rows of traffic-mlp', async (trees, depth) => {
    const spec = { features: 16, trees, depth, scores: 7, leaves: 'all' } as const;
    const bytes = forestOnnx(random(depth), spec);
    const { model } = importOnnx(bytes, 'forest.onnx');
    const rows = readFileSync('examples/traffic-mlp.x.bin');
    const answers = interpretRows(model, rows);
    const labels = await runtime(bytes, rows, spec);
    expect(labels).toHaveLength(6003);
    expect(labels.map((_, i) => answers[2 * i])).toEqual(labels.map(Number));
  });

  it('are names where the file has names', async () => {
    const spec = { ...small, labels: ['web', 'mail', 'video'] };
    const bytes = forestOnnx(random(3), spec);
    const { model } = importOnnx(bytes, 'forest.onnx');
    expect(model.classes).toEqual(spec.labels);
    const rows = randomRows(random(3), 100, spec.features);
    const answers = interpretRows(model, rows);
    const labels = await runtime(bytes, rows, spec);
    expect(labels.map((_, i) => model.classes![answers[2 * i]!])).toEqual(labels);
  });
});

describe('regressors', () => {
  it.each(['SUM', 'AVERAGE'])('%s: half a step of the grid at most, over all targets', async (aggregate) => {
    const spec: ForestSpec = {
      ...small,
      scores: 2,
      signed: true,
      base: [0.4, -0.1],
      operator: 'TreeEnsembleRegressor',
      attributes: { aggregate_function: aggregate },
    };
    const bytes = forestOnnx(random(5), spec);
    const { model } = importOnnx(bytes, 'forest.onnx');
    const rows = randomRows(random(5), 300, spec.features);
    const { element, scale, zeroPoint } = outputType(model);
    const q = decodeElements(element, interpretRows(model, rows));
    const reals = (await runtime(bytes, rows, spec)) as number[];
    for (const [i, real] of reals.entries())
      expect(Math.abs((q[i]! - zeroPoint) * scale - real)).toBeLessThanOrEqual(scale / 2 + 1e-6);
  });
});

describe('TreeEnsemble of operator set 5', () => {
  const general = { features: 6, trees: 7, depth: 4, targets: 2 };

  it.each([
    ['a sum', 1, general],
    ['an average', 0, general],
    ['one target', 1, { ...general, targets: 1 }],
    ['trees of one node', 1, { ...general, depth: 1 }],
  ] as const)('%s: half a step of the grid at most', async (_, aggregate, spec) => {
    for (let seed = 1; seed <= 4; seed++) {
      const attributes = { aggregate_function: aggregate };
      const bytes = generalForestOnnx(random(seed), { ...spec, attributes });
      const rows = randomRows(random(seed), 200, spec.features);
      const reals = (await runtime(bytes, rows, { ...small, features: spec.features })) as number[];
      const targets = reals.length / 200;
      const scored = [0, 1].slice(0, targets).every((s) => reals.some((_, i) => i % targets === s));
      expect(scored).toBe(true);
      const { model } = importOnnx(bytes, 'forest.onnx');
      const { element, scale, zeroPoint } = outputType(model);
      const q = decodeElements(element, interpretRows(model, rows));
      for (const [i, real] of reals.entries())
        expect(Math.abs((q[i]! - zeroPoint) * scale - real)).toBeLessThanOrEqual(scale / 2 + 1e-6);
    }
  });

  it.each([
    ['the greatest of the trees', { aggregate_function: 3 }, 'onnx-attribute'],
    ['a transformed sum', { post_transform: 1 }, 'onnx-attribute'],
    [
      'a set of categories',
      { nodes_modes: { tensor: { type: 'uint8', dims: [1], values: [6] } } },
      'forest-mode',
    ],
    ['a side for what is missing', { nodes_missing_value_tracks_true: [1] }, 'forest-missing'],
    ['a leaf that there is not', { nodes_truenodeids: [9] }, 'onnx-malformed'],
    ['a root that there is not', { tree_roots: [4] }, 'onnx-malformed'],
    ['a circle', { nodes_trueleafs: [0] }, 'onnx-malformed'],
    ['lists of other lengths', { nodes_featureids: [0, 0] }, 'onnx-malformed'],
    ['no roots', { tree_roots: [] }, 'onnx-malformed'],
  ] as const)('refuses %s', (_, attributes, code) => {
    const one = { features: 3, trees: 1, depth: 1, targets: 1 };
    const bytes = generalForestOnnx(random(1), {
      ...one,
      attributes: attributes as ForestSpec['attributes'] & {},
    });
    try {
      importOnnx(bytes, 'forest.onnx');
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      expect(error.diagnostics.map((d) => d.code)).toEqual([code]);
    }
  });
});

describe('what cannot be, with the reason', () => {
  const one = (mode: string, value: number, more: ForestSpec['attributes'] = {}): ForestSpec => ({
    ...small,
    attributes: {
      nodes_treeids: [0, 0, 0],
      nodes_nodeids: [0, 1, 2],
      nodes_featureids: [2, 0, 0],
      nodes_truenodeids: [1, 0, 0],
      nodes_falsenodeids: [2, 0, 0],
      nodes_modes: { strings: [mode, 'LEAF', 'LEAF'] },
      nodes_values: { floats: [value, 0, 0] },
      class_treeids: [0, 0],
      class_nodeids: [1, 2],
      class_ids: [0, 1],
      class_weights: { floats: [1, 1] },
      ...more,
    },
  });

  it.each([
    ['a split by category', one('BRANCH_EQ', 3), 'forest-mode'],
    ['a threshold that no integer reaches', one('BRANCH_LEQ', 1234.5), 'forest-threshold'],
    ['one below all of them', one('BRANCH_LT', -1000), 'forest-threshold'],
    ['NaN', one('BRANCH_LEQ', Number.NaN), 'onnx-malformed'],
    [
      'missing values',
      one('BRANCH_LEQ', 7, { nodes_missing_value_tracks_true: [1, 0, 0] }),
      'forest-missing',
    ],
    [
      'a feature that there is not',
      { ...one('BRANCH_LEQ', 7, { nodes_featureids: [6, 0, 0] }) },
      'onnx-malformed',
    ],
    ['a node in a circle', one('BRANCH_LEQ', 7, { nodes_falsenodeids: [0, 0, 0] }), 'onnx-malformed'],
    ['a node that there is not', one('BRANCH_LEQ', 7, { nodes_falsenodeids: [9, 0, 0] }), 'onnx-malformed'],
    ['lists of two lengths', one('BRANCH_LEQ', 7, { nodes_featureids: [2, 0] }), 'onnx-malformed'],
    [
      'signed scores that some leaves lack',
      one('BRANCH_LEQ', 7, { class_weights: { floats: [-1, 1] } }),
      'forest-unscored',
    ],
    ['an attribute of no meaning here', one('BRANCH_LEQ', 7, { surprise: 1 }), 'onnx-attribute-unknown'],
  ] satisfies [string, ForestSpec, string][])('%s', (_, spec, code) => {
    expect(refusal(spec)).toContain(code);
  });

  it('a chain of twenty thousand splits is walked, not recursed into', () => {
    const count = 20_000;
    const inner = Array.from({ length: count }, (_, i) => i);
    const leaves = Array.from({ length: count + 1 }, (_, i) => count + i);
    const all = <T>(split: T, leaf: T): T[] => [...inner.map(() => split), ...leaves.map(() => leaf)];
    const chain = one('BRANCH_LEQ', 7, {
      nodes_treeids: all(0, 0),
      nodes_nodeids: [...inner, ...leaves],
      nodes_featureids: [...inner.map((i) => i % 6), ...leaves.map(() => 0)],
      nodes_truenodeids: [...inner.map((i) => count + i), ...leaves.map(() => 0)],
      nodes_falsenodeids: [...inner.map((i) => (i + 1 < count ? i + 1 : 2 * count)), ...leaves.map(() => 0)],
      nodes_modes: { strings: all('BRANCH_LEQ', 'LEAF') },
      nodes_values: { floats: all(7, 0) },
      class_treeids: leaves.map(() => 0),
      class_nodeids: leaves,
      class_ids: leaves.map((_, i) => i % 3),
      class_weights: { floats: leaves.map(() => 1) },
    });
    expect(refusal(chain)).toEqual([]);
  });

  it('missing values may be said never to be; a range makes a grid of any threshold', () => {
    const missing = one('BRANCH_LEQ', 7, { nodes_missing_value_tracks_true: [1, 0, 0] });
    expect(refusal(missing, { missing: 'never' })).toEqual([]);
    expect(refusal(one('BRANCH_LEQ', 1234.5), { inputRange: [0, 5000] })).toEqual([]);
  });
});

it('a forest goes through JSON as it is', async () => {
  const { model } = load({ ...small, signed: true });
  const text = JSON.stringify(exportJson(model));
  const again = await importJson(text, 'forest.json');
  const rows = randomRows(random(9), 200, small.features);
  expect(interpretRows(again.model, rows)).toEqual(interpretRows(model, rows));
});
