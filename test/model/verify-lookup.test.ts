import { describe, expect, it } from 'vitest';
import { dumpModel } from '../../src/model/dump.ts';
import type { Layer, Model } from '../../src/model/model.ts';
import { verifyModel } from '../../src/model/verify.ts';
import { modelOf } from '../support/models.ts';

const grid = { element: 'uint8', scale: 0.1 } as const;

const sound = modelOf({ ...grid, shape: [16] }, [
  {
    kind: 'embedding',
    name: 'rows',
    bag: 2,
    rows: 3,
    table: [1, 2, 3, -4, 5, -6, 7, 8, 9, 1, 2, 3],
    tableScale: 0.1,
    output: grid,
  },
  { kind: 'lut', name: 'table', function: 'tanh', output: { element: 'int8', scale: 1 / 128 } },
  { kind: 'reshape', shape: [4, 4, 2] },
  { kind: 'transpose', name: 'turn', axes: [2, 0, 1] },
  { kind: 'pad', name: 'border', pads: [0, 0, 1, 2], value: -5 },
  {
    kind: 'conv2d',
    name: 'conv',
    weights: [1, -8, 7, 2],
    weightBits: 4,
    weightScale: 0.02,
    kernel: [1, 1],
    output: { element: 'int8', scale: 0.001 },
    rounding: 'tflite',
  },
]);

function changed(name: string, change: (layer: Layer) => object): Model {
  const layers = sound.layers.map((layer) =>
    layer.name === name ? Object.assign({}, layer, change(layer)) : layer,
  );
  return { ...sound, layers };
}

const below = (change: object) => (layer: Layer) =>
  'requantiser' in layer
    ? { requantiser: { ...layer.requantiser, below: { pivot: [0, 0], offset: [0, 0], ...change } } }
    : {};

describe('verifyModel', () => {
  it('finds nothing in a sound model', () => expect(verifyModel(sound)).toEqual([]));

  it.each<[string, string, (layer: Layer) => object, string]>([
    [
      'a table of another length',
      'table',
      () => ({ table: new Int16Array(255) }),
      'table: 255, expected 256',
    ],
    [
      'a table beyond the output',
      'table',
      () => ({ table: new Int16Array(256).fill(200) }),
      '200 is no int8',
    ],
    ['axes that are no permutation', 'turn', () => ({ axes: [2, 2, 1] }), 'are no permutation'],
    ['another view', 'turn', () => ({ from: [4, 4, 3] }), 'cannot be seen as [4, 4, 3]'],
    ['another size', 'border', () => ({ pads: [1, 1, 1, 1] }), 'its shape should be [2, 6, 6]'],
    ['a border that is no q-value', 'border', () => ({ value: 200 }), '200 is no int8'],
    ['a border on another grid', 'border', (l) => ({ output: { ...l.output, scale: 9 } }), 'padding keeps'],
    ['lost rows', 'rows', () => ({ rows: 4 }), 'table: 12, expected 16'],
    ['more rows than keys', 'rows', () => ({ rows: 257 }), '257 rows'],
    ['part of a bag', 'rows', () => ({ bag: 3 }), 'no whole number of bags'],
    ['an entry out of range', 'rows', () => ({ table: new Int16Array(12).fill(300) }), 'outside -255..255'],
    ['wider weights', 'conv', () => ({ weights: Int16Array.of(1, -8, 16, 2) }), 'are not of 4 bits'],
    ['a pivot lost', 'conv', below({ pivot: [0] }), 'pivots: 1, expected 2'],
    ['a fraction below', 'conv', below({ offset: [0, 0.5] }), 'are not integers'],
    ['a fall at the pivot', 'conv', below({ offset: [2 ** 50, 0] }), 'q falls at the pivot of channel 0'],
  ])('finds %s', (_, name, change, message) => {
    const found = verifyModel(changed(name, change));
    expect(found.map((d) => d.message).join('\n')).toContain(message);
  });
});

it('dumpModel shows each kind', () => {
  const lines = dumpModel(sound).split('\n');
  for (const line of [
    '  keys of 1 bytes, 2 a bag',
    '  from 4x4x2 axes 2,0,1',
    '  pads 0,0,1,2 value -5',
    '  weights of 4 bits [1 -8 7 2]',
  ])
    expect(lines).toContain(line);
  expect(dumpModel(sound)).toMatch(/ {2}table \[.*\.\.\.\] of 256, checksum/);
  expect(dumpModel(sound)).toMatch(/ {2}below \[0 0\] offset/);
});
