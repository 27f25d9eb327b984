import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { chips } from '../../../src/backends/tna/chips.ts';
import { pairsOf, type TnaKey, type TnaTable } from '../../../src/backends/tna/layers.ts';
import { planTna, type TnaPlan } from '../../../src/backends/tna/plan.ts';
import { printTna } from '../../../src/backends/tna/print-program.ts';
import { versionEntries } from '../../../src/backends/tna/tables.ts';
import type { Model } from '../../../src/model/model.ts';
import { withVerdict } from '../../../src/model/verdict.ts';
import { answerTables, interpretTables, levelOf, runLayer } from '../../../src/passes/tables/interpret.ts';
import { lowerToTables } from '../../../src/passes/tables/lower.ts';
import { sliceTables } from '../../../src/passes/tables/slice.ts';
import { type Agreement, Approximator } from '../../../src/targets/approximation.ts';
import { intransit, testFolder } from '../../support/io.ts';
import { random, randomRows } from '../../support/random.ts';
import { perceptron } from '../../support/small-models.ts';
import { exampleModel, exampleRows } from '../v1model/examples.ts';

const options = (model: Model) => ({
  from: 0,
  to: model.layers.length,
  modelId: 1,
  modelVersion: 1,
  port: 18858,
});

/** Leading bits of a key; only trees match others. */
const lengthOf = (key: object): number => ('length' in key ? Number(key.length) : Number.NaN);

/** The entry that a switch takes: of all that match, the one of the longest prefixes. */
function matched(table: TnaTable, numbers: readonly number[]): readonly number[] {
  const matching = table.rows.filter((row) =>
    row.keys.every((key, k) => {
      const size = 2 ** (table.keys[k]!.bits - lengthOf(key));
      return Math.floor(numbers[k]! / size) === Math.floor(key.value / size);
    }),
  );
  const priority = (row: (typeof matching)[number]) => row.keys.reduce((sum, k) => sum + lengthOf(k), 0);
  const [best, next] = matching.sort((a, b) => priority(b) - priority(a));
  expect(next === undefined || priority(next) < priority(best!)).toBe(true);
  return best!.values;
}

/** The sums of a plan as a switch has them, entry by entry. */
function sumsOf(plan: TnaPlan, row: Uint8Array): Map<number, number[]> {
  const sums = new Map<number, number[]>();
  const numberOf = ({ source }: TnaKey) => {
    if (source?.kind === 'sum') return sums.get(source.layer)![source.output]!;
    return source?.kind === 'byte' ? row[source.element]! : Number.NaN;
  };
  for (const { layer, tables, outputs, bits, differences } of plan.layers) {
    const out = Array.from({ length: outputs }, () => 0);
    for (const table of tables)
      for (const [o, value] of matched(table, table.keys.map(numberOf)).entries()) out[o]! += value;
    if (!differences) for (const sum of out) expect(sum).toBeLessThan(2 ** bits);
    sums.set(layer, differences ? out.map((sum) => sum & (2 ** bits - 1)) : out);
  }
  return sums;
}

/** What the output tables give. */
function simulate(plan: TnaPlan, row: Uint8Array): number[] {
  const sums = sumsOf(plan, row);
  const numberOf = ({ source }: TnaKey) =>
    source?.kind === 'sum' ? sums.get(source.layer)![source.output]! : Number.NaN;
  return plan.outputs.map((t) => matched(t, t.keys.map(numberOf))[0]!);
}

