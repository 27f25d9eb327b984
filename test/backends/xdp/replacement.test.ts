import { describe, expect, it } from 'vitest';
import { planXdp, type XdpOptions } from '../../../src/backends/xdp/plan.ts';
import { planReplacement } from '../../../src/backends/xdp/replacement.ts';
import { encodeWeights } from '../../../src/backends/xdp/weights.ts';
import { DiagnosticError } from '../../../src/diagnostics/index.ts';
import type { JsonLayerInput, JsonModelInput } from '../../../src/import/json/schema.ts';
import { modelOf } from '../../support/models.ts';

type Input = JsonModelInput['input'];

const u8 = { element: 'uint8', scale: 0.1, zeroPoint: 0 } as const;
const s8 = { element: 'int8', scale: 0.1, zeroPoint: 0 } as const;
const image: Input = { ...u8, shape: [1, 4, 4] };

/** conv2d (2x2, two channels), maxPool, dense, argmax; with one layer changed. */
function model(change: (layers: JsonLayerInput[]) => void = () => {}, input: Input = image) {
  const layers: JsonLayerInput[] = [
    {
      kind: 'conv2d',
      name: 'conv',
      weights: [1, 2, 3, 4, -5, 6, 7, 8],
      weightScale: 0.1,
      kernel: [2, 2],
      output: s8,
    },
    { kind: 'maxPool', name: 'pool', kernel: [3, 3] },
    { kind: 'dense', name: 'fc', weights: [9, -9, 3, 3], weightScale: 0.05, output: u8 },
    { kind: 'requantise', name: 'rq', output: { ...u8, scale: 0.2 } },
  ];
  change(layers);
  return modelOf(input, layers);
}

const plan = (m: ReturnType<typeof model>, o: XdpOptions = {}) => planXdp(m, o).plan!;

/** Replaces one layer's fields. */
const set = (index: number, fields: object) => (layers: JsonLayerInput[]) => {
  layers[index] = Object.assign({}, layers[index], fields);
};

