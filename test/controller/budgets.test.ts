import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { Agent } from '../../src/agent/index.ts';
import { slotCounter, slotMeter } from '../../src/backends/common/table-model.ts';
import { type DeploymentInput, type DeployReport, deploy } from '../../src/controller/index.ts';
import { slotOutcomes } from '../../src/dataplane/abi.ts';
import { P4Client } from '../../src/p4runtime/index.ts';
import { planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { startOn } from '../agent/controller.ts';
import { layNetwork, type Network } from '../agent/network.ts';
import { answersIn } from '../support/budgets.ts';
import { requestFrame } from '../support/frames.ts';
import { intransit, testFolder } from '../support/io.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';
import { retrained, smallModel, writeDeployment, writeModel } from './files.ts';
import { memoryNodes } from './memory-nodes.ts';
import { codes, failureOf, type TestSwitch, testSwitch } from './support.ts';

const root = testFolder();
const openNode = memoryNodes();

const model = smallModel(3);
type Device = DeploymentInput['devices'][number];
type Budget = NonNullable<NonNullable<DeploymentInput['model']>['budget']>;

let scenes = 0;

/** Model 1 on one device, with a budget or without. */
function scene(device: Partial<Device> & Pick<Device, 'kind' | 'address'>) {
  const folder = join(root, `scene-${scenes++}`);
  mkdirSync(folder);
  writeModel(folder, 'a.json', model);
  writeModel(folder, 'b.json', retrained(model, 5));
  return (budget?: Budget, version = 1): string =>
    writeDeployment(folder, {
      model: { file: version === 1 ? 'a.json' : 'b.json', version, ...(budget && { budget }) },
      devices: [{ name: 'd', layers: '..', ports: [{ ingress: 1, egress: 2 }], ...device }],
    });
}

const budgets = ({ devices }: DeployReport) => devices[0]!.versions.map((v) => [v.version, v.slot, v.budget]);

describeWithTools(['clang'], 'a budget in a deployment file', () => {
  async function onMemory() {
    const node = await openNode();
    return { node, file: scene({ kind: 'xdp', address: node.address }) };
  }

  test('is foretold, written with its version, changed alone, and taken away', async () => {
    const { node, file } = await onMemory();
    const steps = async (path: string, dryRun = false) =>
      (await deploy(path, { dryRun })).devices[0]!.steps.filter((s) => s.outcome === 'would');
    const first = file({ perSecond: 250 });
    expect((await steps(first, true)).map((s) => s.detail)).toContain(
      'budget of version 1 from none to 250/s, 25 at once',
    );
    expect(node.writes()).toBe(0);
    expect(budgets(await deploy(first))).toEqual([[1, 0, { perSecond: 250, burst: 25 }]]);
    node.writes();
    expect([(await deploy(first)).outcome, node.writes()]).toEqual(['unchanged', 0]);
    const other = file({ perSecond: 7, burst: 2 });
    expect(await steps(other, true)).toEqual([
      {
        step: 'version',
        outcome: 'would',
        detail: 'budget of version 1 from 250/s, 25 at once to 7/s, 2 at once',
      },
      { step: 'forwarding', outcome: 'would', detail: '1 entries of all tables would change' },
    ]);
    const changed = await deploy(other);
    expect([changed.outcome, budgets(changed), node.writes()]).toEqual([
      'deployed',
      [[1, 0, { perSecond: 7, burst: 2 }]],
      1,
    ]);
    // The next version has it too, in a slot of its own; the cell of the one that goes is as it was before.
    expect(budgets(await deploy(file({ perSecond: 7, burst: 2 }, 2)))).toEqual([
      [2, 1, { perSecond: 7, burst: 2 }],
    ]);
    expect(await cells(node.address)).toEqual([1]);
    expect(budgets(await deploy(file(undefined, 2)))).toEqual([[2, 1, undefined]]);
    expect(await cells(node.address)).toEqual([]);
    await deploy(file({ perSecond: 9 }, 2));
    await deploy(file({ perSecond: 9 }, 2), { remove: true });
    expect(await cells(node.address)).toEqual([]);
  });

  test('that somebody has changed on a device is mended', async () => {
    const { node, file } = await onMemory();
    await deploy(file({ perSecond: 250 }));
    await setCell(node.address, 0, 3n);
    const mended = await deploy(file({ perSecond: 250 }));
    expect([mended.outcome, budgets(mended)]).toEqual(['deployed', [[1, 0, { perSecond: 250, burst: 25 }]]]);
    await deploy(file());
    await setCell(node.address, 0, 3n);
    expect(budgets(await deploy(file()))).toEqual([[1, 0, undefined]]);
    // Of a slot that nothing used, and that the next version takes.
    await setCell(node.address, 1, 3n);
    expect(budgets(await deploy(file(undefined, 2)))).toEqual([[2, 1, undefined]]);
  });

  test('that a device refuses leaves the version as it was', async () => {
    const { node, file } = await onMemory();
    await deploy(file({ perSecond: 250 }));
    node.device.refuses = ({ entity }) => entity.meterEntry?.config?.pir === 4n;
    const error = await failureOf(deploy(file({ perSecond: 4 })));
    expect(codes(error)).toEqual(['device-failed']);
    node.device.refuses = () => false;
    expect((await deploy(file({ perSecond: 250 }))).outcome).toBe('unchanged');
  });

  test('of no number that can be is refused with its place', async () => {
    const { file } = await onMemory();
    for (const budget of [{ perSecond: 0 }, { perSecond: 2e9 }, { perSecond: 1, burst: 0 }, { burst: 3 }]) {
      const { code, err } = await intransit('deploy', file(budget as Budget));
      expect([code, err]).toEqual([1, expect.stringMatching(/model\.budget\.(perSecond|burst): expected/)]);
    }
  });
});

/** Slots whose cell has rates. */
async function cells(address: string): Promise<readonly number[]> {
  const client = new P4Client({ address, deviceId: 1, electionId: 0n });
  try {
    await client.connect();
    const read = await client.readAll([{ meterEntry: { meterId: slotMeter.id } }]);
    return read.flatMap(({ meterEntry }) =>
      meterEntry?.config === undefined ? [] : [Number(meterEntry.index?.index ?? 0)],
    );
  } finally {
    client.close();
  }
}

async function setCell(address: string, index: number, rate: bigint): Promise<void> {
  const client = new P4Client({ address, deviceId: 1, electionId: 9n });
  try {
    await client.connect();
    const config = { cir: rate, cburst: 1n, pir: rate, pburst: 1n };
    await client.modify([{ meterEntry: { meterId: slotMeter.id, index: { index }, config } }]);
  } finally {
    client.close();
  }
}

const SENT = 40;
const BURST = 5;
const ROW = Uint8Array.of(1, 2, 3, 4);
const frame = (sequence: number) => requestFrame(planOrRefuse(model, {}), ROW, { sequence, modelVersion: 0 });

const answeredOf = (frames: readonly Uint8Array[]): number => answersIn(frames, SENT, ROW);

/** The way of a budget on a device that computes: none, one, another, none again, and what is counted. */
async function livesThrough(
  address: string,
  file: (budget?: Budget) => string,
  answered: () => Promise<number>,
): Promise<void> {
  await deploy(file());
  expect(await answered()).toBe(SENT);
  const tight = file({ perSecond: 1, burst: BURST });
  expect(budgets(await deploy(tight))).toEqual([[1, 0, { perSecond: 1, burst: BURST }]]);
  const within = await answered();
  expect(within).toBeGreaterThanOrEqual(BURST);
  // One more for each second that the machine takes.
  expect(within).toBeLessThan(SENT / 2);
  expect((await deploy(tight)).outcome).toBe('unchanged');
  // Any rate is read back as it was written.
  for (const perSecond of [2, 3, 7, 999, 12_345, 1_000_003, 123_456_789, 1_000_000_000])
    expect(budgets(await deploy(file({ perSecond, burst: 100 })))).toEqual([
      [1, 0, { perSecond, burst: 100 }],
    ]);
  expect(await answered()).toBe(SENT);
  expect(budgets(await deploy(file()))).toEqual([[1, 0, undefined]]);
  expect(await answered()).toBe(SENT);
  const client = new P4Client({ address, deviceId: 1, electionId: 0n });
  try {
    await client.connect();
    const read = await client.readAll([{ counterEntry: { counterId: slotCounter.id } }]);
    const counts = slotOutcomes.map((_, i) => Number(read[i]!.counterEntry?.data?.packetCount ?? 0n));
    expect(counts).toEqual([3 * SENT + within, 0, SENT - within, 0]);
  } finally {
    client.close();
  }
}

describeWith(loading, 'a budget of a deployment', () => {
  let network: Network | undefined;
  let agent: Agent | undefined;
  afterEach(async () => {
    await agent?.remove();
    network?.[Symbol.dispose]();
  });

  test('sheds on an agent what is beyond it', async () => {
    network = layNetwork(2);
    agent = await startOn(network);
    const [a, b] = network.ports.map(({ socket }) => socket);
    await livesThrough(agent.address, scene({ kind: 'xdp', address: agent.address }), async () => {
      for (let n = 0; n < SENT; n++) a!.send(frame(n));
      return answeredOf(await b!.until(SENT));
    });
  });
});

describeWithTools(['p4c-bm2-ss', 'simple_switch_grpc'], 'a budget of a deployment', () => {
  let bmv2: TestSwitch | undefined;
  afterEach(() => bmv2?.close());

  test('sheds on a switch what is beyond it', async () => {
    bmv2 = await testSwitch();
    const { address } = bmv2;
    const own = bmv2;
    let arrived: Uint8Array[] = [];
    let listening = false;
    await livesThrough(address, scene({ kind: 'v1model', address }), async () => {
      arrived = [];
      if (!listening)
        own.dataplane.listen(
          ({ packet }) => arrived.push(packet),
          (error) => expect.fail(error.message),
        );
      listening = true;
      for (let n = 0; n < SENT; n++) own.dataplane.send(1, frame(n));
      for (let i = 0; i < 400 && arrived.length < SENT; i++) await sleep(25);
      return answeredOf(arrived);
    });
  });
});
