import { describe, expect, it } from 'vitest';
import { planV1model } from '../../src/backends/v1model/plan.ts';
import { exportJson } from '../../src/import/json/export.ts';
import { importJson } from '../../src/import/json/index.ts';
import { dumpModel } from '../../src/model/dump.ts';
import type { Layer, Model } from '../../src/model/model.ts';
import {
  affineRounding,
  fitRequantiser,
  requantise,
  roundHalfEven,
  type SourceRounding,
} from '../../src/model/requantiser.ts';
import type { Interval } from '../../src/model/tensor.ts';
import { verifyModel } from '../../src/model/verify.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { simulate } from '../backends/v1model/simulate.ts';
import { rowsOf } from '../support/models.ts';
import { random } from '../support/random.ts';
import { tieModels } from '../support/tie-models.ts';

const differences = (source: SourceRounding, range: Interval, min: number, max: number): number => {
  const fit = fitRequantiser([source], [range], min, max);
  expect(fit.exactness.accumulators).toBe(0);
  let off = 0;
  for (let acc = range.lo; acc <= range.hi; acc++)
    if (requantise(fit, 0, acc) !== Math.max(min, Math.min(max, source(acc)))) off++;
  return off;
};

describe('a requantiser whose ties go to even', () => {
  // Divisors and ratios of scales that have ties at every step, every second one, or every third.
  const ratios = [1 / 2, 1 / 4, 1 / 6, 1 / 8, 1 / 10, 3 / 4, 5 / 6, 3 / 8, 1 / 64, 7 / 12, 1 / 196];
  it.each(ratios)('of ratio %d', (ratio) => {
    for (const zero of [-128, -3, 77])
      for (const offset of [0, 0.5, 0.25]) {
        const [min, max] = zero > 0 ? [0, 255] : [-128, 127];
        const exact = (acc: number) =>
          roundHalfEven(Math.round((acc * ratio + offset) * 2 ** 24) / 2 ** 24) + zero;
        const source = affineRounding(ratio, offset, zero);
        const range = { lo: Math.floor(-300 / ratio), hi: Math.ceil(300 / ratio) };
        let off = 0;
        for (let acc = range.lo; acc <= range.hi; acc++) if (source(acc) !== exact(acc)) off++;
        expect(off).toBe(0);
        expect(differences(source, range, min, max)).toBe(0);
        expect(differences(source, range, Math.max(min, zero), max)).toBe(0);
      }
  });

  it('of decimal scales, whose ties float32 makes', () => {
    const f = Math.fround;
    const ratio = (f(0.05) * f(0.01)) / f(0.1);
    // 100 * x * 0.005: every odd x is a tie.
    const source = affineRounding(ratio, 0, 0);
    for (let x = -127; x <= 127; x++) expect(source(100 * x)).toBe(roundHalfEven(x / 2));
    expect(differences(source, { lo: -25_500, hi: 25_500 }, -128, 127)).toBe(0);
  });

  it('has none where ties come by chance alone', () => {
    expect(affineRounding(0.000_123_456, 0.1, 0).ties).toBeUndefined();
  });
});

const tiesOf = (layer: Layer) =>
  'requantiser' in layer ? layer.requantiser.ties : layer.kind === 'add' ? layer.ties : undefined;

describe.each(tieModels(6))('$name', ({ model }) => {
  it('is exact, sound, and goes to JSON and back unchanged', () => {
    expect(model.layers.some((layer) => tiesOf(layer) !== undefined)).toBe(true);
    for (const layer of model.layers)
      if ('requantiser' in layer) expect(layer.requantiser.exactness.accumulators).toBe(0);
    expect(verifyModel(model)).toEqual([]);
    const again = importJson(JSON.stringify(exportJson(model)), 'm.json').model;
    expect(dumpModel(again)).toBe(dumpModel(model));
  });

  it.each([{}, { lanes: 'off' }, { weights: 'static' }] as const)('in lanes of P4, %o', (options) => {
    const { plan, diagnostics } = planV1model(model as Model, options);
    expect(diagnostics).toEqual([]);
    const rows = rowsOf(random(3), model, 12);
    for (let at = 0; at < rows.length; at += plan!.inputs) {
      const row = rows.subarray(at, at + plan!.inputs);
      expect(Buffer.from(simulate(plan!.lowered, row))).toEqual(Buffer.from(interpret(model, row)));
    }
  });
});
