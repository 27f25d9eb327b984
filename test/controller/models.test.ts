import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Agent } from '../../src/agent/index.ts';
import {
  outcomeCounter,
  slotCounter,
  slotMeter,
  weightsPlace,
} from '../../src/backends/common/table-model.ts';
import {
  type DeployError,
  type DeploymentInput,
  type DeployReport,
  deploy,
  parseDeployment,
  watch,
} from '../../src/controller/index.ts';
import { PROGRAM_SLOTS, slotOutcomes } from '../../src/dataplane/abi.ts';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import type { Model } from '../../src/model/model.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { MemoryDevice, P4Client, P4RuntimeServer } from '../../src/p4runtime/index.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import type { PortPacket } from '../../src/runtime/bmv2/dataplane.ts';
import { planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { decodePacket, framePayload, packetKinds } from '../../src/wire/index.ts';
import { startOn } from '../agent/controller.ts';
import { layNetwork } from '../agent/network.ts';
import { requestFrame } from '../support/frames.ts';
import { intransit, testFolder } from '../support/io.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';
import { WatchEvents } from '../support/watch-events.ts';
import { example, exampleModel, retrained, smallModel, writeDeployment, writeModel } from './files.ts';
import { memoryNodes } from './memory-nodes.ts';
import { codes, failureOf, type MemoryNode, switchSpec, testSwitch } from './support.ts';

const root = testFolder();
const openNode = memoryNodes();

/** Two shapes: `a` and its sibling `b` share a program, `c` is another. */
const a = smallModel(3);
const files: Readonly<Record<string, Model>> = {
  a,
  b: retrained(a, 5),
  c: smallModel(5),
  a2: retrained(a, 9),
};

type Listed = NonNullable<DeploymentInput['models']>[number];

interface Scene {
  readonly node: MemoryNode;
  file(models: readonly Listed[], change?: Partial<DeploymentInput>): string;
}

let scenes = 0;

async function scene(): Promise<Scene> {
  const folder = join(root, `scene-${scenes++}`);
  mkdirSync(folder);
  for (const [name, model] of Object.entries(files)) writeModel(folder, `${name}.json`, model);
  const node = await openNode();
  const devices: DeploymentInput['devices'] = [
    { name: 'host', kind: 'xdp', address: node.address, layers: '..', ports: [{ ingress: 1, egress: 2 }] },
  ];
  return {
    node,
    file: (models, change = {}) => writeDeployment(folder, { models: [...models], devices, ...change }),
  };
}

const three: readonly Listed[] = [
  { file: 'a.json', id: 1 },
  { file: 'b.json', id: 2 },
  {
    file: 'c.json',
    id: 3,
    placement: [{ device: 'host', layers: '..', steering: [{ nextLayer: 2, port: 4 }] }],
  },
];

const slots = ({ devices }: DeployReport) =>
  Object.fromEntries(devices[0]!.versions.map((v) => [`${v.modelId}/${v.version}`, v.slot]));
const currents = ({ devices }: DeployReport) =>
  Object.fromEntries(devices[0]!.models.map((m) => [m.id, m.current]));

describeWithTools(['clang'], 'a file that lists several models', () => {
  test('all come in one run, each shape with a program; nothing the second time', async () => {
    const s = await scene();
    const file = s.file(three);
    expect((await deploy(file, { dryRun: true })).outcome).toBe('would-change');
    expect([s.node.writes(), existsSync(file.replace('.json', '.state'))]).toEqual([0, false]);
    const report = await deploy(file);
    expect([report.outcome, report.model, report.models.map((m) => [m.name, m.id])]).toEqual([
      'deployed',
      undefined,
      [
        ['a', 1],
        ['b', 2],
        ['c', 3],
      ],
    ]);
    expect(slots(report)).toEqual({ '1/1': 0, '2/1': 1, '3/1': 16 });
    expect(currents(report)).toEqual({ 1: 1, 2: 1, 3: 1 });
    s.node.writes();
    expect([(await deploy(file)).outcome, s.node.writes()]).toEqual(['unchanged', 0]);
  });

  test('one changes, goes back, goes away, and comes again; nobody touches the others', async () => {
    const s = await scene();
    await deploy(s.file(three));
    const others = () =>
      s.node.device.applied
        .splice(0)
        .flatMap(({ entity }) => weightsPlace(entity.tableEntry?.tableId ?? 0)?.slot ?? []);
    others();
    const next = [{ ...three[0]!, file: 'a2.json', version: 2 }, ...three.slice(1)];
    const replaced = await deploy(s.file(next));
    expect([replaced.outcome, replaced.models.map((m) => m.previous)]).toEqual([
      'replaced',
      [1, undefined, undefined],
    ]);
    expect([currents(replaced), slots(replaced)]).toEqual([
      { 1: 2, 2: 1, 3: 1 },
      { '1/2': 2, '2/1': 1, '3/1': 16 },
    ]);
    expect(new Set(others())).toEqual(new Set([0, 2]));
    // Those that never changed have nothing to go back to.
    const back = await deploy(s.file(next), { rollback: true });
    expect([currents(back), back.models.map((m) => m.id)]).toEqual([{ 1: 1, 2: 1, 3: 1 }, [1]]);
    expect(codes(await failureOf(deploy(s.file(next), { rollback: true, only: 'b' })))).toEqual([
      'no-previous',
    ]);
    expect(codes(await failureOf(deploy(s.file(next), { only: 'z' })))).toEqual(['no-such-model']);
    const less = await deploy(s.file(next), { remove: true, only: 'c' });
    expect([less.outcome, currents(less)]).toEqual(['removed', { 1: 1, 2: 1, 3: undefined }]);
    expect(less.devices[0]!.tables.find((t) => t.table === 'steer')!.entries).toBe(0);
    expect(less.devices[0]!.tables.find((t) => t.table === 'ports')!.entries).toBe(1);
    expect((await deploy(s.file(three))).outcome).toBe('deployed');
    // One that the file lists no more goes.
    const fewer = await deploy(s.file(three.slice(1)));
    expect([fewer.outcome, slots(fewer)]).toEqual(['deployed', { '2/1': 1, '3/1': 16 }]);
    const gone = await deploy(s.file(three), { remove: true });
    expect([gone.outcome, slots(gone)]).toEqual(['removed', {}]);
    expect(gone.devices[0]!.tables.every((t) => t.entries === 0)).toBe(true);
  });

  test('what cannot be is refused before anything is written', async () => {
    const s = await scene();
    const at = (slot: number) => ({ placement: [{ device: 'host', layers: '..', slot }] });
    const refused = async (models: readonly Listed[]) => {
      const { diagnostics } = await failureOf(deploy(s.file(models)));
      expect(s.node.writes()).toBe(0);
      return diagnostics.map((d) => [d.message, d.remedy]);
    };
    expect(await refused([three[0]!, { ...three[2]!, ...at(3) }])).toEqual([
      [
        'slot 3 of device host is not to be had for version 1 of model 3: its program has the slots 16..31',
        'name one of them, or none',
      ],
    ]);
    const full = Array.from({ length: 17 }, (_, i) => ({ ...three[0]!, name: `a${i}`, id: i + 1 }));
    expect(await refused(full)).toEqual([
      [
        'device host has no slot for version 1 of model 17: each of the 16 that its program has for this shape holds a current version',
        expect.stringContaining('another device'),
      ],
    ]);
    await deploy(s.file([{ ...three[0]!, ...at(7) }, three[1]!]));
    s.node.writes();
    expect(await refused([{ ...three[0]!, ...at(7), file: 'a2.json', version: 2 }, three[1]!])).toEqual([
      [
        'slot 7 of device host is not to be had for version 2 of model 1: it holds version 1 of model 1',
        'name a free slot, or none',
      ],
    ]);
  });

  test('what fails midway leaves none of them', async () => {
    const s = await scene();
    s.node.device.refuses = ({ entity, type }) =>
      type === 'MODIFY' &&
      weightsPlace(entity.tableEntry?.tableId ?? 0)?.slot === 16 &&
      entity.tableEntry?.action !== undefined;
    const error = (await failureOf(deploy(s.file(three)))) as DeployError;
    expect(codes(error)).toEqual(['device-failed']);
    expect(error.report!.outcome).toBe('failed');
    expect(slots(error.report!)).toEqual({});
    s.node.device.refuses = () => false;
    const report = await deploy(s.file(three));
    expect([report.outcome, currents(report)]).toEqual(['deployed', { 1: 1, 2: 1, 3: 1 }]);
  });

  test('a file of one model becomes one of several, and back', async () => {
    const s = await scene();
    await deploy(s.file([], { models: undefined, model: { file: 'a.json' } } as Partial<DeploymentInput>));
    s.node.writes();
    const report = await deploy(s.file(three));
    expect([report.outcome, slots(report)]).toEqual(['deployed', { '1/1': 0, '2/1': 1, '3/1': 16 }]);
    // What came beside a program took nothing away from it.
    expect(s.node.device.commits).toBe(2);
    const alone = await deploy(
      s.file([], { models: undefined, model: { file: 'a.json' } } as Partial<DeploymentInput>),
    );
    expect(slots(alone)).toEqual({ '1/1': 0 });
  });

  test('a watched file changes, adds and drops models, and brings all to a device that comes back', async () => {
    const s = await scene();
    const events = new WatchEvents();
    const watcher = await watch(s.file(three.slice(0, 2)), {
      ...{ pollMs: 20, retryMs: [50, 200] },
      onEvent: events.add,
    });
    try {
      expect(currents((await events.next('deployed')).report)).toEqual({ 1: 1, 2: 1 });
      const changed = [{ ...three[0]!, file: 'a2.json', version: 2 }, three[2]!];
      s.file(changed);
      await events.next('changed');
      const { report } = await events.next('deployed');
      expect([report.outcome, currents(report), slots(report)]).toEqual([
        'replaced',
        { 1: 2, 3: 1 },
        { '1/2': 2, '3/1': 16 },
      ]);
      // Two of one id: what the file said last goes on.
      s.file([three[0]!, { ...three[2]!, id: 1 }]);
      expect((await events.next('failed')).diagnostics.map((d) => d.code)).toEqual(['json-field']);
      s.file(changed);
      await s.node.server.close();
      expect((await events.next('away', 'host')).diagnostics.map((d) => d.code)).toEqual([
        'device-unreachable',
      ]);
      const server = new P4RuntimeServer();
      server.addDevice(new MemoryDevice(), { deviceId: 1n });
      await server.listen({ address: s.node.address });
      try {
        const back = await events.next('restored', 'host');
        expect([currents(back.report), Object.keys(slots(back.report))]).toEqual([
          { 1: 2, 3: 1 },
          ['1/2', '3/1'],
        ]);
      } finally {
        await watcher.close();
        await server.close();
      }
    } finally {
      await watcher.close();
    }
  });

  test('the command line names a model, and says what became of each', async () => {
    const s = await scene();
    const file = s.file(three);
    const { code, out } = await intransit('deploy', file);
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(
        /model 1, version 1; model 2, version 1; model 3, version 1: deployed on 1 device[\s\S]*1: 0\.\.2, 2: 0\.\.2, 3: 0\.\.2/,
      ),
    ]);
    const removed = await intransit('deploy', file, '--remove', '--model', '2', '--json');
    expect(removed.code).toBe(0);
    expect(JSON.parse(removed.out)).toMatchObject({ outcome: 'removed', models: [{ name: 'b', id: 2 }] });
    expect((await intransit('deploy', file, '--watch', '--model', '2')).code).toBe(2);
  });
});

