import { describe, expect, it } from 'vitest';
import { type Layer, valueType } from '../../src/model/model.ts';
import { decodeElements, tensorBytes } from '../../src/model/tensor.ts';
import { levelValues, valueLevels } from '../../src/passes/levels.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { modelOf, randomCnn, randomJoined, randomMixed, randomMlp, rowsOf, step } from '../support/models.ts';
import { random } from '../support/random.ts';

const s8 = { element: 'int8', scale: 1, zeroPoint: 0 } as const;

describe('levels of a value', () => {
  it.each([randomMlp, randomCnn, randomMixed, randomJoined])('hold all that %o gives', (make) => {
    for (let seed = 0; seed < 12; seed++) {
      const model = make(seed);
      const rows = rowsOf(random(seed), model, 6);
      const bytes = tensorBytes(model.input);
      for (let value = 1; value <= model.layers.length; value++) {
        const levels = new Set(levelValues(valueLevels(model, value, 0)));
        for (let at = 0; at < rows.length; at += bytes) {
          const got = interpret(model, rows.subarray(at, at + bytes), 0, value);
          const others = decodeElements(valueType(model, value).element, got).filter((q) => !levels.has(q));
          expect([...others], `${model.name}, value ${value}`).toEqual([]);
        }
      }
    }
  });

  it('are two behind a sign, also through moves and maxima', () => {
    const model = modelOf({ ...s8, shape: [1, 4, 4] }, [
      { kind: 'dense', weights: new Array(256).fill(1), output: s8, requantiser: step(-1, 2, 16) },
      { kind: 'reshape', shape: [1, 4, 4] },
      { kind: 'maxPool', kernel: [2, 2] },
      {
        kind: 'lut',
        table: Array.from({ length: 256 }, (_, i) => (i === 129 ? 40 : 4 * (i % 5))),
        output: s8,
      },
    ]);
    const levels = model.layers.map((_, i) => valueLevels(model, i + 1, 0));
    expect(
      levels.slice(0, -1).every(({ least, step, count }) => [least, step, count].join() === '-1,2,2'),
    ).toBe(true);
    expect(levels.at(-1)).toMatchObject({ count: 2 });
    // What is not computed here may be anything.
    expect(valueLevels(model, 1, 1)).toEqual({ least: -128, step: 1, count: 256 });
  });

  it('of a long chain, each of whose layers reads the one before twice, are found at once', () => {
    const base = modelOf({ ...s8, shape: [4] }, [
      { kind: 'dense', weights: new Array(16).fill(1), output: s8, requantiser: step(-1, 2, 4) },
    ]);
    const [dense] = base.layers;
    const again = (value: number): Layer => ({
      ...{ name: `gather${value}`, output: dense!.output, kind: 'gather', inputs: [value, value] },
      ...{ sources: Int32Array.of(0, 5, 2, 7), value: 0 },
    });
    const model = { ...base, layers: [dense!, ...Array.from({ length: 200 }, (_, i) => again(i + 1))] };
    expect(valueLevels(model, 201, 0)).toEqual({ least: -1, step: 2, count: 2 });
  });

  it('are all between the ends where some sum gives one in between', () => {
    const model = modelOf({ ...s8, shape: [4] }, [
      { kind: 'dense', weights: [1, 1, 1, 1], output: s8, requantiser: { ...step(-1, 2), multiplier: [1] } },
    ]);
    expect(valueLevels(model, 1, 0)).toEqual({ least: -1, step: 1, count: 3 });
  });
});