describe('traffic-mlp on Tofino', () => {
  let model: Model;
  let approximator: Approximator;
  const programAt = (levels: number) => approximator.uniform(levels).program!;

  beforeAll(async () => {
    model = await exampleModel('traffic-mlp');
    const labels = [...readFileSync('examples/traffic-mlp.y.bin')];
    const rows = exampleRows('traffic-mlp', model, labels.length);
    approximator = new Approximator(
      model,
      { ...options(model), target: 'tofino2', bits: 32 },
      { rows, labels },
    );
  });

  it.each([
    [32, 0.95],
    [64, 0.97],
  ])('%d levels keep the class of %d of the rows, and the accuracy', (levels, least) => {
    const agreement: Agreement = approximator.agreementOf(programAt(levels));
    expect(agreement.rows).toBe(6003);
    expect(agreement.agreement).toBeGreaterThan(least);
    expect(agreement.accuracy!).toBeGreaterThan(agreement.exactAccuracy! - 0.01);
  });

  it('a level for each step is nearly the exact network, on rows that were not calibrated on too', () => {
    const { heldOut, ...all } = approximator.agreementOf(programAt(256));
    expect(all.agreement).toBeGreaterThan(0.99);
    expect(heldOut).toMatchObject({ rows: 3001 });
    expect(heldOut!.agreement).toBeGreaterThan(0.99);
  });

  it('levels by sensitivity keep more than as many entries of equal levels', () => {
    const equal = approximator.agreementOf(programAt(16)).agreement;
    const chosen = approximator.bySensitivity(48 * 16).program!;
    const { plan } = planTna(model, chips.tofino2, chosen, options(model), [0, 0, 0]);
    const behind = plan.layers
      .slice(1)
      .reduce((n, l) => n + l.tables.reduce((m, t) => m + t.rows.length, 0), 0);
    // A level is an entry, and one or two tell what is beyond them.
    expect(behind).toBeLessThanOrEqual(48 * 18);
    expect(approximator.agreementOf(chosen).agreement).toBeGreaterThan(equal);
  });

  it('is laid out over the stages of Tofino 2, and its entries give the network that it is a model of', () => {
    const program = programAt(16);
    const { plan, diagnostics } = planTna(model, chips.tofino2, program, options(model));
    expect(diagnostics).toEqual([]);
    const rows = exampleRows('traffic-mlp', model, 40);
    for (let r = 0; r < 40; r++) {
      const row = rows.subarray(r * 16, (r + 1) * 16);
      expect(simulate(plan, row)).toEqual(interpretTables(program, row).map((q) => q & 0xff));
    }
    expect(printTna(plan)).toBe(printTna(planTna(model, chips.tofino2, program, options(model)).plan));
    expect(versionEntries(plan, 1)).toHaveLength(plan.entries);
  });

  it('no sum leaves its bits, whatever a packet brings', () => {
    const program = programAt(16);
    const rows = randomRows(random(3), 200, 16);
    for (let r = 0; r < 200; r++) {
      const row = rows.subarray(r * 16, (r + 1) * 16);
      const sums = new Map<number, readonly number[]>();
      for (const layer of program.layers) {
        const numbers = runLayer(layer, (a) => levelOf(a, row, sums));
        for (const [o, n] of numbers.entries()) {
          expect(n).toBeGreaterThanOrEqual(0);
          expect(n).toBeLessThanOrEqual(layer.sums[o]!.most);
          expect(layer.sums[o]!.most).toBeLessThan(2 ** 16);
        }
        sums.set(layer.layer, numbers);
      }
    }
  });

  it('no stage is used beyond what it has, and a word is written once in it', () => {
    const { plan } = planTna(model, chips.tofino2, programAt(16), options(model));
    for (const [i, layer] of plan.layers.entries()) {
      const block = plan.schedule.blocks[i]!;
      const places = layer.tables.map((t, k) => {
        const placed = plan.schedule.placed.find((s) => s.name === `sums_${t.layer}_${t.index}`)!;
        return `${placed.stage} ${block.setOf[k]}`;
      });
      expect(new Set(places).size).toBe(places.length);
    }
    for (const use of plan.schedule.uses) {
      expect(use.busBytes).toBeLessThanOrEqual(128);
      expect(use.tcam).toBeLessThanOrEqual(24);
      expect(use.sram).toBeLessThanOrEqual(80);
      expect(use.tables).toBeLessThanOrEqual(16);
    }
  });

  it('with a verdict its tables add to differences, more than a group of containers compares, whose signs tell the class', () => {
    const verdict = withVerdict(model);
    const given = { ...options(verdict), target: 'tofino2', bits: 32 };
    const rows = exampleRows('traffic-mlp', model, 1000);
    const program = new Approximator(verdict, given, { rows }).uniform(32).program!;
    const { plan, diagnostics } = planTna(verdict, chips.tofino2, program, options(verdict));
    expect(diagnostics).toEqual([]);
    for (let r = 0; r < 40; r++) {
      const row = rows.subarray(r * 16, (r + 1) * 16);
      const signs = sumsOf(plan, row)
        .get(plan.layers.at(-1)!.layer)!
        .map((d) => d >= 2 ** 15);
      // Its differences to those before it are negative, to those behind it not.
      const told = Array.from({ length: 7 }, (_, t) => t).filter((t) =>
        pairsOf(7).every(([i, j], k) => (i !== t || !signs[k]) && (j !== t || signs[k])),
      );
      expect(told).toEqual([answerTables(program, row)[0]]);
    }
  });

  it('its first layer alone fits Tofino 1, and is nearly exact', () => {
    const first = { ...options(model), to: 1 };
    const rows = exampleRows('traffic-mlp', model, 2000);
    const alone = new Approximator(model, { ...first, target: 'tofino', bits: 32 }, { rows });
    const program = alone.bySensitivity(1024).program!;
    expect(planTna(model, chips.tofino, program, first).diagnostics).toEqual([]);
    expect(alone.agreementOf(program).heldOut!.agreement).toBeGreaterThan(0.99);
  });

  it('fits two Tofino 1 in parts, whose entries together give what the whole gives', () => {
    const { program, values } = approximator.uniform(32);
    const whole = { program: program!, values: values! };
    const single = planTna(model, chips.tofino, program!, options(model));
    expect(single.diagnostics.map((d) => d.message).join()).toMatch(/ingress|egress/);
    const parts = [
      [0, 1],
      [1, 3],
    ].map(([from, to]) => {
      const part = sliceTables(whole, model, from!, to!);
      return planTna(model, chips.tofino, part, { ...options(model), from: from!, to: to! });
    });
    expect(parts.flatMap((p) => p.diagnostics)).toEqual([]);
    const rows = exampleRows('traffic-mlp', model, 40);
    for (let r = 0; r < 40; r++) {
      const row = rows.subarray(r * 16, (r + 1) * 16);
      const answer = parts.reduce((bytes, { plan }) => Uint8Array.from(simulate(plan, bytes)), row);
      expect([...answer]).toEqual(interpretTables(program!, row).map((q) => q & 0xff));
    }
  });

  it('does not fit Tofino 1, which is told by resource', () => {
    const { diagnostics } = planTna(model, chips.tofino, programAt(16), options(model));
    const told = diagnostics.map((d) => d.message).join('\n');
    expect(told).toContain('stages of ingress, tofino has 12');
    expect(told).toContain('bytes of action data bus, tofino has 1536');
  });
});

