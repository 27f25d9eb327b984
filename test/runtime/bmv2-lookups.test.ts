import { afterAll, beforeAll, expect, test } from 'vitest';
import { slotCounter, slotMeter } from '../../src/backends/common/table-model.ts';
import type { V1modelPlan } from '../../src/backends/v1model/plan.ts';
import { v1modelReplacement } from '../../src/backends/v1model/replacement.ts';
import { type SlotOutcome, slotOutcomes } from '../../src/dataplane/abi.ts';
import { type Model, outputType } from '../../src/model/model.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { withVerdict } from '../../src/model/verdict.ts';
import { answerTables, interpretTables } from '../../src/passes/tables/interpret.ts';
import { sliceTables } from '../../src/passes/tables/slice.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { createBmv2Engine, planV1modelOrRefuse, requestFrame } from '../../src/runtime/bmv2/engine.ts';
import { exchange } from '../../src/runtime/bmv2/exchange.ts';
import { type Bmv2Session, openBmv2 } from '../../src/runtime/bmv2/session.ts';
import { Approximator } from '../../src/targets/approximation.ts';
import { decodePacket, framePayload } from '../../src/wire/index.ts';
import { exampleModel, exampleRows } from '../backends/v1model/examples.ts';
import { randomModels } from '../backends/v1model/random-models.ts';
import { bmv2Mismatches, describeWith, P4C, SWITCH } from '../backends/v1model/tools.ts';
import { intransit } from '../support/io.ts';
import { rowsOf } from '../support/models.ts';
import { random, randomRows } from '../support/random.ts';
import { perceptron, smallMlp } from '../support/small-models.ts';

const tables = { lowering: 'tables' } as const;

describeWith([P4C, SWITCH], 'layers as look-ups on BMv2', () => {
  test.each([
    ['digits-mlp', 200],
    ['traffic-mlp', 500],
  ] as const)('%s: %d rows without a mismatch', async (name, count) => {
    const model = await exampleModel(name);
    expect(await bmv2Mismatches(model, exampleRows(name, model, count), tables)).toBe(0);
  });

  test('a network of 10-32-16-3 with a verdict', async () => {
    const model = withVerdict(perceptron([10, 32, 16, 3], 7));
    expect(await bmv2Mismatches(model, randomRows(random(1), 200, 10), tables)).toBe(0);
  });

  test.each([
    ['in lanes', tables, 1500, 2],
    ['in fields of their own', { ...tables, lanes: 'off' }, 1500, 2],
    ['with entries as constants', { ...tables, weights: 'static' }, 600, 1],
  ] as const)('random small networks, sums %s', async (_, options, most, networks) => {
    let done = 0;
    for (const { seed, model } of randomModels(smallMlp, 60)) {
      const widths = model.layers.map((l) => ('weights' in l ? l.weights.length / l.bias.length : 0));
      const entries = 256 * (widths.reduce((a, b) => a + b, 0) + elementCount(outputType(model).shape));
      if (entries > most) continue;
      expect(await bmv2Mismatches(model, rowsOf(random(seed), model, 60), options), `seed ${seed}`).toBe(0);
      if (++done === networks) break;
    }
    expect(done).toBe(networks);
  });

  test('an approximated network: the integers of its own reference', async () => {
    const model = await exampleModel('traffic-mlp');
    const rows = exampleRows('traffic-mlp', model, 300);
    const range = { from: 0, to: model.layers.length, target: 'test', bits: 32 };
    const program = new Approximator(model, range, { rows }).uniform(16).program!;
    const engine = await createBmv2Engine(model, { ...tables, tables: program });
    try {
      const out = await engine.run(rows);
      const expected = Array.from({ length: 300 }, (_, r) =>
        interpretTables(program, rows.subarray(r * 16, (r + 1) * 16)),
      );
      expect([...out]).toEqual(expected.flat().map((q) => q & 0xff));
    } finally {
      await engine.close();
    }
  });

  test('sums that are compared: class and margin of their own reference', async () => {
    const model = withVerdict(await exampleModel('traffic-mlp'));
    const rows = exampleRows('traffic-mlp', model, 200);
    const range = { from: 0, to: model.layers.length, target: 'test', bits: 32 };
    const program = new Approximator(model, range, { rows }).uniform(16).program!;
    expect(program.comparedSums).toBeDefined();
    const engine = await createBmv2Engine(model, { ...tables, tables: program });
    try {
      const out = await engine.run(rows);
      const expected = Array.from({ length: 200 }, (_, r) => {
        const sums = interpretTables(program, rows.subarray(r * 16, (r + 1) * 16));
        const [first, second] = [...sums].sort((a, b) => b - a);
        const steps = Math.floor((first! - second!) / 2 ** program.comparedSums!.stepBits);
        return [sums.indexOf(first!), Math.min(255, steps)];
      });
      expect([...out]).toEqual(expected.flat());
    } finally {
      await engine.close();
    }
  });

  test('an approximated network through the command line', async () => {
    const rows = ['--input', 'examples/traffic-mlp.x.bin', '--rows', '100'];
    const calibrate = ['--calibrate', 'examples/traffic-mlp.x.bin', '--levels', '16'];
    const verify = ['verify', 'examples/traffic-mlp.onnx', '--on', 'bmv2', ...rows, ...calibrate];
    const done = await intransit(...verify, '--lowering', 'tables', '--json');
    expect(done.code, done.err).toBe(0);
    expect(JSON.parse(done.out)).toEqual({ bmv2: { rows: 100, elements: 700, mismatches: 0 } });
    const lanes = await intransit(...verify);
    expect(lanes).toMatchObject({ code: 1, err: expect.stringContaining('--lowering tables') });
  });

  test('parts of an approximated network, a switch each, together give what the whole gives', async () => {
    const model = await exampleModel('traffic-mlp');
    const rows = exampleRows('traffic-mlp', model, 120);
    const range = { from: 0, to: model.layers.length, target: 'test', bits: 32 };
    const { program, values } = new Approximator(model, range, { rows }).uniform(16);
    const whole = { program: program!, values: values! };
    let bytes: Uint8Array = rows;
    for (const [from, to] of [
      [0, 1],
      [1, 3],
    ] as const) {
      const part = sliceTables(whole, model, from, to);
      const engine = await createBmv2Engine(model, { ...tables, from, to, tables: part });
      try {
        bytes = await engine.run(bytes);
      } finally {
        await engine.close();
      }
    }
    const width = elementCount(model.input.shape);
    const expected = Array.from({ length: 120 }, (_, r) => [
      ...answerTables(program!, rows.subarray(r * width, (r + 1) * width)),
    ]).flat();
    expect([...bytes]).toEqual(expected);
  });

  test('verified and refused through the command line', async () => {
    const rows = ['--input', 'examples/traffic-mlp.x.bin', '--rows', '20'];
    const verify = [
      'verify',
      'examples/traffic-mlp.onnx',
      ...rows,
      '--lowering',
      'tables',
      '--layers',
      '2..',
    ];
    const wrong = await intransit(...verify, '--on', 'xdp');
    expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('--lowering') });
    const image = await intransit(
      'inspect',
      'examples/digits-cnn.onnx',
      '--target',
      'v1model',
      '--lowering',
      'tables',
    );
    expect(image).toMatchObject({ code: 1, err: expect.stringContaining('maxPool') });
  });
});

