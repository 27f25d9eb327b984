import { describe, expect, test } from 'vitest';
import { type P4Options, planP4 } from '../../../src/backends/p4/plan.ts';
import { p4Replacement } from '../../../src/backends/p4/replacement.ts';
import type { Model } from '../../../src/model/model.ts';
import { base64, modelOf } from '../../support/models.ts';
import { exampleModel } from './examples.ts';

const messages = (model: Model, options: P4Options = {}) =>
  planP4(model, options).diagnostics.map((d) => `${d.place.layer ?? ''}|${d.code}|${d.message}`);

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

  test('a tensor beyond the MTU', () => {
    const model = modelOf({ ...grid, shape: [2] }, [dense(2, 1600, 'wide')]);
    expect(messages(model)).toEqual([
      '|mtu-exceeded|the output uint8[1600] tensor makes a packet of 1660 bytes, the MTU is 1500',
    ]);
    expect(messages(modelOf({ ...grid, shape: [100] }, [dense(100, 2, 'fc')]), { mtu: 150 })).toEqual([
      '|mtu-exceeded|the input uint8[100] tensor makes a packet of 160 bytes, the MTU is 150',
    ]);
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
    const { diagnostics, plan } = planP4(model);
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

describe('another version for a program that is loaded', () => {
  test('weights that fit bring entries; others are refused', async () => {
    const model = await exampleModel('digits-mlp');
    const plan = planP4(model).plan!;
    const version = { modelVersion: 2, slot: 1 };
    expect(p4Replacement(plan, negated(model), version).install).toHaveLength(3);
    expect(() => p4Replacement(plan, widened(model), version)).toThrow(
      /do not fit the program that is loaded/,
    );
    const constants = planP4(model, { weights: 'static' }).plan!;
    expect(() => p4Replacement(constants, model, version)).toThrow('its weights are constants');
    expect(() => p4Replacement(plan, modelOf({ ...grid, shape: [4] }, [dense(4, 4, 'fc')]), version)).toThrow(
      'its layers are not those of the model in the program',
    );
  });

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