describe('10-32-16-3 with a verdict', () => {
  const model = withVerdict(perceptron([10, 32, 16, 3], 7));
  const rows = randomRows(random(4), 400, 10);
  const approximator = new Approximator(model, { ...options(model), target: 'tofino', bits: 32 }, { rows });

  it('fits Tofino 1 by differences of its outputs, whose signs tell the class', () => {
    const program = approximator.bySensitivity(1500, [1, 1]).program!;
    const { plan, diagnostics } = planTna(model, chips.tofino, program, options(model), [0, 1, 1]);
    expect(diagnostics).toEqual([]);
    expect(plan.entries).toBeLessThanOrEqual(4863);
    for (let r = 0; r < 60; r++) {
      const row = rows.subarray(r * 10, (r + 1) * 10);
      const negative = sumsOf(plan, row)
        .get(2)!
        .map((d) => d >= 2 ** 15);
      const [less01, less02, less12] = negative;
      const told = !less01 && !less02 ? 0 : less01 && !less12 ? 1 : 2;
      expect(told).toBe(answerTables(program, row)[0]);
    }
  });

  it('fits Tofino 2 with a level for each step', () => {
    const { plan, diagnostics } = planTna(
      model,
      chips.tofino2,
      approximator.uniform(256).program!,
      options(model),
    );
    expect(diagnostics).toEqual([]);
    expect(plan.pairing).toEqual([0, 0, 0]);
  });
});

