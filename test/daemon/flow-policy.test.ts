/** Policies of flows: what is refused, who gets a device, and real devices that classify by one. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { insertion } from '../../src/backends/common/entries.ts';
import { classes } from '../../src/backends/common/flow/tables.ts';
import type { Fault } from '../../src/daemon/manifests/index.ts';
import { Refused } from '../../src/daemon/manifests/index.ts';
import { FlowPolicies } from '../../src/daemon/network/flow-policies.ts';
import { admitPlaceable, type Reconciler } from '../../src/daemon/network/index.ts';
import { ModelLibrary, ProgramLibrary } from '../../src/daemon/network/models.ts';
import { networkOf } from '../../src/daemon/network/network.ts';
import { Objects } from '../../src/daemon/objects/index.ts';
import type { Model } from '../../src/model/model.ts';
import { P4Client } from '../../src/p4runtime/index.ts';
import { classEntry } from '../../src/runtime/xdp/flow-actions.ts';
import { writeModel } from '../controller/files.ts';
import { tcp4, udp4 } from '../features/packets.ts';
import { type ActingDevice, agentDevice, switchDevice } from '../flow/acting-device.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';
import { modelOf } from '../support/models.ts';
import { TestNetwork } from './network-support.ts';
import { overwrite } from './overwrite.ts';
import { scenes } from './scene.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 240_000 });

const { network, folder } = scenes();
const grid = { element: 'uint8', zeroPoint: 0, scale: 1 } as const;

/** Of the features of traffic-16: class 0 is what is TCP, class 2 what is not. @param swap the other way round */
function classifier(swap = false): Model {
  const [tcp, portHigh, portLow] = [6, 10, 11];
  const read = swap ? [portLow, portHigh, tcp] : [tcp, portHigh, portLow];
  return modelOf({ ...grid, shape: [16] }, [
    {
      kind: 'dense',
      weights: read.map((input) => Array.from({ length: 16 }, (_, i) => (i === input ? 1 : 0))),
      weightScale: 1,
      output: grid,
    },
  ]);
}

const files = { v1: classifier(), v2: classifier(true) };
const fileOf = (name: keyof typeof files) => writeModel(folder, `flows-${name}.json`, files[name]);
const POLICY = { model: 'flows', features: 'traffic-16', devices: ['d'] };
const MODEL = ['Model', 'flows', { id: 3, classes: ['web', 'other', 'voice'] }] as const;

const readyOf = (net: TestNetwork, name: string, reason: string) =>
  net.until(
    'FlowPolicy',
    name,
    ({ status }) => status.conditions.some((c) => c.type === 'Ready' && c.reason === reason),
    100_000,
  );

describe('a policy of flows', () => {
  const device = (name: string, more: object = {}) =>
    ['Device', name, { target: 'xdp', address: `unix:/nowhere/${name}.sock`, ...more }] as const;

  async function refusal(policy: object, more: object = {}): Promise<readonly Fault[]> {
    const net = network();
    const documents = [
      device('d', more),
      MODEL,
      await net.version('flows', 1, fileOf('v1')),
      ['FlowPolicy', 'p', { ...POLICY, ...policy }] as const,
    ].map(([kind, name, spec]) => ({
      ...{ apiVersion: 'intransit.dev/v1alpha1', kind, metadata: { name }, spec },
    }));
    try {
      await new Objects(net.store, admitPlaceable(net.store)).apply(documents, { actor: 'test' });
    } catch (error) {
      if (error instanceof Refused) return error.faults;
      throw error;
    }
    return [];
  }

  it.each([
    ['features that there are not', { features: 'traffic-17' }, 'spec.features', /traffic-16/],
    [
      'a class that there is not',
      { actions: [{ class: 'x', action: 'drop' }] },
      'spec.actions.0.class',
      /web, other, voice/,
    ],
    ['a number of no class', { actions: [{ class: 3, action: 'drop' }] }, 'spec.actions.0.class', /0 to 2/],
    [
      'two ways of a class',
      {
        actions: [
          { class: 0, action: 'drop' },
          { class: 'web', action: 'redirect', port: 1 },
        ],
      },
      'spec.actions.1.action',
      /way already/,
    ],
    ['a device that there is not', { devices: ['e'] }, 'spec.devices.0', /Device/],
    ['a model that there is not', { model: 'm' }, 'spec.model', /Model/],
  ])('is refused with %s', async (_, policy, path, text) => {
    const [first, ...others] = await refusal(policy);
    expect(others).toEqual([]);
    expect(first!.path.join('.')).toBe(path);
    expect(`${first!.message} ${first!.remedy}`).toMatch(text);
  });

  it('is refused with a device that routes, or does not classify', async () => {
    const routes = [{ prefix: '10.0.0.0/8', port: 1 }];
    const [routed] = await refusal({}, { forwarding: { ports: [], routes } });
    expect(`${routed!.message} ${routed!.remedy}`).toMatch(/Device\/d has routes.*spec.forwarding.ports/);
    expect((await refusal({}, { target: 'psa' }))[0]!.message).toMatch(/psa does not classify/);
    expect(await refusal({ actions: [{ class: 'voice', action: 'mark', dscp: 46 }] })).toEqual([]);
  });

  it('waits for a device that classifies by another one, and for a version', async () => {
    const net = network();
    await net.apply(device('d'), MODEL, ['FlowPolicy', 'a', POLICY]);
    net.start();
    await readyOf(net, 'a', 'Refused');
    await net.apply(await net.version('flows', 1, fileOf('v1')), ['FlowPolicy', 'b', POLICY]);
    await readyOf(net, 'a', 'Progressing');
    await net.apply(['Service', 's', { model: 'flows', nodes: ['d'] }]);
    const { status: refused } = await net.condition('Service', 's', 'Ready', 'Unplaceable');
    expect(refused.conditions.map((c) => c.message).join()).toMatch(/d classifies flows by FlowPolicy\/a/);
    const { status } = await readyOf(net, 'b', 'Conflict');
    expect(status.conditions.find((c) => c.type === 'Ready')?.message).toMatch(
      /FlowPolicy\/a.*one of the two/,
    );
    expect(status.devices).toEqual([{ name: 'd', ready: false, why: 'it classifies by FlowPolicy/a' }]);
  });
});