test.each([
  [
    {
      models: [
        { file: 'm', id: 4 },
        { file: 'n', id: 4 },
      ],
    },
    ['models[1].id: expected one of its own: 4 is there twice'],
  ],
  [
    { models: [{ file: 'x/m.json' }, { file: 'm.onnx', id: 2 }] },
    ['models[1].name: expected one of its own: m is there twice'],
  ],
  [{}, ['model: expected a model here, or several under models']],
  [{ model: { file: 'm' }, models: [{ file: 'n', id: 2 }] }, ['models: expected either model or models']],
  [{ models: [] }, ['models: expected at least one model']],
  [
    { plan: 'p.json', models: [{ file: 'n' }] },
    ['plan: expected none beside models: each of them names its own'],
  ],
  [
    { models: [{ file: 'n', placement: [{ device: 's2' }] }] },
    ['models[0].placement[0].device: expected the name of a device of this file, not s2'],
  ],
  [
    {
      models: [
        { file: 'm', id: 1, placement: [{ device: 's1', slot: 3 }] },
        { file: 'n', id: 2, placement: [{ device: 's1', slot: 3 }] },
      ],
    },
    ['models[1].placement[0].slot: expected one of its own: slot 3 of s1 is there twice'],
  ],
  [
    { models: [{ file: 'm', placement: [{ device: 's1', slot: 256 }] }] },
    ['models[0].placement[0].slot: expected a whole number in 0..255'],
  ],
  [
    { models: [{ file: 'm', placement: [{ device: 's1', steering: [{ nextLayer: 1 }] }] }] },
    ['models[0].placement[0].steering[0]: expected either port or drop'],
  ],
])('%j is refused with its place', (change, messages) => {
  const device = { name: 's1', kind: 'xdp', address: '127.0.0.1:1' };
  const text = JSON.stringify({ format: 'intransit-deployment', version: 1, devices: [device], ...change });
  let found: readonly string[] = [];
  try {
    parseDeployment(text, join(root, 'd.json'));
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    found = error.diagnostics.map((d) => d.message);
  }
  expect(found).toEqual(messages);
});

