import type { Model } from '../../src/model/model.ts';
import { modelOf } from '../support/models.ts';

/** Two dense layers, small enough that p4c takes a second. */
export const smallModel = (middle = 3): Model =>
  modelOf({ element: 'uint8', scale: 0.05, zeroPoint: 0, shape: [4] }, [
    {
      kind: 'dense',
      name: 'first',
      weights: [
        [90, -40, 70, 20],
        [-100, 60, 30, 80],
        [50, 50, -90, 40],
        [20, -60, 10, 30],
        [-70, 0, 40, 110],
      ].slice(0, middle),
      weightScale: 0.01,
      output: { element: 'uint8', scale: 0.1, zeroPoint: 0 },
    },
    {
      kind: 'dense',
      name: 'second',
      weights: [
        [100, -70, 60, 20, -30],
        [-80, 90, 50, -10, 60],
      ].map((row) => row.slice(0, middle)),
      weightScale: 0.01,
      output: { element: 'int8', scale: 0.2, zeroPoint: 0 },
    },
  ]);
