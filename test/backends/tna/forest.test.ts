import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { chips } from '../../../src/backends/tna/chips.ts';
import type { TnaLayer } from '../../../src/backends/tna/layers.ts';
import { planTna } from '../../../src/backends/tna/plan.ts';
import { printTna } from '../../../src/backends/tna/print-program.ts';
import { versionEntries } from '../../../src/backends/tna/tables.ts';
import { importOnnx } from '../../../src/import/onnx/index.ts';
import type { Model } from '../../../src/model/model.ts';
import { answerTables } from '../../../src/passes/tables/interpret.ts';
import { lowerToTables } from '../../../src/passes/tables/lower.ts';
import { interpretRows } from '../../../src/reference/interpreter.ts';
import { Approximator } from '../../../src/targets/approximation.ts';
import { type ForestSpec, forestOnnx } from '../../support/forests.ts';
import { intransit, testFolder } from '../../support/io.ts';
import { openRuntime } from '../../support/onnx-runtime.ts';
import { random } from '../../support/random.ts';
import { classOf } from './forest-chip.ts';

const ROWS = 'examples/traffic-mlp.x.bin';
const rows = readFileSync(ROWS);
const rowAt = (r: number) => rows.subarray(16 * r, 16 * r + 16);

const traffic = (trees: number, depth: number, scores = 7): { bytes: Uint8Array; model: Model } => {
  const bytes = forestOnnx(random(depth), { features: 16, trees, depth, scores, leaves: 'all' });
  return { bytes, model: importOnnx(bytes, 'forest.onnx').model };
};

function planned(model: Model, chip: keyof typeof chips = 'tofino2') {
  const range = { from: 0, to: model.layers.length, modelId: 1, modelVersion: 1, port: 18858 };
  const calibration = rows.subarray(0, 16 * 400);
  const approximator = new Approximator(model, { ...range, target: chip, bits: 32 }, { rows: calibration });
  const { program } = approximator.uniform(256);
  return { program: program!, ...planTna(model, chips[chip], program!, range) };
}

describe('ten trees of depth 8 on Tofino 2', () => {
  const { bytes, model } = traffic(10, 8);
  const { program, plan, diagnostics } = planned(model);

  it('fit, and their entries give the class that ONNX Runtime gives, on all rows of traffic-mlp', async () => {
    expect(diagnostics).toEqual([]);
    const session = await openRuntime(bytes);
    const x = new Tensor('float32', Float32Array.from(rows), [rows.length / 16, 16]);
    const labels = Array.from((await session.run({ x })).label!.data as BigInt64Array, Number);
    expect(labels).toHaveLength(6003);
    expect(labels.map((_, r) => answerTables(program, rowAt(r))[0])).toEqual(labels);
    for (let r = 0; r < 6003; r += 20) expect(classOf(plan, rowAt(r))).toEqual([labels[r]]);
  });

  it('have an entry a row in both versions, and keys of whole bytes', () => {
    expect(versionEntries(plan, 1)).toHaveLength(plan.entries);
    const [layer] = plan.layers as [TnaLayer];
    for (const table of layer.tables) expect(table.rows.length).toBeLessThanOrEqual(256);
    // All bits of a container are of one activation, as its table sets it whole.
    const names = layer.finding.flatMap(({ result }) => (result.kind === 'codes' ? result.words : []));
    expect(new Set(names.map((w) => w.name)).size).toBe(names.length);
  });

  it('take no stage beyond what it has, and find codes before trees match them', () => {
    const { schedule } = plan;
    const stagesOf = (family: string) =>
      schedule.placed.filter((s) => s.name.startsWith(family)).map((s) => s.stage);
    expect(Math.max(...stagesOf('codes_'))).toBeLessThan(Math.min(...stagesOf('tree_')));
    for (const use of schedule.uses) {
      expect(use.keyGroups).toBeLessThanOrEqual(12);
      expect(use.busBytes).toBeLessThanOrEqual(128);
      expect(use.halfSlots).toBeLessThanOrEqual(32);
      expect(use.tcam).toBeLessThanOrEqual(24);
    }
  });
});

it('few classes are compared by their sums, equals go to the first', () => {
  const { model } = traffic(6, 4, 4);
  const { program, plan, diagnostics } = planned(model);
  expect(diagnostics).toEqual([]);
  expect(plan.layers[0]!.differences).toBe(false);
  for (let r = 0; r < 6003; r += 40)
    expect(classOf(plan, rowAt(r))).toEqual([answerTables(program, rowAt(r))[0]]);
});

it('of single leaves have the class of the reference whatever comes in, and no table', () => {
  const { model } = traffic(3, 0, 4);
  const { program, plan, diagnostics } = planned(model);
  expect(diagnostics).toEqual([]);
  expect(plan.entries).toBe(0);
  const expected = [...interpretRows(model, rowAt(0))];
  expect([...answerTables(program, rowAt(0))]).toEqual(expected);
  const exact = lowerToTables(model, { from: 0, to: model.layers.length, target: 'tofino2', bits: 32 });
  expect([...answerTables(exact.program!, rowAt(0))]).toEqual(expected);
  const text = printTna(plan);
  for (const [i, value] of expected.entries()) expect(text).toContain(`hdr.result.r${i} = ${value};`);
});

describe('the command line', () => {
  const write = (spec: ForestSpec): string => {
    const file = join(testFolder(), 'forest.onnx');
    writeFileSync(file, forestOnnx(random(spec.depth), spec));
    return file;
  };

  it('refuses what does not fit by resource, and by how much', async () => {
    const file = write({ features: 16, trees: 100, depth: 6, scores: 7, leaves: 'all' });
    const { code, err } = await intransit('inspect', file, '--target', 'tna', '--calibrate', ROWS);
    expect(code).toBe(1);
    expect(err).toMatch(/needs \d+ groups of 5 bytes of ternary keys, tofino2 has 240/);
  });

  it('says that scores have to be rounded, and with rows what that changes', async () => {
    const file = write({ features: 16, trees: 10, depth: 8, scores: 7, leaves: 'all' });
    const exact = await intransit('inspect', file, '--target', 'tna');
    expect(exact).toMatchObject({
      code: 1,
      err: expect.stringMatching(/scores of its trees need \d\d bits/),
    });
    const rounded = await intransit('inspect', file, '--target', 'tna', '--calibrate', ROWS);
    expect(rounded).toMatchObject({ code: 0, err: expect.stringContaining('100.0 % of 6003 rows') });
  });
});
