import { describe, expect, test } from 'vitest';
import { lower } from '../../../src/backends/v1model/lower.ts';
import { planV1model, type V1modelOptions } from '../../../src/backends/v1model/plan.ts';
import { v1modelReplacement } from '../../../src/backends/v1model/replacement.ts';
import { weightEntries } from '../../../src/backends/v1model/tables.ts';
import type { Layer, Model } from '../../../src/model/model.ts';
import { interpret } from '../../../src/reference/interpreter.ts';
import { base64, modelOf } from '../../support/models.ts';
import { exampleModel } from './examples.ts';
import { layerModel, layerRows } from './layer-models.ts';
import { randomModels } from './random-models.ts';
import { simulate } from './simulate.ts';

const messages = (model: Model, options: V1modelOptions = {}) =>
  planV1model(model, options).diagnostics.map((d) => `${d.place.layer ?? ''}|${d.code}|${d.message}`);

const grid = { element: 'uint8', scale: 0.1, zeroPoint: 0 } as const;

const dense = (inputs: number, outputs: number, name: string) => ({
  kind: 'dense' as const,
  name,
  weights: base64(new Int8Array(inputs * outputs).fill(100)),
  weightScale: 0.001,
  bias: new Array<number>(outputs).fill(0),
  output: grid,
});

describe('what is refused, and how', () => {
  test('layers that the model does not have', async () => {
    expect(messages(await exampleModel('traffic-mlp'), { from: 1, to: 9 })).toEqual([
      '|layer-range|--layers 1..9 does not name layers of this model, which has 0..3',
    ]);
  });

  test("not a tensor beyond the MTU, which is the path's matter", () => {
    const model = modelOf({ ...grid, shape: [2] }, [dense(2, 1600, 'wide')]);
    expect(messages(model)).toEqual([]);
    const answer = planV1model(model).plan!.needs.find((n) => n.resource === 'answer');
    expect(answer).toMatchObject({ need: 1660, limit: 1500, ofPath: true });
  });

  test('a sum that reaches back before the split', () => {
    const inputs: [string, string] = ['input', 'fc'];
    const residual = { kind: 'add' as const, name: 'sum', inputs, output: grid };
    const model = modelOf({ ...grid, shape: [4] }, [dense(4, 4, 'fc'), residual]);
    expect(messages(model)).toEqual([]);
    expect(messages(model, { from: 1, to: 2 })).toEqual([
      'sum|unsupported-layer|a add layer does not run on v1model: it reads a tensor from before the split, which the packet does not carry',
    ]);
  });

  test('more code than p4c takes, named with the layer and what would help', () => {
    const model = modelOf({ ...grid, shape: [1400] }, [dense(1400, 700, 'huge')]);
    const { diagnostics, plan } = planV1model(model);
    expect(diagnostics.map((d) => [d.code, d.place.layer])).toEqual([
      ['resource-exceeded', 'huge'],
      ['resource-exceeded', undefined],
    ]);
    expect(diagnostics[0]!.message).toMatch(/^needs \d+ operations of multiply-adds, v1model has 20000$/);
    expect(diagnostics[0]!.remedy).toContain('--layers A..B');
    // The need is shown beside the limit even so.
    expect(plan!.needs.some((n) => n.need > n.limit)).toBe(true);
  });
});

describe('layers of tables', () => {
  const embedding = (rows: number) => ({
    kind: 'embedding' as const,
    name: 'keys',
    keyBytes: 2 as const,
    rows,
    table: base64(new Int8Array(rows).fill(3)),
    tableScale: 0.1,
    output: grid,
  });
  const keyed = (keys: number, rows: number) => modelOf({ ...grid, shape: [2 * keys] }, [embedding(rows)]);

  test('more entries than a switch is to hold, and than p4c takes as constants', () => {
    expect(messages(keyed(4, 300))).toEqual([]);
    expect(messages(keyed(4, 20_000))).toEqual([
      'keys|resource-exceeded|needs 80000 entries of entries by key, v1model has 65536',
    ]);
    const { diagnostics } = planV1model(keyed(4, 300), { weights: 'static' });
    expect(diagnostics.map((d) => d.message)).toEqual([
      'needs 1200 entries of entries by key, v1model has 1024',
    ]);
    expect(diagnostics[0]!.remedy).toContain('--weights runtime');
    expect(messages(keyed(300, 2))).toEqual([
      'keys|resource-exceeded|needs 300 tables of tables by key, v1model has 256',
    ]);
  });

  test('sums that doubles do not hold', () => {
    const requantiser = { multiplier: [1], offset: [2 ** 52 + 1], shift: 50, min: -128, max: 127 };
    const output = { element: 'int8', scale: 0.1, zeroPoint: 0 } as const;
    const model = modelOf({ ...grid, shape: [1] }, [
      { kind: 'dense', name: 'far', weights: [1], requantiser, output },
    ]);
    // A channel that is constant needs no sum.
    expect(messages(model)).toEqual([]);
    const steep = { ...requantiser, multiplier: [2 ** 44] };
    expect(
      messages(
        modelOf({ ...grid, shape: [1] }, [
          { kind: 'dense', name: 'far', weights: [1], requantiser: steep, output },
        ]),
      ),
    ).toEqual([
      'far|unsupported-layer|a dense layer does not run on v1model: its sums, less the lower end of the clamp, need more than 53 bits',
    ]);
  });

  test('a requantiser of two levels, which has no slope to tell its sides by', () => {
    const below = { pivot: [3], offset: [0] };
    const requantiser = { multiplier: [0], offset: [1280], shift: 8, min: 0, max: 255, below };
    const model = modelOf({ ...grid, shape: [1] }, [
      { kind: 'dense', name: 'step', weights: [1], requantiser, output: grid },
    ]);
    expect(messages(model)).toEqual([
      'step|unsupported-layer|a dense layer does not run on v1model: a channel of its requantiser is two levels with a step between them, and no line',
    ]);
  });
});