describeWith(loading, 'the example of two models', () => {
  describeWithTools(['p4c-bm2-ss', 'simple_switch_grpc', 'clang'], 'on a switch and an agent', () => {
    test('each is computed where it is placed, one of them on both', async () => {
      const network = layNetwork(2);
      const bmv2 = await testSwitch();
      let agent: Agent | undefined;
      try {
        agent = await startOn(network);
        const text = readFileSync(example('deployments/two-models.json'), 'utf8')
          .replace('10.0.0.1:9559', bmv2.address)
          .replace('10.0.0.2:9559', agent.address)
          .replaceAll('"../', `"${example('')}/`);
        const file = join(root, 'two-models.json');
        writeFileSync(file, text);
        const report = await deploy(file);
        expect(report.outcome).toBe('deployed');
        expect(report.devices.map((d) => [d.name, d.models.map((m) => [m.id, m.layers, m.current])])).toEqual(
          [
            ['leaf', [[1, { from: 0, to: 1 }, 1]]],
            [
              'gateway',
              [
                [1, { from: 1, to: 2 }, 1],
                [2, { from: 0, to: 3 }, 1],
              ],
            ],
          ],
        );
        const [inner, outer] = network.ports;
        for (const [id, name] of [
          [1, 'digits-mlp'],
          [2, 'traffic-mlp'],
        ] as const) {
          const model = await exampleModel(`${name}.onnx`);
          const row = readFileSync(example(`${name}.x.bin`)).subarray(0, elementCount(model.input.shape));
          const whole = requestFrame(planOrRefuse(model, { modelId: id }), row, { modelVersion: 0 });
          const left = new Promise<PortPacket>((resolve, reject) => {
            bmv2.dataplane.listen(resolve, reject);
          });
          bmv2.dataplane.send(1, whole);
          const { packet } = await left;
          inner!.socket.send(packet);
          const [frame] = await outer!.socket.until(1);
          const answer = decodePacket(framePayload(frame!)!)!;
          expect([answer.header.modelId, answer.header.kind]).toEqual([id, packetKinds.result]);
          expect(answer.activations).toEqual(Buffer.from(interpret(model, row)));
        }
        expect((await deploy(file)).outcome).toBe('unchanged');
        expect((await deploy(file, { remove: true })).outcome).toBe('removed');
      } finally {
        await agent?.remove();
        await bmv2.close();
        network[Symbol.dispose]();
      }
    });
  });
});