describe('the goal of a device', () => {
  it('is another one with each that changes what the device is to hold', async () => {
    const net = network();
    const policies = new FlowPolicies(new ModelLibrary(net.store.blobs), new ProgramLibrary());
    const goal = async () => {
      const [plan] = await policies.plan(networkOf((await net.objects.list()).objects));
      return plan!.goals.get('d')!;
    };
    const actions = [{ class: 'voice', action: 'drop' }];
    const device = ['Device', 'd', { target: 'xdp', address: 'unix:/nowhere/d.sock' }] as const;
    const first = await net.version('flows', 1, fileOf('v1'));
    await net.apply(device, MODEL, first, ['FlowPolicy', 'p', { ...POLICY, actions }]);
    const goals = [await goal(), await goal()];
    expect(goals[1]!.key).toBe(goals[0]!.key);
    // The name of the class is that of another number.
    await net.apply(['Model', 'flows', { id: 3, classes: ['voice', 'other', 'web'] }]);
    goals.push(await goal());
    expect(goals[2]!.entities).not.toEqual(goals[1]!.entities);
    // The number of the version is that of other weights.
    await net.objects.delete([{ kind: 'ModelVersion', name: 'flows-1' }], { actor: 'test' });
    await net.apply(await net.version('flows', 1, fileOf('v2')));
    goals.push(await goal());
    expect(new Set(goals.map(({ key }) => key)).size).toBe(3);
  });
});

const DSCP = 46;
/** A flow a port; the client's ports are high, so that none of them says anything. */
const web = (flow: number) => tcp4({ destinationPort: 80, sourcePort: 40_000 + flow });
const voice = (flow: number) => udp4({ destinationPort: 53, sourcePort: 40_000 + flow });
const dscpOf = (frame: Buffer) => frame[15]! >> 2;

