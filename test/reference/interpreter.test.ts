import { describe, expect, it } from 'vitest';
import type { Layer, Model, Window } from '../../src/model/model.ts';
import type { Requantiser } from '../../src/model/requantiser.ts';
import { interpret, interpretRows } from '../../src/reference/interpreter.ts';

/** Copies the accumulator. */
const copy = (channels: number): Requantiser => ({
  multiplier: new Array(channels).fill(1),
  offset: new Array(channels).fill(0),
  shift: 0,
  min: -128,
  max: 127,
  exactness: { channels: 0, accumulators: 0, total: 0 },
});

const int8 = (...shape: number[]) => ({ element: 'int8', shape, scale: 1, zeroPoint: 0 }) as const;

const one = (shape: number[], layer: Layer, zeroPoint = 0): Model => ({
  name: 'm',
  file: 'm',
  input: { ...int8(...shape), zeroPoint },
  layers: [layer],
});

const run = (model: Model, ...row: number[]) =>
  Array.from(
    new Int8Array(
      interpret(
        model,
        Uint8Array.from(row, (v) => v & 0xff),
      ).buffer,
    ),
  );

const window: Window = { kernel: [2, 2], strides: [1, 1], pads: [0, 0, 0, 0] };

describe('interpret', () => {
  it('dense: bias and products less the zero point', () => {
    const weights = Int16Array.of(1, 2, -3, 4);
    const layer: Layer = {
      kind: 'dense',
      name: 'd',
      inputs: [0],
      output: int8(2),
      weights,
      bias: Int32Array.of(10, -1),
      requantiser: copy(2),
    };
    expect(run(one([2], layer, 1), 3, 5)).toEqual([10 + 2 + 8, -1 - 6 + 16]);
  });

  it('conv2d: padding adds real zeros, groups read their own channels', () => {
    const base = {
      kind: 'conv2d',
      name: 'c',
      inputs: [0],
      bias: Int32Array.of(0, 0),
      requantiser: copy(2),
    } as const;
    const weights = Int16Array.of(1, 1, 1, 1, 1, 0, 0, -1);
    const padded: Layer = {
      ...base,
      ...window,
      pads: [0, 0, 0, 1],
      groups: 2,
      weights,
      output: int8(2, 1, 2),
    };
    const model = one([2, 2, 2], padded, 5);
    expect(run(model, 6, 7, 8, 9, 1, 2, 3, 4)).toEqual([1 + 2 + 3 + 4, 2 + 4, -4 + 1, -3]);
  });

  it('maxPool: padding is never the maximum', () => {
    const layer: Layer = {
      kind: 'maxPool',
      name: 'p',
      inputs: [0],
      ...window,
      pads: [1, 1, 0, 0],
      output: int8(1, 2, 2),
    };
    expect(run(one([1, 2, 2], layer), -9, -8, -7, -6)).toEqual([-9, -8, -7, -6]);
  });

  it('averagePool: the channel of the requantiser is that of the divisor', () => {
    const requantiser = { ...copy(3), multiplier: [4, 2, 1], shift: 2 };
    const layer: Layer = {
      kind: 'averagePool',
      name: 'p',
      inputs: [0],
      ...window,
      pads: [1, 1, 0, 0],
      output: int8(1, 2, 2),
      divisors: [1, 2, 4],
      countPadding: false,
      requantiser,
    };
    expect(run(one([1, 2, 2], layer), 8, 12, 16, 20)).toEqual([8, 10, 12, 14]);
  });

  it('add: floor of the scaled sum, clamped', () => {
    const layer: Layer = {
      kind: 'add',
      name: 'a',
      inputs: [0, 0],
      output: int8(3),
      multipliers: [3, 1],
      offset: 2,
      shift: 2,
      min: -5,
      max: 100,
    };
    expect(run(one([3], layer), 7, -90, 127)).toEqual([7, -5, 100]);
  });

  it('argmax: the first of equals, and the margin', () => {
    const layer: Layer = {
      kind: 'argmax',
      name: 'a',
      inputs: [0],
      output: { element: 'uint8', shape: [2], scale: 1, zeroPoint: 0 },
    };
    expect(Array.from(interpret(one([3], layer), Uint8Array.of(5, 9, 9)))).toEqual([1, 0]);
    expect(Array.from(interpret(one([3], layer), Uint8Array.of(0x80, 0x80, 127)))).toEqual([2, 255]);
  });

  it('runs a part of the layers, and rows one after the other', () => {
    const half: Layer = {
      kind: 'requantise',
      name: 'h',
      inputs: [0],
      output: int8(2),
      requantiser: { ...copy(1), shift: 1 },
    };
    const model = { ...one([2], half), layers: [half, { ...half, name: 'again', inputs: [1] }] };
    const row = Uint8Array.of(8, 12);
    expect(interpret(model, row, 0, 1)).toEqual(Uint8Array.of(4, 6));
    expect(interpret(model, interpret(model, row, 0, 1), 1)).toEqual(interpret(model, row));
    expect(interpretRows(model, Uint8Array.of(8, 12, 16, 20))).toEqual(Uint8Array.of(2, 3, 4, 5));
  });
});
