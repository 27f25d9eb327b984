import { beforeAll, describe, expect, it } from 'vitest';
import { cutPoints } from '../../../src/model/cut.ts';
import type { Model } from '../../../src/model/model.ts';
import { elementCount } from '../../../src/model/tensor.ts';
import { withVerdict } from '../../../src/model/verdict.ts';
import { answerTables } from '../../../src/passes/tables/interpret.ts';
import { lowerToTables } from '../../../src/passes/tables/lower.ts';
import { cutRefusal, sliceTables, type WholeTables } from '../../../src/passes/tables/slice.ts';
import { Approximator } from '../../../src/targets/approximation.ts';
import { exampleModel, exampleRows } from '../../backends/v1model/examples.ts';
import { modelOf, rowsOf } from '../../support/models.ts';
import { random } from '../../support/random.ts';

/** Rows through the parts, one after the other, that differ from the whole; and how many were compared. */
function differing(whole: WholeTables, model: Model, cuts: readonly number[], rows: Uint8Array) {
  const width = elementCount(model.input.shape);
  const parts = cuts.slice(1).map((to, i) => sliceTables(whole, model, cuts[i]!, to));
  let mismatches = 0;
  for (let at = 0; at < rows.length; at += width) {
    const row = rows.subarray(at, at + width);
    const answer = parts.reduce((bytes, part) => answerTables(part, bytes), row);
    if (Buffer.compare(answer, answerTables(whole.program, row)) !== 0) mismatches++;
  }
  return { rows: rows.length / width, mismatches };
}

const wholeOf = (lowered: ReturnType<typeof lowerToTables>): WholeTables => ({
  program: lowered.program!,
  values: lowered.values!,
});

describe.each(['traffic-mlp', 'digits-mlp'] as const)('parts of the approximated %s', (name) => {
  let model: Model;
  let rows: Uint8Array;
  const approximate = (of: Model, levels: number | undefined) => {
    const options = { from: 0, to: of.layers.length, target: 'tofino2', bits: 32 };
    const approximator = new Approximator(of, options, { rows });
    return wholeOf(levels === undefined ? approximator.bySensitivity(4096) : approximator.uniform(levels));
  };

  beforeAll(async () => {
    model = await exampleModel(name);
    rows = exampleRows(name, model, 400);
  });

  it('give row by row what the whole gives, wherever it is cut and however many levels there are', () => {
    const all = cutPoints(model);
    for (const levels of [5, 64, 256, undefined]) {
      const whole = approximate(model, levels);
      const divided = [all, ...all.slice(1, -1).map((cut) => [0, cut, model.layers.length])];
      for (const cuts of divided)
        expect(differing(whole, model, cuts, rows)).toEqual({ rows: 400, mismatches: 0 });
    }
  });

  it('with a verdict too, whose sums no byte holds', () => {
    const verdict = withVerdict(model);
    const whole = approximate(verdict, 32);
    const last = verdict.layers.length - 1;
    expect(cutRefusal(whole, last)).toMatch('the verdict compares the sums');
    expect(cutRefusal(whole, last + 1)).toBeUndefined();
    const cuts = cutPoints(verdict).filter((cut) => cut !== last);
    expect(cuts.length).toBeGreaterThan(2);
    expect(differing(whole, verdict, cuts, rows)).toEqual({ rows: 400, mismatches: 0 });
  });

  it('take any other byte for the nearest that is sent', () => {
    const whole = approximate(model, 5);
    const part = sliceTables(whole, model, 1, 2);
    const key = part.layers[0]!.tables[0]!.keys[0]!;
    expect(key.source).toEqual({ kind: 'byte', element: 0 });
    expect(new Set(key.pieces.levels).size).toBeLessThanOrEqual(5);
    expect(key.pieces.starts).toHaveLength(256);
  });
});

it('parts of exact tables are those of the reference, through clamps, tables and moves', () => {
  const s8 = { element: 'int8', scale: 0.05, zeroPoint: -9 } as const;
  const r = random(4);
  const weights = (count: number) => Array.from({ length: count }, () => r.int(-9, 9));
  const model = modelOf({ ...s8, shape: [6] }, [
    { kind: 'dense', weights: weights(48), weightScale: 0.05, output: s8 },
    {
      kind: 'lut',
      name: 'cut',
      table: Array.from({ length: 256 }, (_, i) => Math.abs(i - 128) % 100),
      output: s8,
    },
    { kind: 'gather', inputs: ['cut'], shape: [8], sources: [7, 2, 2, 5, -1, 0, 1, 6] },
    { kind: 'dense', weights: weights(40), weightScale: 0.05, output: s8 },
    { kind: 'requantise', output: { ...s8, scale: 0.2 } },
  ]);
  const options = { from: 0, to: model.layers.length, target: 'tofino2', bits: 32 };
  const whole = wholeOf(lowerToTables(model, options));
  const rows = rowsOf(random(2), model, 60);
  for (const cuts of [
    [0, 1, 5],
    [0, 2, 5],
    [0, 3, 5],
    [0, 4, 5],
    [0, 1, 2, 3, 4, 5],
  ])
    expect(differing(whole, model, cuts, rows)).toEqual({ rows: 60, mismatches: 0 });
});