describeWith([P4C, SWITCH], 'versions of look-ups', () => {
  let session: Bmv2Session;
  let plan: V1modelPlan;
  const model = perceptron([4, 6, 3], 3);
  const other: Model = { ...perceptron([4, 6, 3], 4), file: 'other.json' };
  const row = Uint8Array.of(1, 100, 200, 255);

  beforeAll(async () => {
    plan = planV1modelOrRefuse(model, tables);
    session = await openBmv2(plan);
  });
  afterAll(() => session?.close());

  const answersOf = async (version: number, count: number): Promise<Uint8Array[]> => {
    const answers: Uint8Array[] = [];
    const asked = { ...plan, options: { ...plan.options, modelVersion: version } };
    await exchange(session, {
      count,
      file: model.file,
      frame: () => requestFrame(asked, row, 0),
      receive({ packet }) {
        answers.push(Uint8Array.from(decodePacket(framePayload(packet)!)!.activations));
      },
    });
    return answers;
  };
  const answerOf = async (version: number): Promise<Uint8Array> => (await answersOf(version, 1))[0]!;

  /** What became of the requests of a slot so far. */
  const outcomesOf = async (slot: number) => {
    const cells = await session.device.client.readAll([{ counterEntry: { counterId: slotCounter.id } }]);
    const count = (i: number) =>
      Number(cells[slotOutcomes.length * slot + i]!.counterEntry?.data?.packetCount ?? 0);
    const at = (outcome: SlotOutcome) => count(slotOutcomes.indexOf(outcome));
    return { computed: at('computed'), unsure: at('unsure'), shed: at('shed'), refused: at('refused') };
  };

  test('stand side by side, and one write flips the current one', async () => {
    const { install, makeCurrent } = v1modelReplacement(plan, other, { modelVersion: 2, slot: 1 });
    await session.device.client.write(install);
    const [first, second] = [interpret(model, row), interpret(other, row)];
    expect(first).not.toEqual(second);
    expect([await answerOf(1), await answerOf(2), await answerOf(0)]).toEqual([first, second, first]);
    await session.device.client.write([makeCurrent]);
    expect([await answerOf(1), await answerOf(2), await answerOf(0)]).toEqual([first, second, second]);
  });

  test('a version without its entries computes nothing', async () => {
    const third = v1modelReplacement(plan, model, { modelVersion: 3, slot: 7 });
    await session.device.client.write(third.install.slice(-1));
    expect(await answerOf(3)).toEqual(row);
    expect(elementCount(model.input.shape)).toBe(row.length);
    // Its own slot has it, though look-ups without an entry forget the slot.
    expect(await outcomesOf(7)).toEqual({ computed: 0, unsure: 0, shed: 0, refused: 1 });
  });

  test('a version beyond its rate is left to other nodes, and no other version with it', async () => {
    const config = { cir: 1, cburst: 1, pir: 1, pburst: 1 };
    const entity = { meterEntry: { meterId: slotMeter.id, index: { index: 1 }, config } };
    await session.device.client.write([{ type: 'MODIFY', entity }]);
    const before = await outcomesOf(1);
    const answers = await answersOf(2, 20);
    const gave = (expected: Uint8Array) => answers.filter((a) => Buffer.compare(a, expected) === 0).length;
    const [computed, shed] = [gave(interpret(other, row)), gave(row)];
    expect([computed + shed, computed > 0, shed > 0]).toEqual([20, true, true]);
    expect(await outcomesOf(1)).toEqual({ ...before, computed: before.computed + computed, shed });
    expect(await answersOf(1, 20)).toEqual(Array(20).fill(interpret(model, row)));
  });

  test('another network is refused', () => {
    const other = perceptron([4, 7, 3], 4);
    expect(() => v1modelReplacement(plan, other, { modelVersion: 2, slot: 1 })).toThrow(
      'layers are not those',
    );
  });
});
