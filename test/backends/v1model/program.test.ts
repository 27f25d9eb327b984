import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { emitV1model, PROGRAM_FILE, v1modelP4Info } from '../../../src/backends/v1model/emit.ts';
import { planV1model, type V1modelOptions } from '../../../src/backends/v1model/plan.ts';
import type { Model } from '../../../src/model/model.ts';
import { p4InfoText, parseP4Info } from '../../../src/p4runtime/index.ts';
import { P4_DIR } from '../../../src/paths.ts';
import { runP4c } from '../../../src/toolchain/p4c.ts';
import { modelOf, randomCnn, randomMlp } from '../../support/models.ts';
import { exampleModel, exampleNames } from './examples.ts';
import { layerModel } from './layer-models.ts';
import { randomModels } from './random-models.ts';
import { describeWith, P4C } from './tools.ts';

const emit = (model: Model, options: V1modelOptions = {}) => emitV1model(planV1model(model, options).plan!);

test('the same model gives the same bytes, without a date or a path', async () => {
  const model = await exampleModel('traffic-mlp');
  const files = emit(model);
  expect(files).toEqual(emit(await exampleModel('traffic-mlp')));
  expect([...files.keys()]).toEqual([
    'program.p4',
    'intransit_headers.p4',
    'intransit_pipeline.p4',
    'intransit_shape_actions.p4',
    'intransit_shape_apply.p4',
    'intransit_shape_parser.p4',
    'intransit_shape_select.p4',
    'intransit_tables.p4',
    'intransit_wire.p4',
    'p4info.txt',
    'entries.txt',
  ]);
  const text = [...files.values()].join('\n');
  expect(text).not.toContain(new Date().getFullYear().toString().concat('-'));
  expect(text).not.toContain('/work');
});

test('one table without keys a slot, whose default action is all layers of a version', async () => {
  const files = emit(await exampleModel('digits-mlp'), { slots: 3 });
  const program = String(files.get(PROGRAM_FILE));
  const tables = ['0_0', '0_1', '0_2'].map((name) => `    table weights_${name}`);
  expect(program.match(/^ {4}table \w+/gm)).toEqual(tables);
  const updates = String(files.get('entries.txt'))
    .split(/^updates/m)
    .slice(1);
  expect(
    updates.filter((u) => u.includes('is_default_action: true') && u.includes('type: MODIFY')),
  ).toHaveLength(1);
  expect(String(files.get('entries.txt')).match(/^updates/gm)).toHaveLength(4);
});

test('static weights are constants: no table, no entry but the model', async () => {
  const files = emit(await exampleModel('digits-mlp'), { weights: 'static' });
  expect(String(files.get(PROGRAM_FILE))).not.toContain('table weights');
  expect(String(files.get('p4info.txt'))).not.toContain('weights_');
  expect(String(files.get('entries.txt')).match(/^updates/gm)).toHaveLength(3);
});

test('the checksum adds an answer of many fields in a tree: a chain is too deep for BMv2', () => {
  const output = { element: 'uint8', scale: 1, zeroPoint: 0 } as const;
  const model = modelOf({ ...output, shape: [1] }, [
    { kind: 'dense', weights: Array.from({ length: 1400 }, (_, i) => i % 100), weightScale: 1, output },
  ]);
  const program = String(emit(model).get(PROGRAM_FILE));
  const sum = program.split('\n').find((line) => line.startsWith('#define INTRANSIT_RESULT_SUM'))!;
  expect(sum.match(/hdr\.result\.part/g)!.length).toBeGreaterThan(250);
  let depth = 0;
  const depths = [...sum].map((c) => (depth += c === '(' ? 1 : c === ')' ? -1 : 0));
  expect(Math.max(...depths)).toBeLessThan(15);
});

describeWith([P4C], 'p4c', () => {
  /** Compiles in a folder of its own; what p4c says, and the P4Info that it makes. */
  async function compile(files: ReadonlyMap<string, string | Uint8Array>, program = PROGRAM_FILE) {
    const folder = mkdtempSync(join(tmpdir(), 'intransit-p4c-'));
    try {
      for (const [name, content] of files) writeFileSync(join(folder, name), content);
      const p4info = join(folder, 'p4c.bin');
      const { ok, log } = await runP4c(join(folder, program), join(folder, 'program.json'), p4info);
      expect({ ok, log }).toEqual({ ok: true, log: '' });
      return { ...parseP4Info(readFileSync(p4info)) };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Both as protobuf text, tables and actions in order of their ids. */
  function expectEqual(theirs: Record<string, unknown>, model: Model, options: V1modelOptions): void {
    const byId = (list: unknown) =>
      (list as { preamble: { id: number } }[]).sort((a, b) => a.preamble.id - b.preamble.id);
    const ours = v1modelP4Info(planV1model(model, options).plan!);
    const sorted = { ...theirs, tables: byId(theirs.tables), actions: byId(theirs.actions) };
    expect(p4InfoText(sorted as never)).toBe(p4InfoText(ours));
  }

  // p4c copies the body of a layer for each slot: two of them say as much as all.
  test.each(exampleNames)('compiles %s without a warning, and agrees on the P4Info', async (name) => {
    const model = await exampleModel(name);
    expectEqual(await compile(emit(model, { slots: 2 })), model, { slots: 2 });
  });

  test('all slots', async () => {
    const model = await exampleModel('traffic-mlp');
    const options = { from: 2, to: 3 };
    expectEqual(await compile(emit(model, options)), model, options);
  });

  test('static weights', async () => {
    const model = await exampleModel('traffic-mlp');
    expectEqual(await compile(emit(model, { weights: 'static' })), model, { weights: 'static' });
  });

  test.each(['runtime', 'static'] as const)(
    'tables by keys, and tables of 256 values: %s weights',
    async (weights) => {
      const options = { weights, slots: 2 };
      for (const kind of ['embedding', 'lut', 'below'] as const) {
        const { model } = [...randomModels((s) => layerModel(kind, s), 1)][0]!;
        expectEqual(await compile(emit(model, options)), model, options);
      }
    },
  );

  test('a layer in the middle', async () => {
    const model = await exampleModel('traffic-mlp');
    const options = { from: 1, to: 2, lanes: 'off', slots: 1 } as const;
    expectEqual(await compile(emit(model, options)), model, options);
  });

  test('random networks, small ones: p4c takes some 15 ms an operation', async () => {
    let compiled = 0;
    for (const { seed, model } of randomModels((s) => (s % 2 === 0 ? randomMlp(s) : randomCnn(s)), 100)) {
      const products = planV1model(model).plan!.lowered.layouts.reduce((sum, l) => sum + l.products, 0);
      if (products < 10 || products > 80) continue;
      expectEqual(await compile(emit(model, { slots: 1 })), model, { slots: 1 });
      if (++compiled === 6) return;
      expect(seed).toBeLessThan(100);
    }
  });

  test('the hand-written parts compile alone, around a layer that does nothing', async () => {
    const parts = ['actions', 'apply', 'parser', 'select'].map((part) => `shape_${part}`);
    const names = ['headers', 'pipeline', 'tables', 'wire', 'example', ...parts].map(
      (n) => `intransit_${n}.p4`,
    );
    const files = new Map(names.map((name) => [name, readFileSync(join(P4_DIR, name))]));
    await compile(files, 'intransit_pipeline.p4');
  });
});
