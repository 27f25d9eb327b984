import type { JsonLayerInput } from '../../src/import/json/schema.ts';
import type { Model } from '../../src/model/model.ts';
import { modelOf } from './models.ts';
import { type Random, random } from './random.ts';

/** Models in which many sums lie halfway between two outputs, and go to the even one. */

type Grid = { element: 'uint8' | 'int8'; scale: number; zeroPoint: number };

const grid = (r: Random, scale: number): Grid => {
  const element = r.pick(['uint8', 'int8'] as const);
  return { element, scale, zeroPoint: element === 'uint8' ? r.int(100, 150) : r.int(-20, 20) };
};

const weights = (r: Random, count: number): number[] => Array.from({ length: count }, () => r.int(-9, 9));

const rounding = 'half-even' as const;

const kinds: Record<string, (r: Random) => { shape: number[]; layers: JsonLayerInput[] }> = {
  // Products on a grid of 1/4, outputs of 1 to 4: ties at every second to eighth sum.
  dense: (r) => ({
    shape: [6],
    layers: [
      {
        kind: 'dense',
        weights: weights(r, 6 * 9),
        weightScale: 0.5,
        bias: weights(r, 9),
        output: grid(r, r.pick([1, 2, 4])),
        rounding,
      },
      { kind: 'relu' },
      { kind: 'dense', weights: weights(r, 9 * 4), weightScale: 0.75, output: grid(r, 32), rounding },
    ],
  }),
  conv: (r) => ({
    shape: [2, 5, 5],
    layers: [
      {
        kind: 'conv2d',
        weights: weights(r, 5 * 2 * 4),
        weightScale: [0.5, 0.25, 0.5, 1, 0.5],
        kernel: [2, 2],
        output: grid(r, 4),
        rounding,
      },
    ],
  }),
  average: (r) => ({
    shape: [2, 6, 6],
    layers: [{ kind: 'averagePool', kernel: [2, 2], strides: [2, 2], output: grid(r, 0.5), rounding }],
  }),
  // Windows of 4, 6 and 9 elements.
  border: (r) => ({
    shape: [2, 5, 5],
    layers: [
      {
        kind: 'averagePool',
        kernel: [3, 3],
        strides: [2, 2],
        pads: [1, 1, 1, 1],
        output: grid(r, 0.5),
        rounding,
      },
    ],
  }),
  requantise: (r) => ({
    shape: [7],
    layers: [{ kind: 'requantise', output: grid(r, r.pick([1, 2, 4])), rounding }],
  }),
  add: (r) => ({
    shape: [8],
    layers: [
      { kind: 'requantise', name: 'a', input: 'input', output: grid(r, 0.5), rounding: 'half-up' },
      {
        kind: 'requantise',
        name: 'b',
        input: 'input',
        output: grid(r, r.pick([0.5, 0.25])),
        rounding: 'half-up',
      },
      { kind: 'add', inputs: ['a', 'b'], output: grid(r, 1), rounding },
    ],
  }),
  embedding: (r) => ({
    shape: [4],
    layers: [
      {
        kind: 'embedding',
        keyBytes: 1,
        bag: 2,
        rows: 16,
        table: weights(r, 48),
        tableScale: 0.5,
        output: grid(r, 1),
        rounding,
      },
    ],
  }),
};

/** `count` models of each kind, with their numbers drawn anew. */
export function tieModels(count: number): { name: string; model: Model }[] {
  return Object.entries(kinds).flatMap(([kind, make]) =>
    Array.from({ length: count }, (_, seed) => {
      const r = random(7 * seed + 1);
      const { shape, layers } = make(r);
      const input =
        kind === 'embedding' ? { element: 'uint8' as const, scale: 1, zeroPoint: 0 } : grid(r, 0.5);
      const name = `${kind} ${seed}`;
      return { name, model: modelOf({ ...input, shape }, layers, name.replace(' ', '-')) };
    }),
  );
}
