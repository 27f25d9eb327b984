import { describe, expect, test } from 'vitest';
import type { Expression } from '../../../src/backends/common/expression.ts';
import { planV1model, type V1modelOptions } from '../../../src/backends/v1model/plan.ts';
import type { JsonLayerInput } from '../../../src/import/json/schema.ts';
import { type Model, valueType } from '../../../src/model/model.ts';
import { elementCount } from '../../../src/model/tensor.ts';
import { interpret } from '../../../src/reference/interpreter.ts';
import { modelOf, randomCnn, randomJoined, randomMixed, randomMlp } from '../../support/models.ts';
import { random, randomRows } from '../../support/random.ts';
import { exampleModel, exampleNames, exampleRows } from './examples.ts';
import { layerModel, layerModelKinds, layerRows } from './layer-models.ts';
import { randomModels } from './random-models.ts';
import { simulate } from './simulate.ts';

/** Rows whose output by the code of the lanes differs from the reference's. */
function differingRows(model: Model, rows: Uint8Array, options: V1modelOptions = {}): number {
  const { plan, diagnostics } = planV1model(model, options);
  expect(diagnostics).toEqual([]);
  const { from, to } = plan!.options;
  let count = 0;
  for (let at = 0; at < rows.length; at += plan!.inputs) {
    const row = rows.subarray(at, at + plan!.inputs);
    const expected = interpret(model, row, from, to);
    if (!Buffer.from(simulate(plan!.lowered, row)).equals(expected)) count++;
  }
  return count;
}

/** Operations one inside the other; each is up to four levels of BMv2's JSON, whose reader refuses 1,000. */
function depthOf(e: Expression): number {
  switch (e.kind) {
    case 'reference':
    case 'literal':
      return 0;
    case 'binary':
    case 'concat':
      return 1 + Math.max(depthOf(e.left), depthOf(e.right));
    case 'select':
      return 1 + Math.max(depthOf(e.operand), depthOf(e.amount));
    case 'shift':
    case 'slice':
    case 'cast':
      return 1 + depthOf(e.operand);
  }
}

