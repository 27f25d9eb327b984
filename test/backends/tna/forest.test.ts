import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { tnaFiles } from '../../../src/backends/tna/artifact.ts';
import { chips } from '../../../src/backends/tna/chips.ts';
import { pairsOf, type TnaKey, type TnaLayer, type TnaTable } from '../../../src/backends/tna/layers.ts';
import { planTna, type TnaPlan } from '../../../src/backends/tna/plan.ts';
import { PROGRAM_FILE } from '../../../src/backends/tna/replacement.ts';
import { versionEntries } from '../../../src/backends/tna/tables.ts';
import { importOnnx } from '../../../src/import/onnx/index.ts';
import type { Model } from '../../../src/model/model.ts';
import { answerTables } from '../../../src/passes/tables/interpret.ts';
import { Approximator } from '../../../src/targets/approximation.ts';
import { BAREFOOT, BFAS, compileTna, JUDGED_FILE } from '../../../src/toolchain/tofino.ts';
import type { Placement } from '../../../src/toolchain/tofino-resources.ts';
import { type ForestSpec, forestOnnx } from '../../support/forests.ts';
import { intransit, testFolder } from '../../support/io.ts';
import { openRuntime } from '../../support/onnx-runtime.ts';
import { random } from '../../support/random.ts';
import { describeWith } from '../v1model/tools.ts';

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

/** What of the entries matches; all that do must do the same. */
function matched(table: TnaTable, numberOf: (key: TnaKey) => number): readonly number[] {
  const numbers = table.keys.map(numberOf);
  const matching = table.rows.filter((row) =>
    row.keys.every((key, k) =>
      'mask' in key
        ? (numbers[k]! & key.mask) === key.value
        : numbers[k]! >> (table.keys[k]!.bits - key.length) ===
          key.value >> (table.keys[k]!.bits - key.length),
    ),
  );
  expect(matching.length).toBeGreaterThan(0);
  for (const row of matching) expect(row.values).toEqual(matching[0]!.values);
  return matching[0]!.values;
}

/** Sums of a layer of trees as the entries make them: words of codes, then what trees that match them add. */
function sumsOf({ finding, tables, outputs, bits }: TnaLayer, row: Uint8Array): number[] {
  const words = new Map<string, number>();
  const numberOf = ({ source }: TnaKey): number => {
    if (source?.kind === 'code') return Math.floor(words.get(source.word.name)! / 2 ** source.low) % 256;
    return source?.kind === 'byte' ? row[source.element]! : Number.NaN;
  };
  for (const table of finding) {
    const values = matched(table, numberOf);
    if (table.result.kind === 'codes')
      for (const [w, { name }] of table.result.words.entries()) words.set(name, values[w]!);
  }
  const sums = Array.from({ length: outputs }, () => 0);
  for (const table of tables)
    for (const [o, value] of matched(table, numberOf).entries()) sums[o] = (sums[o]! + value) % 2 ** bits;
  return sums;
}

/** The class that the signs of the differences tell, or the distances to the largest sum. */
function classOf({ layers, outputs }: TnaPlan, row: Uint8Array): number[] {
  const layer = layers.at(-1)!;
  const sums = sumsOf(layer, row);
  if (layer.toLargest) {
    const largest = Math.max(...sums);
    return [sums.map((sum) => largest - sum).indexOf(0)];
  }
  const pairs = pairsOf(outputs.length);
  const differences = layer.differences
    ? sums
    : pairs.map(([i, j]) => (sums[i]! - sums[j]! + 2 ** layer.bits) % 2 ** layer.bits);
  const signs = differences.map((d) => d >= 2 ** (layer.bits - 1));
  return outputs.flatMap((_, t) =>
    pairs.every(([i, j], k) => (i !== t || !signs[k]) && (j !== t || signs[k])) ? [t] : [],
  );
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

describeWith([BAREFOOT, BFAS], 'the open compiler for Tofino and its assembler', () => {
  it.each([
    ['tofino2', 10, 8, 7],
    ['tofino', 5, 4, 3],
  ] as const)(
    'place on %s what is foretold of %d trees of depth %d',
    { timeout: 1_500_000 },
    async (chip, trees, depth, scores) => {
      const { plan, diagnostics } = planned(traffic(trees, depth, scores).model, chip);
      expect(diagnostics).toEqual([]);
      const folder = testFolder();
      for (const [name, content] of tnaFiles(plan)) writeFileSync(join(folder, name), content);
      expect(await compileTna(join(folder, PROGRAM_FILE), chip, 'forest.json')).toContain(JUDGED_FILE);
      const judged: Placement = JSON.parse(readFileSync(join(folder, JUDGED_FILE), 'utf8'));
      for (const gress of ['ingress', 'egress'] as const)
        expect(Math.abs(judged.stages[gress] - plan.schedule.stages[gress])).toBeLessThanOrEqual(1);
      const need = (resource: string) => plan.needs.find((n) => n.resource === resource)!.need;
      const near = (made: number, foretold: number) =>
        expect(Math.abs(made - foretold), `${made}, foretold ${foretold}`).toBeLessThanOrEqual(
          Math.max(2, 0.15 * foretold),
        );
      near(judged.sram, need('SRAM'));
      near(judged.tcam, need('TCAM'));
      near(judged.busBytes, need('action data bus'));
    },
  );
});
