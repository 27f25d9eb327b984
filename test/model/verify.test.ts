import { describe, expect, it } from 'vitest';
import { importModel } from '../../src/import/index.ts';
import { importJson } from '../../src/import/json/index.ts';
import { dumpModel } from '../../src/model/dump.ts';
import type { Layer, Model } from '../../src/model/model.ts';
import { verifyModel } from '../../src/model/verify.ts';

const grid = { element: 'int8', scale: 0.1 } as const;

/** conv2d, averagePool, dense, add, argmax. */
const sound = importJson(
  JSON.stringify({
    format: 'intransit-model',
    version: 1,
    input: { ...grid, shape: [1, 4, 4] },
    layers: [
      { kind: 'conv2d', name: 'conv', weights: [1, 2, 3, 4], weightScale: 0.3, kernel: [2, 2], output: grid },
      {
        kind: 'averagePool',
        name: 'mean',
        kernel: [2, 2],
        strides: [1, 1],
        output: { ...grid, scale: 0.03 },
      },
      { kind: 'dense', name: 'a', weights: new Array(12).fill(3), weightScale: 0.3, output: grid },
      {
        kind: 'dense',
        name: 'b',
        input: 'mean',
        weights: new Array(12).fill(-3),
        weightScale: 0.3,
        output: grid,
      },
      { kind: 'add', name: 'sum', inputs: ['a', 'b'], output: grid },
      { kind: 'argmax', name: 'verdict' },
    ],
  }),
  'sound.json',
).model;

/** The model with one layer changed. */
function changed(name: string, change: (layer: Layer) => object): Model {
  const layers = sound.layers.map((layer) =>
    layer.name === name ? Object.assign({}, layer, change(layer)) : layer,
  );
  return { ...sound, layers };
}

const withRequantiser = (change: object) => (layer: Layer) =>
  'requantiser' in layer ? { requantiser: { ...layer.requantiser, ...change } } : {};

describe('verifyModel', () => {
  it('finds nothing in a sound model', () => expect(verifyModel(sound)).toEqual([]));

  it.each<[string, string, (layer: Layer) => object, string]>([
    ['a value read before it is made', 'conv', () => ({ inputs: [3] }), 'reads value 3'],
    ['too few inputs', 'sum', () => ({ inputs: [3] }), 'reads 1 values, not 2'],
    ['a name twice', 'b', () => ({ name: 'a' }), 'two layers have this name'],
    ['a scale of zero', 'a', (l) => ({ output: { ...l.output, scale: 0 } }), 'scale 0'],
    ['a zero point outside', 'a', (l) => ({ output: { ...l.output, zeroPoint: 128 } }), 'zero point 128'],
    ['an empty shape', 'a', (l) => ({ output: { ...l.output, shape: [] } }), 'shape []'],
    ['lost weights', 'a', () => ({ weights: new Int16Array(11) }), 'weights: 11, expected 12'],
    ['wide weights', 'a', () => ({ weights: new Int16Array(12).fill(300) }), 'outside -255..255'],
    ['a channel lost', 'a', withRequantiser({ multiplier: [1] }), 'multipliers: 1, expected 3'],
    ['a falling requantiser', 'a', withRequantiser({ multiplier: [1, -1, 1] }), 'is negative'],
    ['a fraction', 'a', withRequantiser({ offset: [0, 0.5, 0] }), 'are not integers'],
    ['a clamp outside', 'a', withRequantiser({ max: 128 }), 'the clamp'],
    ['products past 2^53', 'a', withRequantiser({ multiplier: [1, 2 ** 50, 1] }), 'exceed 53 bits'],
    ['an overflow', 'a', () => ({ bias: Int32Array.of(0, 2 ** 31 - 1, 0) }), 'channel 1 needs 33 bits'],
    [
      'another output size',
      'conv',
      (l) => ({ output: { ...l.output, shape: [1, 4, 3] } }),
      'its shape should be [1, 3, 3]',
    ],
    ['groups', 'conv', () => ({ groups: 2 }), '2 groups do not divide'],
    ['a divisor', 'mean', () => ({ divisors: [3] }), 'divisors [3], expected [4]'],
    ['windows of padding', 'mean', () => ({ pads: [2, 0, 0, 0] }), 'padding alone'],
    ['the verdict', 'verdict', (l) => ({ output: { ...l.output, shape: [3] } }), 'not uint8[2]'],
    ['coefficients', 'sum', () => ({ offset: 0.5 }), 'a coefficient is no integer'],
  ])('finds %s', (_, name, change, message) => {
    const found = verifyModel(changed(name, change));
    expect(found.map((d) => d.message).join('\n')).toContain(message);
    expect(found.every((d) => d.severity === 'error' && d.place.file === 'sound.json')).toBe(true);
  });

  it('finds a layer that nothing reads', () => {
    const dead = { ...sound.layers[2]!, name: 'dead', inputs: [2] };
    const layers = [
      ...sound.layers.slice(0, 4),
      dead,
      ...sound.layers.slice(4).map((l) => ({ ...l, inputs: l.name === 'verdict' ? [6] : [3, 4] })),
    ];
    expect(verifyModel({ ...sound, layers })).toMatchObject([{ place: { layer: 'dead' } }]);
  });
});

describe('dumpModel', () => {
  it('is the same text for the same model, and shows each kind', async () => {
    expect(dumpModel(sound)).toMatchInlineSnapshot(`
      "model sound
        input int8[1x4x4] scale 0.1 zero 0
      0 conv2d conv
        reads input: int8[1x4x4]
        makes int8[1x3x3] scale 0.1 zero 0
        kernel 2x2 strides 1x1 pads 0,0,0,0
        groups 1
        macs 36
        weights [1 2 3 4]
        bias [0]
        multiplier [1258292]
        offset [2097087]
        shift 22 clamp -128..127, off at 26 of 2551
      1 averagePool mean
        reads conv: int8[1x3x3]
        makes int8[1x2x2] scale 0.03 zero 0
        kernel 2x2 strides 1x1 pads 0,0,0,0
        divisors [4]
        multiplier [427]
        offset [253]
        shift 9 clamp -128..127, off at 5 of 1021
      2 dense a
        reads mean: int8[1x2x2]
        makes int8[3] scale 0.1 zero 0
        macs 12
        weights [3 3 3 3 3 3 3 3 ...] of 12, checksum e9414957
        bias [0 0 0]
        multiplier [11797 11797 11797]
        offset [65275 65275 65275]
        shift 17 clamp -128..127, off at 27 of 9183
      3 dense b
        reads mean: int8[1x2x2]
        makes int8[3] scale 0.1 zero 0
        macs 12
        weights [-3 -3 -3 -3 -3 -3 -3 -3 ...] of 12, checksum 8d871e7f
        bias [0 0 0]
        multiplier [11797 11797 11797]
        offset [65275 65275 65275]
        shift 17 clamp -128..127, off at 27 of 9183
      4 add sum
        reads a, b: int8[3], int8[3]
        makes int8[3] scale 0.1 zero 0
        multipliers [16 16]
        offset 8 shift 4 clamp -128..127
      5 argmax verdict
        reads sum: int8[3]
        makes uint8[2] scale 1 zero 0
      "
    `);
    const twice = await Promise.all([1, 2].map(() => importModel('examples/traffic-mlp.onnx')));
    expect(dumpModel(twice[0]!.model)).toBe(dumpModel(twice[1]!.model));
  });
});