describe('packed lanes give the integers of the reference', () => {
  test('200 random dense networks, a fifth of them with static weights, a quarter without lanes', () => {
    for (const { seed, model } of randomModels(randomMlp, 200)) {
      const rows = randomRows(random(seed), 4, model.input.shape[0]!);
      const lanes = seed % 4 === 3 ? 'off' : 'on';
      const weights = seed % 5 === 0 ? 'static' : 'runtime';
      expect(differingRows(model, rows, { lanes, weights }), `seed ${seed}`).toBe(0);
    }
  });

  test('100 random image networks: convolutions, pools, sums, verdicts', () => {
    for (const { seed, model } of randomModels(randomCnn, 100)) {
      const inputs = model.input.shape.reduce((x, y) => x * y, 1);
      expect(differingRows(model, randomRows(random(seed), 3, inputs)), `seed ${seed}`).toBe(0);
    }
  });

  test('200 random networks of groups, tables, pads, transpositions and embeddings', () => {
    for (const { seed, model } of randomModels(randomMixed, 200)) {
      const isLarge = model.layers.some((layer) => layer.kind === 'embedding');
      const weights = seed % 3 === 0 && !isLarge ? 'static' : 'runtime';
      const lanes = seed % 7 === 0 ? 'off' : 'on';
      const rows = layerRows(model, seed, 3);
      expect(differingRows(model, rows, { weights, lanes, mtu: 9000 }), `seed ${seed}`).toBe(0);
    }
  });

  test('60 random networks of products, joined parts, tables by channel and windows with taps apart', () => {
    for (const { seed, model } of randomModels((s) => randomJoined(s, false), 60)) {
      const weights = seed % 3 === 0 ? 'static' : 'runtime';
      const lanes = seed % 7 === 0 ? 'off' : 'on';
      expect(
        differingRows(model, layerRows(model, seed, 3), { weights, lanes, mtu: 9000 }),
        `seed ${seed}`,
      ).toBe(0);
    }
  });

  test.each(layerModelKinds)('40 small networks with %s', (kind) => {
    for (const { seed, model } of randomModels((s) => layerModel(kind, s), 40)) {
      const weights = seed % 2 === 0 ? 'static' : 'runtime';
      const lanes = seed % 5 === 4 ? 'off' : 'on';
      expect(differingRows(model, layerRows(model, seed, 12), { weights, lanes }), `seed ${seed}`).toBe(0);
    }
  });

  test('two lines meet at any pivot, whichever is the higher, and also where a channel never reaches it', () => {
    for (let seed = 0; seed < 40; seed++) {
      const r = random(seed);
      const weights = Array.from({ length: 12 }, () => r.int(-20, 20));
      const pivot = Array.from({ length: 3 }, () => r.pick([0, 1, r.int(-900, 900), -100_000, 100_000]));
      const offset = Array.from({ length: 3 }, () => r.int(-4000, 4000));
      const below = { pivot, offset: offset.map((o) => o - r.pick([0, 1, 700, -6, r.int(0, 3000)])) };
      const multiplier = offset.map(() => r.int(7, 40));
      const requantiser = { multiplier, offset, shift: 8, min: -128, max: 127, below };
      const output = { element: 'int8', scale: 0.1, zeroPoint: 0 } as const;
      const input = { element: 'uint8', scale: 0.1, zeroPoint: 128, shape: [4] } as const;
      const layer = { kind: 'dense', weights, output, requantiser } as const;
      const model = modelOf({ ...input, shape: [4] }, [layer]);
      expect(differingRows(model, randomRows(r, 60, 4)), `seed ${seed}`).toBe(0);
      expect(differingRows(model, randomRows(r, 60, 4), { weights: 'static' }), `seed ${seed}`).toBe(0);
    }
  });

  test.each(exampleNames)('%s, and every segment of its layers', async (name) => {
    const model = await exampleModel(name);
    expect(differingRows(model, exampleRows(name, model, 5))).toBe(0);
    for (let from = 0; from < model.layers.length; from++)
      for (let to = from + 1; to <= model.layers.length; to++) {
        const rows = randomRows(random(from), 3, elementCount(valueType(model, from).shape));
        expect(differingRows(model, rows, { from, to }), `layers ${from}..${to}`).toBe(0);
      }
  });

  test('60 random image networks, cut behind each layer', () => {
    for (const { seed, model } of randomModels(randomCnn, 60))
      for (let to = 1; to < model.layers.length; to++) {
        const rows = randomRows(random(seed), 2, elementCount(model.input.shape));
        // Tensors in the middle may be larger than input and output.
        const options = { to, mtu: 9000, lanes: seed % 6 === 5 ? 'off' : 'on' } as const;
        expect(differingRows(model, rows, options), `seed ${seed}, layers 0..${to}`).toBe(0);
      }
  });

  test('the largest input of a packet, in fields of 2048 bits', () => {
    const inputs = 1400;
    const weights = Int8Array.from({ length: 2 * inputs }, (_, i) => (i * 37) % 256);
    const model = modelOf({ element: 'int8', scale: 0.1, zeroPoint: 3, shape: [inputs] }, [
      {
        kind: 'dense',
        weights: Buffer.from(weights.buffer).toString('base64'),
        weightScale: 0.01,
        bias: [5, -5],
        output: { element: 'int8', scale: 20, zeroPoint: 0 },
      },
    ]);
    expect(differingRows(model, randomRows(random(1), 3, inputs))).toBe(0);
  });
});