function classifying(target: string, open: () => Promise<ActingDevice>): void {
  let device: ActingDevice;
  let net: TestNetwork;
  let reconciler: Reconciler;
  beforeAll(async () => {
    device = await open();
    // It stays for all tests of its device.
    const own = join(folder, target);
    mkdirSync(own);
    net = new TestNetwork(own);
    await net.apply(
      [
        'Device',
        'd',
        { target, ...device.at, forwarding: { ports: [{ ingress: 1, egress: 2 }], routes: [] } },
      ],
      MODEL,
      await net.version('flows', 1, fileOf('v1')),
      [
        'FlowPolicy',
        'p',
        {
          ...POLICY,
          actions: [
            { class: 'web', action: 'redirect', port: 3 },
            { class: 'web', action: 'mark', dscp: DSCP },
            { class: 'voice', action: 'drop' },
          ],
        },
      ],
    );
    device.client.close();
    reconciler = net.start();
    await readyOf(net, 'p', 'InSync');
  });
  afterAll(async () => {
    await net?.close();
    await device?.close();
  });

  const through = async (frames: readonly Uint8Array[], expected: number) => {
    const out = await device.through(frames, expected);
    return { two: out[2].map(dscpOf), three: out[3].map(dscpOf) };
  };

  async function behind(work: (client: P4Client) => Promise<void>): Promise<void> {
    const { address, deviceId } = device.at;
    const client = new P4Client({ address, deviceId, electionId: 1n << 100n });
    try {
      await client.connect();
      await work(client);
    } finally {
      client.close();
    }
  }

  it('treats packets by their class, and tells what it counted', async () => {
    expect(await through([web(1), voice(1), web(1), voice(2)], 2)).toEqual({ two: [], three: [DSCP, DSCP] });
    const { status } = await net.until(
      'FlowPolicy',
      'p',
      ({ status }) => (status.classes?.[2]?.packets ?? 0) >= 2,
    );
    expect(status.classes?.map((c) => [c.name, c.packets])).toEqual([
      ['web', 2],
      ['other', 0],
      ['voice', 2],
    ]);
    expect(status.outcomes).toMatchObject({ classified: 4, begun: 3 });
    expect([status.version, status.devices]).toEqual([1, [{ name: 'd', ready: true }]]);
    const metrics = reconciler.metrics().split('\n');
    expect(metrics).toContain('intransit_flow_packets_total{policy="p",class="voice"} 2');
    expect(metrics).toContain('intransit_flow_outcomes_total{policy="p",outcome="classified"} 4');
  });

  it('stays as it is where its record was written over, and nobody knows of it any more', async () => {
    const reached = async () => {
      const events = await net.events({ kind: 'Device', name: 'd' });
      return events.filter((e) => e.reason === 'Reached').length;
    };
    // By that of another policy its program is known.
    await net.apply(
      ['Device', 'e', { target, address: 'unix:/nowhere/e.sock' }],
      ['FlowPolicy', 'q', { ...POLICY, devices: ['e'] }],
    );
    await net.stop();
    const before = await reached();
    const right = overwrite(join(folder, target, 'store.db'), 'FlowPolicy', 'p', '{"cut off": ');
    reconciler = net.start();
    const lost = async () => (await net.events({ kind: 'FlowPolicy', name: 'p' })).map((e) => e.reason);
    await expect.poll(lost, { timeout: 20_000 }).toContain('Damaged');
    await expect.poll(reached, { timeout: 20_000 }).toBeGreaterThan(before);
    // Longer than another program would take to be there.
    for (let second = 0; second < 5; second++) {
      expect(await through([web(3), voice(3)], 1)).toEqual({ two: [], three: [DSCP] });
      await sleep(1000);
    }
    await net.stop();
    overwrite(join(folder, target, 'store.db'), 'FlowPolicy', 'p', right);
    reconciler = net.start();
    await readyOf(net, 'p', 'InSync');
    const others = [{ kind: 'FlowPolicy', name: 'q' } as const, { kind: 'Device', name: 'e' } as const];
    await net.objects.delete(others, { actor: 'test' });
  });

  it('is mended where somebody changed it', async () => {
    const mended = async () => {
      const events = await net.events({ kind: 'Device', name: 'd' });
      return events.filter((e) => e.reason === 'FlowsDone').length;
    };
    const before = await mended();
    await behind(async (client) => {
      const entries = await client.readAll([{ tableEntry: { tableId: classes.id } }]);
      await client.delete(entries.filter((e) => !e.tableEntry?.isDefaultAction));
      const plain = { way: 'none', port: 0, dscp: 1, session: 0, tell: false } as const;
      await client.write([insertion(classEntry(1, plain))]);
    });
    await expect.poll(mended, { timeout: 100_000, interval: 100 }).toBeGreaterThan(before);
    await readyOf(net, 'p', 'InSync');
    expect(await through([web(1), voice(1)], 1)).toEqual({ two: [], three: [DSCP] });
  });

  it('takes other actions, and other weights, and goes with its policy', async () => {
    const limit = { class: 'voice', action: 'limit', rate: '800bit', burst: '100B' };
    await net.apply([
      'FlowPolicy',
      'p',
      {
        ...POLICY,
        actions: [limit, { class: 2, action: 'mark', dscp: 8 }, { class: 0, action: 'mirror', port: 3 }],
      },
    ]);
    await net.until('FlowPolicy', 'p', ({ metadata, status }) =>
      status.conditions.some((c) => c.reason === 'InSync' && c.observedGeneration === metadata.generation),
    );
    expect(await through([voice(5), voice(5), voice(5), web(5)], 4)).toEqual({
      two: expect.toSatisfy((seen: number[]) => seen.filter((d) => d === 8).length < 3 && seen.includes(8)),
      three: [0],
    });
    await net.apply(await net.version('flows', 2, fileOf('v2')));
    await net.until(
      'FlowPolicy',
      'p',
      ({ status }) => status.version === 2 && status.conditions.some((c) => c.reason === 'InSync'),
    );
    // What was TCP's class is now that of the others, whose rate the frames before have used up for a second or so.
    await expect
      .poll(() => through([web(9)], 1), { timeout: 30_000, interval: 1_000 })
      .toEqual({ two: [8], three: [] });
    // Without its weights it goes on as it is.
    const versions = [1, 2].map((v) => ({ kind: 'ModelVersion', name: `flows-${v}` }) as const);
    await net.objects.delete(versions, { actor: 'test' });
    await readyOf(net, 'p', 'Refused');
    expect(await through([voice(9)], 2)).toEqual({ two: [0], three: [0] });
    await net.objects.delete([{ kind: 'FlowPolicy', name: 'p' }], { actor: 'test' });
    await net.until('Device', 'd', ({ status }) => status.state === 'behind', 60_000);
    await net.until('Device', 'd', ({ status }) => status.state === 'in sync', 100_000);
    expect(await through([web(10), voice(10)], 2)).toEqual({ two: [0, 0], three: [] });
  });
}

describeWith(loading, 'a host with an agent that classifies by a policy', () => {
  classifying('xdp', agentDevice);
});

describeWithTools(['p4c-bm2-ss', 'simple_switch_grpc'], 'a switch that classifies by a policy', () => {
  classifying('v1model', switchDevice);
});