describe('another version for a program that is loaded', () => {
  test('weights that fit bring one action and the version that names it; others are refused', async () => {
    const model = await exampleModel('digits-mlp');
    const plan = planV1model(model).plan!;
    const version = { modelVersion: 2, slot: 1 };
    expect(v1modelReplacement(plan, negated(model), version).install).toHaveLength(2);
    expect(() => v1modelReplacement(plan, widened(model), version)).toThrow(
      /do not fit the program that is loaded/,
    );
    const constants = planV1model(model, { weights: 'static' }).plan!;
    expect(() => v1modelReplacement(constants, model, version)).toThrow('its weights are constants');
    expect(() =>
      v1modelReplacement(plan, modelOf({ ...grid, shape: [4] }, [dense(4, 4, 'fc')]), version),
    ).toThrow('its layers are not those of the model in the program');
  });

  test('tables are replaced with the weights: rows by keys, 256 values, second lines', () => {
    for (const kind of ['embedding', 'lut', 'below'] as const)
      for (const { seed, model } of randomModels((s) => layerModel(kind, s), 20)) {
        const plan = planV1model(model).plan!;
        const other = changed(model);
        const { install } = v1modelReplacement(plan, other, { modelVersion: 2, slot: 1 });
        // The program computes the other model with what these entries hold.
        expect(install).toHaveLength(weightEntries(plan.lowered, 1).length + 1);
        const rows = layerRows(model, seed, 6);
        const envelope = plan.lowered.layouts;
        const { lowered } = lower(other, { ...plan.options, laneFloors: new Map(), envelope });
        for (let at = 0; at < rows.length; at += plan.inputs) {
          const row = rows.subarray(at, at + plan.inputs);
          expect(simulate(lowered!, row), `${kind} ${seed}`).toEqual(interpret(other, row));
        }
      }
  });

  test('a program of one line does not take two; one of two takes one', () => {
    const { model } = [...randomModels((s) => layerModel('below', s), 1)][0]!;
    const single = { ...model, layers: model.layers.map(withoutBelow) };
    const version = { modelVersion: 2, slot: 1 };
    expect(() => v1modelReplacement(planV1model(single).plan!, model, version)).toThrow(
      'its requantiser has an offset of its own below a pivot, the program has none',
    );
    expect(v1modelReplacement(planV1model(model).plan!, single, version).install).toHaveLength(2);
  });

  /** Other numbers of the same sizes. */
  const changed = (model: Model): Model => ({
    ...model,
    layers: model.layers.map((layer) => {
      if (layer.kind === 'embedding' || layer.kind === 'lut')
        return { ...layer, table: layer.table.map((_, i) => layer.table[(i * 7 + 3) % layer.table.length]!) };
      if (layer.kind !== 'dense') return layer;
      return { ...layer, weights: layer.weights.map((w) => -w) };
    }),
  });

  const withoutBelow = (layer: Layer): Layer => {
    if (layer.kind !== 'dense') return layer;
    const { below: _, ...requantiser } = layer.requantiser;
    return { ...layer, requantiser };
  };

  const eachDense = (
    model: Model,
    weight: (w: number) => number,
    multiplier: (m: number) => number,
  ): Model => ({
    ...model,
    layers: model.layers.map((layer) =>
      layer.kind !== 'dense'
        ? layer
        : {
            ...layer,
            weights: layer.weights.map(weight),
            requantiser: { ...layer.requantiser, multiplier: layer.requantiser.multiplier.map(multiplier) },
          },
    ),
  });
  const negated = (model: Model) =>
    eachDense(
      model,
      (w) => -w,
      (m) => m,
    );
  const widened = (model: Model) =>
    eachDense(
      model,
      (w) => w,
      (m) => m * 64,
    );
});