describe('layouts', () => {
  test('a layer takes several lanes of the one before it in one multiply', async () => {
    const { plan } = planV1model(await exampleModel('digits-mlp'));
    const [first, second] = plan!.lowered.layouts;
    expect(first!.products).toBe(64);
    expect(second!.words[0]!.group).toBeGreaterThan(1);
    expect(second!.products).toBeLessThan(32);
  });

  test('of groups of channels a word multiplies only those that it has weights for', () => {
    const output = { element: 'uint8', scale: 1, zeroPoint: 0 } as const;
    const model = modelOf({ ...output, shape: [4, 1, 1] }, [
      { kind: 'conv2d', weights: [1, 2, 3, 4], weightScale: 1, kernel: [1, 1], groups: 4, output },
    ]);
    const products = (lanes: 'on' | 'off') =>
      planV1model(model, { lanes }).plan!.lowered.layouts[0]!.products;
    expect([products('on'), products('off')]).toEqual([4, 4]);
  });

  test('a border that only a convolution reads leaves no field, one that a maximum reads leaves one', () => {
    const grid = { element: 'uint8', scale: 1, zeroPoint: 0 } as const;
    const pad: JsonLayerInput = { kind: 'pad', pads: [1, 1, 1, 1], value: 7 };
    const weights = [1, 2, 3, 4];
    const conv: JsonLayerInput = { kind: 'conv2d', weights, weightScale: 1, kernel: [2, 2], output: grid };
    const fields = (layer: JsonLayerInput) => {
      const { code } = planV1model(modelOf({ ...grid, shape: [1, 2, 2] }, [pad, layer])).plan!.lowered;
      return code.scratch.filter((f) => f.name.includes('border')).length;
    };
    expect([fields(conv), fields({ kind: 'maxPool', kernel: [2, 2] })]).toEqual([0, 1]);
  });

  test('without lanes there is one multiply-add a weight', async () => {
    const { plan } = planV1model(await exampleModel('digits-mlp'), { lanes: 'off' });
    expect(plan!.lowered.layouts.map((l) => l.products)).toEqual([2048, 320]);
  });

  test('the answer of a convolution takes few fields and no deep expression, however many elements it has', () => {
    const grid = { element: 'uint8', scale: 1, zeroPoint: 0 } as const;
    const lowered = (
      height: number,
      weights: number[],
      kernel: [number, number],
      element: 'uint8' | 'int8',
    ) => {
      const output = { ...grid, element };
      const layer: JsonLayerInput = { kind: 'conv2d', weights, weightScale: 1, kernel, output };
      const model = modelOf({ ...grid, shape: [1, height, 12] }, [layer]);
      expect(differingRows(model, randomRows(random(height), 2, height * 12))).toBe(0);
      return planV1model(model).plan!.lowered;
    };
    for (const element of ['uint8', 'int8'] as const) {
      // 10 channels of 144 pixels: blocks of 32 pixels, and words of as many as fit a lane.
      const { output } = lowered(12, [1, -2, 3, -4, 5, -6, 7, -8, 9, 10], [1, 1], element);
      expect(output).toHaveLength(50);
      expect(Math.max(...output.map((piece) => depthOf(piece.value)))).toBeLessThan(10);
      // One channel: nothing to share.
      expect(lowered(30, [1], [1, 1], element).output).toHaveLength(Math.ceil(360 / 32));
    }
  });

  test('no expression is so deep that BMv2 would refuse the JSON', () => {
    const kinds = [randomMlp, randomCnn, randomMixed] as const;
    for (const make of kinds)
      for (const { seed, model } of randomModels(make, 40)) {
        const { code, output } = planV1model(model, { mtu: 9000 }).plan!.lowered;
        const values = [
          ...code.stages.flatMap((s) => s.body.map((a) => a.value)),
          ...output.map((o) => o.value),
        ];
        expect(Math.max(...values.map(depthOf)), `seed ${seed}`).toBeLessThan(40);
      }
  });

  test('no field, parameter or expression is wider than p4c allows', async () => {
    for (const name of exampleNames) {
      const { plan } = planV1model(await exampleModel(name));
      const { code, input, output } = plan!.lowered;
      const widths = [
        ...code.scratch.map((f) => f.width),
        ...code.stages.flatMap((s) => s.parameters.map((p) => p.width)),
        ...input.map((f) => f.width),
        ...output.map((f) => f.width),
      ];
      expect(Math.max(...widths)).toBeLessThanOrEqual(2048);
    }
  });
});