/** Rounds in which one model goes and comes again while the others compute. `INTRANSIT_CHURN=60` takes a minute. */
const ROUNDS = Number(process.env.INTRANSIT_CHURN ?? 2);
/** A round takes several seconds beside other work. */
const CHURN_MS = 300_000 + 10_000 * ROUNDS;

describeWithTools(['p4c-bm2-ss', 'simple_switch_grpc'], 'sixteen models of four shapes on one switch', () => {
  test('they come and go, and no packet of the others is lost or wrong', { timeout: CHURN_MS }, async () => {
    const folder = join(root, 'sixteen');
    mkdirSync(folder);
    const all = Array.from({ length: 16 }, (_, i) => {
      const model = retrained(smallModel(2 + (i % 4)), 1 + i);
      writeModel(folder, `m${i}.json`, model);
      return { id: i + 1, model };
    });
    const bmv2 = await testSwitch();
    const client = new P4Client({ address: bmv2.address, deviceId: 1, electionId: 0n });
    try {
      const file = writeDeployment(folder, {
        models: all.map(({ id }, i) => ({ file: `m${i}.json`, id })),
        devices: [switchSpec('s', bmv2.address, '..')],
      });
      const report = await deploy(file);
      expect(report.outcome).toBe('deployed');
      // A slot of each shape is free, so that any of its models can be replaced.
      const programs = report.devices[0]!.versions.map((v) => Math.floor(v.slot / PROGRAM_SLOTS));
      expect([0, 1, 2, 3].map((p) => programs.filter((q) => q === p).length)).toEqual([4, 4, 4, 4]);
      const seen = new Map<number, Uint8Array>();
      let received = 0;
      bmv2.dataplane.listen(
        ({ packet }) => {
          const { header, activations } = decodePacket(framePayload(packet)!)!;
          received++;
          if (header.kind === packetKinds.result) seen.set(header.sequence, activations);
        },
        (error) => expect.fail(error.message),
      );
      const asked = new Map<number, (typeof all)[number]>();
      const rowOf = (n: number) => Uint8Array.of(n, 7 * n, 31 + n, 255 - n);
      const send = (to: (typeof all)[number]) => {
        const n = asked.size;
        asked.set(n, to);
        const plan = planOrRefuse(to.model, { modelId: to.id });
        bmv2.dataplane.send(1, requestFrame(plan, rowOf(n), { sequence: n, modelVersion: 0 }));
      };
      const settled = async () => {
        for (let i = 0; i < 600 && received < asked.size; i++) await sleep(50);
        const wrong = [...asked].filter(
          ([n, { model }]) =>
            Buffer.compare(seen.get(n) ?? Buffer.alloc(0), interpret(model, rowOf(n))) !== 0,
        );
        expect([received, wrong.map(([n, { id }]) => `${n} of model ${id}`)]).toEqual([asked.size, []]);
      };
      for (let n = 0; n < 160; n++) {
        send(all[n % 16]!);
        // Fewer at once than the egress queue of BMv2 holds.
        if (n % 40 === 39) await settled();
      }
      // The models of one shape that come and go leave the others alone.
      const [goes, ...stay] = all;
      let busy = true;
      const traffic = (async () => {
        for (let n = 0; busy; n++) {
          for (let i = 0; i < 5; i++) send(stay[(5 * n + i) % stay.length]!);
          await sleep(10);
        }
      })();
      for (let round = 0; round < ROUNDS; round++) {
        const began = performance.now();
        expect((await deploy(file, { remove: true, only: `${goes!.id}` })).outcome).toBe('removed');
        expect((await deploy(file, { only: `${goes!.id}` })).outcome).toBe('deployed');
        if (ROUNDS > 2) await sleep(Math.max(0, 1000 - (performance.now() - began)));
      }
      busy = false;
      await traffic;
      send(goes!);
      await settled();
      // Every packet is counted once for the device, and once for its model.
      await client.connect();
      const count = async (counterId: number) =>
        (await client.readAll([{ counterEntry: { counterId } }])).map((e) =>
          Number(e.counterEntry?.data?.packetCount ?? 0n),
        );
      expect((await count(outcomeCounter.id))[0]).toBe(asked.size);
      const cells = await count(slotCounter.id);
      const slotOf = new Map((await deploy(file)).devices[0]!.versions.map((v) => [v.modelId, v.slot]));
      const sent = (id: number) => [...asked.values()].filter((m) => m.id === id).length;
      expect(stay.map(({ id }) => cells[slotOutcomes.length * slotOf.get(id)!])).toEqual(
        stay.map(({ id }) => sent(id)),
      );
      expect(cells.reduce((sum, n) => sum + n, 0)).toBe(asked.size);
      // A budget by the slot: what is beyond it goes on as it came, and is counted as shed.
      const controller = new P4Client({ address: bmv2.address, deviceId: 1, electionId: 9n });
      await controller.connect();
      const own = slotOf.get(goes!.id)!;
      const config = { cir: 1n, cburst: 5n, pir: 1n, pburst: 5n };
      await controller.modify([{ meterEntry: { meterId: slotMeter.id, index: { index: own }, config } }]);
      controller.close();
      const before = { received, answered: seen.size };
      for (let n = 0; n < 40; n++) send(goes!);
      for (let i = 0; i < 600 && received < asked.size; i++) await sleep(50);
      const within = seen.size - before.answered;
      expect([received - before.received, within < 30, within > 0]).toEqual([40, true, true]);
      const shed = (await count(slotCounter.id))[slotOutcomes.length * own + slotOutcomes.indexOf('shed')];
      expect(shed).toBe(40 - within);
      console.log('sixteen models on a switch', JSON.stringify({ sent: asked.size, rounds: ROUNDS }));
    } finally {
      client.close();
      await bmv2.close();
    }
  });
});