function refusal(held: ReturnType<typeof plan>, next: ReturnType<typeof model>): string {
  try {
    planReplacement(held, next, 2);
  } catch (error) {
    if (error instanceof DiagnosticError) return error.message;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('weights for a loaded program', () => {
  it('of the same shapes are packed alike', () => {
    const held = plan(model());
    const next = model(set(2, { weights: [-1, 2, 100, 5], bias: [5, -7] }));
    const replacement = planReplacement(held, next, 9);
    expect(replacement.options.modelVersion).toBe(9);
    expect(encodeWeights(replacement)).toEqual(encodeWeights(plan(next)));
    expect(encodeWeights(replacement)).toHaveLength(encodeWeights(held).length);
  });

  it('may have other scales and names, also around layers without weights', () => {
    const rename = (layers: JsonLayerInput[]) => {
      set(0, { output: { ...s8, scale: 0.3 }, name: 'other' })(layers);
      set(1, { name: 'pooled' })(layers);
    };
    expect(() => planReplacement(plan(model()), model(rename), 2)).not.toThrow();
  });

  it.each<[string, XdpOptions, (layers: JsonLayerInput[]) => void, Input, string]>([
    ['another number of layers', {}, (l) => l.pop(), image, 'the layers are others'],
    ['another shape', {}, set(2, { weights: [9, -9, 3, 3, 1, 1] }), image, 'shapes'],
    ['another window', {}, set(1, { kernel: [2, 2], strides: [2, 2] }), image, 'part of the code'],
    ['constants', { weights: 'static' }, () => {}, image, 'constants in the code'],
    ['another input type', {}, () => {}, { ...image, element: 'int8' }, 'the input is int8'],
    ['another output type', {}, set(3, { output: s8 }), image, 'the output is int8'],
    [
      'weights of 9 bits',
      { lanes: 'off' },
      set(2, { weights: [90, -90, 30, 30], weightZeroPoint: -100 }),
      image,
      'more than 8 bits',
    ],
    [
      'another clamp in the code',
      { lanes: 'off' },
      (l) => l.splice(3, 0, { kind: 'clamp', min: 0, max: 99, input: 'fc' }),
      image,
      '',
    ],
    [
      'another requantisation in the code',
      {},
      set(3, { output: { ...u8, scale: 0.01 } }),
      image,
      'part of the code',
    ],
  ])('are refused: %s', (_, options, change, input, reason) => {
    const message = refusal(plan(model(), options), model(change, input));
    expect(message).toContain('[envelope-exceeded]');
    expect(message).toContain(reason);
  });

  it('are refused: sums too wide for the lanes', () => {
    const wide = (weight: number) => model(set(2, { weights: Array(24).fill(weight), weightScale: 0.001 }));
    expect(refusal(plan(wide(1)), wide(127))).toMatch(
      /needs a lane of 17 bits, there are 16.*\[envelope-exceeded\]/,
    );
  });

  /** Embedding, table, grouped convolution, transposition, pad and average pool, each replaceable as far as may be. */
  const lookups = (change: (layers: JsonLayerInput[]) => void = () => {}) => {
    const entries = Array.from({ length: 60 }, (_, i) => i - 30);
    const layers: JsonLayerInput[] = [
      { kind: 'embedding', name: 'em', rows: 20, bag: 2, table: entries, tableScale: 0.1, output: s8 },
      { kind: 'reshape', name: 'view', shape: [2, 3, 2] },
      {
        kind: 'conv2d',
        name: 'dw',
        weights: [1, 2, 3, 4, -5, 6, 7, -8],
        weightScale: 0.25,
        kernel: [2, 2],
        pads: [0, 0, 1, 1],
        groups: 2,
        output: s8,
        rounding: 'tflite',
      },
      { kind: 'lut', name: 'fn', output: u8, table: Array.from({ length: 256 }, (_, i) => i) },
      { kind: 'transpose', name: 'turn', axes: [1, 2, 0] },
      { kind: 'pad', name: 'around', pads: [1, 0, 0, 1] },
      { kind: 'averagePool', name: 'mean', kernel: [2, 2], pads: [1, 1, 0, 0], output: u8 },
    ];
    change(layers);
    return modelOf({ element: 'uint8', scale: 1, zeroPoint: 0, shape: [8] }, layers);
  };

  it.each<[string, (layers: JsonLayerInput[]) => void]>([
    ['embeddings', set(0, { table: Array.from({ length: 60 }, (_, i) => 90 - i), tableScale: 0.0713 })],
    ['tables', set(3, { table: Array.from({ length: 256 }, (_, i) => 255 - i) })],
    ['weights of groups', set(2, { weights: [8, 7, 6, 5, 4, 3, 2, 1] })],
    ['roundings that are one line', set(2, { rounding: 'half-up' })],
  ])('may have other %s', (_, change) => {
    const [held, next] = [plan(lookups()), lookups(change)];
    const replacement = planReplacement(held, next, 2);
    expect(encodeWeights(replacement)).toHaveLength(encodeWeights(held).length);
    expect(encodeWeights(replacement)).not.toEqual(encodeWeights(held));
    // Where the program would be the same, so are the bytes.
    if (replacement.layers.every((p, i) => p.below === plan(next).layers[i]!.below))
      expect(encodeWeights(replacement)).toEqual(encodeWeights(plan(next)));
  });

  it.each<[string, (layers: JsonLayerInput[]) => void, string]>([
    ['a second line that the program has not', set(2, { rounding: 'tflite' }), 'second line'],
    ['another transposition', set(4, { axes: [2, 0, 1] }), ''],
    ['another element around an image', set(5, { value: 7 }), 'part of the code'],
    [
      'wider entries',
      set(0, { table: Array.from({ length: 60 }, () => 100), tableZeroPoint: -100 }),
      'more than 8 bits',
    ],
  ])('are refused: %s', (_, change, reason) => {
    const held = plan(lookups(set(2, { rounding: 'half-up' })));
    const next = lookups((layers) => {
      set(2, { rounding: 'half-up' })(layers);
      change(layers);
    });
    const message = refusal(held, next);
    expect(message).toContain('[envelope-exceeded]');
    expect(message).toContain(reason);
  });
});