describe('an exact network that fits', () => {
  const model = perceptron([4, 4, 2], 5);

  it('has the integers of the reference in its entries', () => {
    const { program } = lowerToTables(model, { ...options(model), target: 'tofino2', bits: 32 });
    const { plan, diagnostics } = planTna(model, chips.tofino2, program!, options(model));
    expect(diagnostics).toEqual([]);
    const rows = randomRows(random(1), 20, 4);
    for (let r = 0; r < 20; r++) {
      const row = rows.subarray(r * 4, r * 4 + 4);
      expect(simulate(plan, row)).toEqual(interpretTables(program!, row));
    }
  });
});

describe('the command line', () => {
  const traffic = 'examples/traffic-mlp.onnx';
  const folder = testFolder();

  it('tells the loss, and writes all files', async () => {
    const out = join(folder, 'out');
    const rows = ['--calibrate', 'examples/traffic-mlp.x.bin', '--labels', 'examples/traffic-mlp.y.bin'];
    const command = [
      'compile',
      traffic,
      '-o',
      out,
      '--target',
      'tna',
      '--chip',
      'tofino2',
      '--levels',
      '8',
      ...rows,
    ];
    const { code, err } = await intransit(...command, '--no-build');
    expect(err).toMatch(/an approximated network, of 60\d\d entries: on 8\d\.\d % of 6003 rows/);
    expect(code).toBe(0);
    const names = [
      'entries.txt',
      'intransit_tna.p4',
      'intransit_wire.p4',
      'manifest.json',
      'p4info.txt',
      'program.p4',
    ];
    expect(readdirSync(out).sort()).toEqual(expect.arrayContaining(names));
    const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8'));
    expect(manifest).toMatchObject({ target: 'tna', chip: 'tofino2', approximation: { rows: 6003 } });
    expect(manifest.bfrt.sums_0_0).toBe('pipe.IntransitIngress.sums_0_0');
  });

  it.each([
    ['a chip that is unknown', ['--chip', 'tofino9'], 2, 'tofino9'],
    ['levels without rows', ['--levels', '8'], 1, '--calibrate ROWS'],
    ['levels that are none', ['--levels', 'many'], 2, 'levels'],
    ['rows that are not there', ['--calibrate', 'none.bin'], 1, 'none.bin'],
    ['constant entries', ['--weights', 'static'], 1, '--weights static'],
    ['an exact network that fits no chip', [], 1, 'stages of ingress, tofino2 has 20'],
  ])('refuses %s', async (_, given, code, text) => {
    const out = join(folder, 'refused');
    const outcome = await intransit('compile', traffic, '-o', out, '--target', 'tna', ...given);
    expect(outcome).toMatchObject({ code, err: expect.stringContaining(text) });
    expect(existsSync(out)).toBe(false);
  });

  it('compiles each part of a network with the levels of the whole, or says what is missing', async () => {
    const part = (layers: string, out: string, ...given: string[]) =>
      intransit('compile', traffic, '--layers', layers, '-o', out, '--target', 'tna', '--no-build', ...given);
    const rows = ['--chip', 'tofino', '--whole', 'examples/traffic-mlp.x.bin'];
    for (const [i, layers] of ['0..1', '1..3'].entries()) {
      const out = join(testFolder(), 'part');
      const { code, err } = await part(layers, out, ...rows, '--levels', '32');
      expect({ code, err }).toMatchObject({
        code: 0,
        err: expect.stringContaining('an approximated network'),
      });
      const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8'));
      expect(manifest.layers).toEqual(
        [
          { from: 0, to: 1 },
          { from: 1, to: 3 },
        ][i],
      );
      expect(manifest.approximation.agreement).toBeGreaterThan(0.95);
    }
    const out = join(testFolder(), 'none');
    const refusals: [string[], string][] = [
      [rows, 'all parts have to have the same levels'],
      [[...rows, '--calibrate', 'x.bin', '--levels', '8'], 'give one of both'],
      [['--levels', '8'], 'it needs rows'],
    ];
    for (const [given, message] of refusals)
      expect(await part('0..1', out, ...given)).toMatchObject({
        code: 1,
        err: expect.stringContaining(message),
      });
    expect(existsSync(out)).toBe(false);
  });

  it('refuses activations that no table can hold', async () => {
    const outcome = await intransit('inspect', 'examples/digits-cnn.onnx', '--target', 'tna');
    expect(outcome).toMatchObject({ code: 1, err: expect.stringContaining('maxPool') });
  });
});
