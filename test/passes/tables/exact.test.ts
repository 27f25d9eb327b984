import { describe, expect, it } from 'vitest';
import { type Model, outputType } from '../../../src/model/model.ts';
import { elementCount, elementRange } from '../../../src/model/tensor.ts';
import { prefixesOf } from '../../../src/passes/tables/activation.ts';
import { interpretTables } from '../../../src/passes/tables/interpret.ts';
import { lowerToTables } from '../../../src/passes/tables/lower.ts';
import type { TableProgram } from '../../../src/passes/tables/program.ts';
import { interpret } from '../../../src/reference/interpreter.ts';
import { exampleModel, exampleNames, exampleRows } from '../../backends/v1model/examples.ts';
import { randomModels } from '../../backends/v1model/random-models.ts';
import { modelOf, randomCnn, randomJoined, randomMixed, rowsOf } from '../../support/models.ts';
import { random } from '../../support/random.ts';
import { smallMlp } from '../../support/small-models.ts';

function lowered(model: Model, bits: number): TableProgram | undefined {
  return lowerToTables(model, { from: 0, to: model.layers.length, target: 'test', bits }).program;
}

/** Output elements, of all rows, that are not those of the reference; a verdict is compared by what it compares. */
function mismatches(model: Model, program: TableProgram, rows: Uint8Array): number {
  const width = elementCount(model.input.shape);
  const to = program.verdict ?? model.layers.length;
  const signed = elementRange(outputType({ ...model, layers: model.layers.slice(0, to) }).element).lo < 0;
  let count = 0;
  for (let at = 0; at < rows.length; at += width) {
    const row = rows.subarray(at, at + width);
    const expected = interpret(model, row, 0, to);
    const q = interpretTables(program, row);
    for (const [i, byte] of expected.entries())
      if (q[i] !== (signed && byte > 127 ? byte - 256 : byte)) count++;
  }
  return count;
}

describe('exact tables', () => {
  it.each(exampleNames)('%s: the integers of the reference', async (name) => {
    const model = await exampleModel(name);
    const rows = exampleRows(name, model, name === 'digits-cnn' ? 50 : 500);
    for (const bits of [32, 48]) {
      const program = lowered(model, bits);
      if (program === undefined) expect(name).toBe('digits-cnn');
      else expect(mismatches(model, program, rows), `${bits} bits`).toBe(0);
    }
  });

  it.each([32, 48])('100 random small networks, sums of %d bits', (bits) => {
    let computed = 0;
    for (const { seed, model } of randomModels(smallMlp, 100)) {
      const program = lowered(model, bits);
      if (program === undefined) continue;
      computed++;
      const rows = rowsOf(random(seed), model, 20);
      expect(mismatches(model, program, rows), `seed ${seed}`).toBe(0);
    }
    expect(computed).toBeGreaterThan(95);
  });

  it('layers of every kind that is looked up, or a reason', () => {
    const kinds = new Set<string>();
    for (const make of [randomCnn, randomMixed, randomJoined])
      for (const { seed, model } of randomModels(make, 15)) {
        const { program, diagnostics } = lowerToTables(model, {
          from: 0,
          to: model.layers.length,
          target: 'test',
          bits: 48,
        });
        if (program === undefined) {
          expect(diagnostics[0]!.code, `seed ${seed}`).toBe('unsupported-layer');
          continue;
        }
        if (program.layers.reduce((n, l) => n + l.tables.length * l.sums.length, 0) > 20_000) continue;
        for (const { kind } of model.layers) kinds.add(kind);
        expect(mismatches(model, program, rowsOf(random(seed), model, 6)), `${model.name}`).toBe(0);
      }
    for (const kind of ['conv2d', 'averagePool', 'requantise', 'dense', 'lut', 'pad', 'transpose'])
      expect(kinds, kind).toContain(kind);
  });

  it('have one entry a level where the multiplier fits the sum', async () => {
    const program = lowered(await exampleModel('traffic-mlp'), 48)!;
    const entries = program.layers
      .slice(1)
      .flatMap((l) => l.tables.map((t) => prefixesOf(t.keys[0]!).length));
    expect(Math.max(...entries)).toBeLessThanOrEqual(258);
  });

  it('refuse sums that do not fit, and say how many bits they need', () => {
    const wide = modelOf({ element: 'uint8', scale: 1, zeroPoint: 0, shape: [1] }, [
      {
        kind: 'dense',
        weights: Buffer.from([127]).toString('base64'),
        weightScale: 1,
        bias: [0],
        output: { element: 'uint8', scale: 1, zeroPoint: 0 },
      },
    ]);
    const { program, diagnostics } = lowerToTables(wide, { from: 0, to: 1, target: 'test', bits: 12 });
    expect(program).toBeUndefined();
    expect(diagnostics[0]!.message).toContain('its sums need 15 bits, and have 12');
  });
});
