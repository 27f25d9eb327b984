/** Devices that compute the same layers: where jobs go by what is written, who dies, comes and comes back, and what is said of it. */
import { describe, expect, it, test } from 'vitest';
import { balance, drop, shards, steer } from '../../src/backends/common/table-model.ts';
import { deviceSpec } from '../../src/daemon/manifests/device.ts';
import { type StoredObject, validate } from '../../src/daemon/manifests/index.ts';
import { serviceSpec } from '../../src/daemon/manifests/service.ts';
import { type PlacedService, replicasOf } from '../../src/daemon/network/goals.ts';
import { type Network, networkOf } from '../../src/daemon/network/network.ts';
import { membersOfShards } from '../../src/daemon/network/shards.ts';
import { type DeviceSteering, firstHopsOf, steeringOf } from '../../src/daemon/network/steering.ts';
import { type PlacementSpec, place, rangeOf } from '../../src/daemon/network/topology.ts';
import { SHARDS } from '../../src/dataplane/abi.ts';
import type { Change } from '../../src/p4runtime/index.ts';
import { toBigInt } from '../../src/p4runtime/values.ts';
import { smallModel } from '../controller/small-model.ts';
import type { MemoryNode } from '../controller/support.ts';
import { type Random, random } from '../support/random.ts';
import { psaDevice } from './network-support.ts';
import { scenes } from './scene.ts';

const MODEL_ID = 5;
const model = smallModel();
const LAYERS = model.layers.length;

const objectOf = (kind: string, name: string, spec: object) =>
  ({ kind, metadata: { name, generation: 1 }, spec, status: { conditions: [] } }) as unknown as StoredObject;

interface Drawn {
  readonly network: Network;
  /** Whom a port leads to. */
  readonly behind: ReadonlyMap<string, string>;
}

/** An ingress `d0`, devices and two workers, joined at random. */
function drawn(r: Random): Drawn {
  const devices = Array.from({ length: r.int(3, 7) }, (_, i) => `d${i}`);
  const names = [...devices, 'w0', 'w1'];
  const behind = new Map<string, string>();
  const ports = new Map<string, number>();
  const plug = (node: string, to: string): object => {
    const port = (ports.get(node) ?? 0) + 1;
    ports.set(node, port);
    behind.set(`${node} ${port}`, to);
    return { node, port };
  };
  const pairs = names.flatMap((b, j) => names.slice(0, j).map((a) => [a, b] as const));
  // Workers lead nothing on: each is at one device.
  const at = new Map(['w0', 'w1'].map((w) => [w, r.pick(devices)]));
  const links = pairs
    .filter(([a, b]) => (b.startsWith('w') ? at.get(b) === a : r.chance(a === 'd0' ? 0.6 : 0.4)))
    .map(([a, b]) =>
      objectOf('Link', `${a}-${b}`, {
        ...{ from: plug(a, b), to: plug(b, a), oneWay: false, latencyUs: r.int(0, 6) },
        ...{ bandwidthMbps: 10_000, mtu: 1500 },
      }),
    );
  const network = networkOf([
    ...devices.map((name, i) =>
      objectOf(
        'Device',
        name,
        deviceSpec.parse({
          ...{ target: r.pick(['xdp', 'v1model']), address: '127.0.0.1:1' },
          ...(i === 0 && r.chance(0.6) && { capacity: { maxLayers: 0 } }),
          ...(r.chance(0.3) && { weight: r.int(1, 4) }),
        }),
      ),
    ),
    ...['w0', 'w1'].map((name) => objectOf('Worker', name, { weight: 1, zone: 'default', control: 'x' })),
    ...links,
  ]);
  return { network, behind };
}

/** A service whose first layer, or each of its layers, is on devices. */
function serviceOf(r: Random, network: Network) {
  const devices = [...network.devices.keys()];
  const layers = r.chance(0.5)
    ? [
        { layers: '0..1', nodes: devices },
        { layers: '1..2', nodes: ['w0', 'w1'] },
      ]
    : [
        { layers: '0..1', nodes: devices.filter((_, i) => i % 2 === 0) },
        { layers: '1..2', nodes: devices.filter((_, i) => i % 2 === 1) },
      ];
  const spec = serviceSpec.parse({
    ...{ model: 'm', ingress: 'd0', egress: r.pick(['w0', 'w1']), address: '10.9.9.9' },
    policy: { replicas: r.int(2, 4), layers },
  });
  return {
    name: 's',
    generation: 1,
    spec,
    object: objectOf('Service', 's', spec) as StoredObject<'Service'>,
  };
}

interface Way {
  /** Device by layer; undefined where it was left to the worker. */
  readonly by: readonly (string | undefined)[];
  readonly end: string;
}

/** Where a request of a shard goes by what devices hold and have been told. @throws where it comes to no end, or is lost */
function follow(
  { behind }: Drawn,
  { segments }: PlacementSpec,
  steering: ReadonlyMap<string, DeviceSteering>,
  isHeld: (device: string) => boolean,
  shard: number,
): Way {
  const by: (string | undefined)[] = Array.from({ length: LAYERS }, () => undefined);
  const seen = new Set<string>();
  let [at, cursor] = ['d0', 0];
  for (;;) {
    if (at.startsWith('w')) return { by, end: at };
    const own = segments.find((s) => s.node === at && rangeOf(s.layers).from === cursor);
    if (own !== undefined && isHeld(at)) {
      const { to } = rangeOf(own.layers);
      by.fill(at, cursor, to);
      cursor = to;
    }
    if (cursor === LAYERS) return { by, end: at };
    if (seen.has(`${at} ${cursor}`)) throw new Error(`it comes back to ${at} before layer ${cursor}`);
    seen.add(`${at} ${cursor}`);
    const told = steering.get(at);
    const entry = told?.steering.find((s) => s.nextLayer === cursor);
    if (entry === undefined) throw new Error(`${at} knows no way before layer ${cursor}`);
    const group = 'group' in entry ? told?.balancing.find((g) => g.group === entry.group) : undefined;
    const port = 'group' in entry ? group!.hops[group!.goes[shard]!]!.port : entry.port;
    at = behind.get(`${at} ${port}`)!;
  }
}

/** Whether some node cannot reach a worker any more where another one is down. */
function isCut({ behind }: Drawn, nodes: readonly string[], down: string): boolean {
  const ways = [...behind].map(([plug, to]) => [plug.split(' ')[0]!, to] as const);
  const reaches = (node: string): boolean => {
    const seen = new Set([node]);
    for (const at of seen) for (const [from, to] of ways) if (from === at && to !== down) seen.add(to);
    return [...seen].some((name) => name.startsWith('w'));
  };
  return nodes.some((node) => node !== down && !reaches(node));
}

describe('where requests go in networks drawn at random', () => {
  const SEEDS = 100;
  let [spread, died, waited] = [0, 0, 0];

  /** What is steered with some nodes down, and some that are not what they should be yet. */
  function steered(
    of: Drawn,
    service: PlacedService,
    down: readonly string[],
    isNew: readonly string[] = [],
  ) {
    const up = (name: string) => !down.includes(name);
    const known = { up, takes: (name: string) => !isNew.includes(name), partOf: () => undefined };
    const replicas = replicasOf(service, known);
    const { placement } = service;
    const members = ['w0', 'w1'].filter(up).map((name) => ({ name, weight: 1 }));
    const { devices } = steeringOf(
      of.network,
      [
        {
          ...{
            modelId: MODEL_ID,
            packetBytes: Array.from({ length: LAYERS }, () => 100),
            placement,
            isOneAddress: true,
            replicas,
          },
          ...{ workers: ['w0', 'w1'], members },
        },
      ],
      up,
      firstHopsOf(of.network, up),
    );
    const isHeld = (device: string) => up(device) && !isNew.includes(device);
    const ways = Array.from({ length: SHARDS }, (_, shard) => follow(of, placement, devices, isHeld, shard));
    return { replicas, ways };
  }

  it.each(Array.from({ length: SEEDS }, (_, i) => i))('seed %i', (seed) => {
    const r = random(seed);
    const of = drawn(r);
    const service = serviceOf(r, of.network);
    const nodes = [...of.network.devices.keys(), 'w0', 'w1'];
    const health = { usable: new Set(nodes), taken: new Map(), classify: new Map(), version: 1 };
    const found = place(of.network, service, model, 'm', health, undefined);
    if ('reason' in found) return;
    const placement = found.spec;
    const placed = { service, modelId: MODEL_ID, placement } as PlacedService;
    const all = steered(of, placed, []);
    // Each job stays with the devices of its shard, and with no others.
    for (const { layers, kind } of placement.segments) {
      if (kind !== 'Device') continue;
      const { from, to } = rangeOf(layers);
      const members = all.replicas.get(from)!;
      if (members.length > 1) spread++;
      const goes = membersOfShards(members);
      for (let next = from; next < to; next++)
        expect(all.ways.map(({ by }) => by[next])).toEqual(goes.map((i) => members[i]!.name));
    }
    for (const { node, layers, kind } of placement.segments) {
      const { from } = rangeOf(layers);
      const others = kind === 'Device' ? all.replicas.get(from)!.filter((m) => m.name !== node) : [];
      if (others.length === 0) continue;
      // Its jobs alone move when it dies, all to the others, and so they do while it is not what it should be.
      const isGone = isCut(of, ['d0', ...placement.segments.map((s) => s.node)], node);
      const moments = isGone ? [] : [steered(of, placed, [node])];
      for (const now of [...moments, steered(of, placed, [], [node])]) {
        const moved = now.ways.filter((_, shard) => all.ways[shard]!.by[from] === node);
        const stayed = (ways: readonly Way[]) =>
          ways.map(({ by }) => by[from]).filter((_, shard) => all.ways[shard]!.by[from] !== node);
        expect(stayed(now.ways)).toEqual(stayed(all.ways));
        const names = others.map((m) => m.name);
        expect(moved.filter(({ by }) => !names.includes(by[from]!))).toEqual([]);
      }
      died += moments.length;
      waited++;
    }
  });

  it('have replicas, some of which die', () => {
    expect(spread).toBeGreaterThan(SEEDS / 10);
    expect(Math.min(died, waited)).toBeGreaterThan(SEEDS / 10);
  });
});

const { files, device, worker, network } = scenes();

const SIDE = ['a', 'b', 'c'] as const;
type Side = (typeof SIDE)[number];
const PORTS: Readonly<Record<Side, number>> = { a: 2, b: 3, c: 4 };
const WEIGHTS: Readonly<Record<Side, number>> = { a: 1, b: 2, c: 1 };

const serviceWith = (policy: object, more: object = {}) =>
  [
    'Service',
    's',
    {
      ...{ model: 'small', ingress: 'in', ...more },
      policy: {
        layers: [
          { layers: '0..1', nodes: ['in'] },
          { layers: '1..2', nodes: [...SIDE, 'w'] },
        ],
        ...policy,
      },
    },
  ] as const;

/** Whether a device was told of a version of the model, which is current. */
const holds = ({ device: d }: MemoryNode): boolean =>
  d.commits > 0 && d.applied.some((c) => c.entity.tableEntry?.tableId === steer.id && c.type !== 'DELETE');

const portOf = ({ entity }: Change): number =>
  Number(toBigInt(entity.tableEntry!.action!.action!.params![0]!.value!));

/** Ports of shards at a device as they were written. */
function portsAt({ device: d }: MemoryNode): readonly (number | undefined)[] {
  const ports = new Map<number, number>();
  for (const change of d.applied) {
    const { tableId, match } = change.entity.tableEntry ?? {};
    if (tableId !== shards.id) continue;
    const shard = Number(toBigInt(match!.find((m) => m.fieldId === 3)?.exact?.value ?? new Uint8Array()));
    if (change.type === 'DELETE') ports.delete(shard);
    else ports.set(shard, portOf(change));
  }
  return [...Array(SHARDS).keys()].map((shard) => ports.get(shard));
}

const portsOf = (names: readonly Side[]): readonly number[] => {
  const members = names.map((name) => ({ name, weight: WEIGHTS[name] }));
  return membersOfShards(members).map((i) => PORTS[members[i]!.name]);
};

/** A device that computes the first layer, before three that may compute the second, and a worker. */
async function scene(policy: object, options: object = {}) {
  const [first, w] = [await device(), await worker()];
  const side = { a: await device(), b: await device(), c: await device() };
  /** Devices to which requests were sent before they had all that they need. */
  const early: string[] = [];
  first.device.refuses = (change) => {
    const to = SIDE.find((name) => PORTS[name] === (isShard(change) ? portOf(change) : undefined));
    if (to !== undefined && !holds(side[to])) early.push(to);
    return false;
  };
  const net = network(options);
  await net.apply(
    psaDevice('in', first),
    ...SIDE.map((name) => psaDevice(name, side[name], { weight: WEIGHTS[name] })),
    ['Worker', 'w', { control: w.control }],
    ...SIDE.flatMap((name) => [
      [
        'Link',
        `in-${name}`,
        { from: { node: 'in', port: PORTS[name] }, to: { node: name, port: 1 } },
      ] as const,
      ['Link', `${name}-w`, { from: { node: name, port: 2 }, to: { node: 'w' } }] as const,
    ]),
    ['Model', 'small', { id: 7 }],
    await net.version('small', 1, files[0]!),
    serviceWith(policy),
  );
  net.start();
  const isSpreadOver = (...names: Side[]) =>
    expect.poll(() => portsAt(first), { timeout: 30_000, interval: 50 }).toEqual(portsOf(names));
  return { net, first, side, w, early, isSpreadOver };
}

const isShard = ({ entity, type }: Change): boolean =>
  entity.tableEntry?.tableId === shards.id && type !== 'DELETE';

const conditionOf = (status: { readonly conditions: readonly { type: string }[] }, type: string) =>
  status.conditions.find((c) => c.type === type);

describe('devices that share the jobs of a service', () => {
  test('one dies: the others have its shards before anything is planned anew; then another takes its place', async () => {
    const { net, first, side, early, isSpreadOver } = await scene({ replicas: 2 }, { moveMs: 15_000 });
    await isSpreadOver('a', 'b');
    const placed = await net.until('Placement', 's', ({ spec }) => spec.segments.length === 3);
    expect(placed.spec.segments.map(({ node, layers, weight }) => [node, layers, weight])).toEqual([
      ['in', '0..1', 1],
      ['a', '1..2', 1],
      ['b', '1..2', 2],
    ]);
    const { status } = await net.condition('Service', 's', 'Replicated', 'AsAsked');
    expect(conditionOf(status, 'Balanced')).toMatchObject({ status: 'True' });
    await net.until('Service', 's', (s) => s.status.shares?.length === 2);
    const { shares } = await net.status('Service', 's');
    expect(shares!.map((s) => [s.node, s.layers, s.weight])).toEqual([
      ['a', '1..2', 1],
      ['b', '1..2', 2],
    ]);
    expect(shares![0]!.percent + shares![1]!.percent).toBeCloseTo(100, 5);
    const isBalance = ({ entity }: Change) => entity.tableEntry?.action?.action?.actionId === balance.id;
    await expect.poll(() => first.device.applied.some(isBalance), { timeout: 20_000 }).toBe(true);
    early.length = 0;

    await side.a.server.close();
    // The way to one alone needs no shards.
    await expect.poll(() => portsAt(first).every((p) => p === undefined), { timeout: 14_000 }).toBe(true);
    expect((await net.spec('Placement', 's')).segments.map((s) => s.node)).toEqual(['in', 'a', 'b']);
    const hasNext = ({ spec }: StoredObject<'Placement'>) => spec.segments.some((s) => s.node === 'c');
    await net.until('Placement', 's', hasNext, 60_000);
    await isSpreadOver('b', 'c');
    expect((await net.spec('Placement', 's')).segments.map((s) => s.node)).toEqual(['in', 'b', 'c']);
    expect(early).toEqual([]);
  }, 120_000);

  test('one comes back: it gets its own shards and no others, once it holds what it needs', async () => {
    const { net, first, side, early, isSpreadOver } = await scene({ replicas: 3 });
    await isSpreadOver('a', 'b', 'c');
    const before = portsAt(first);
    // At first all come together.
    early.length = 0;
    await side.b.server.close();
    await isSpreadOver('a', 'c');
    for (const [shard, port] of portsAt(first).entries())
      if (before[shard] !== PORTS.b) expect(port).toBe(before[shard]);
    const short = await net.condition('Service', 's', 'Replicated', 'TooFew');
    expect(conditionOf(short.status, 'Replicated')).toMatchObject({
      status: 'False',
      message: 'layers 1..2 are on 2 of 3 devices (a, c); b is away',
    });
    // Another one under its name, that holds nothing.
    side.b = await device();
    const held: boolean[] = [];
    const { refuses } = first.device;
    first.device.refuses = (change) => {
      if (isShard(change) && portOf(change) === PORTS.b) held.push(holds(side.b));
      return refuses(change);
    };
    await net.apply(psaDevice('b', side.b, { weight: WEIGHTS.b }));
    await isSpreadOver('a', 'b', 'c');
    expect(portsAt(first)).toEqual(before);
    expect(new Set(held)).toEqual(new Set([true]));
    expect(early).toEqual([]);
    await net.condition('Service', 's', 'Replicated', 'AsAsked');

    // Whoever leads next finds all as it is.
    await net.stop();
    const nodes = [first, ...Object.values(side)];
    for (const node of nodes) node.writes();
    net.start();
    await net.inSync('in', ...SIDE);
    await net.condition('Service', 's', 'Ready', 'InSync');
    expect(nodes.map((node) => node.writes())).toEqual([0, 0, 0, 0]);
  }, 120_000);

  test('a version goes to all of them, and is current on none before all hold it', async () => {
    const { net, side, isSpreadOver } = await scene({ replicas: 3 });
    await isSpreadOver('a', 'b', 'c');
    await net.apply(await net.version('small', 2, files[1]!), [
      'Rollout',
      'r',
      { service: 's', version: 2, drainMs: 50, canary: [{ percent: 50, holdMs: 200 }] },
    ]);
    await net.until('Rollout', 'r', ({ status }) => status.phase === 'complete');
    for (const name of SIDE)
      await net.until('Device', name, ({ status }) => {
        const [held] = status.models ?? [];
        return held?.current === 2 && held.versions.length === 1;
      });
    expect(new Set(Object.values(side).map((node) => node.device.commits))).toEqual(new Set([1]));
    await isSpreadOver('a', 'b', 'c');
  }, 120_000);

  test('as many as are asked for at least, or the service has no place: which constraint, and by how much', async () => {
    const { net } = await scene({ replicas: 2 });
    const layers = [{ layers: '0..1', nodes: ['in'] }];
    await net.apply(serviceWith({ replicas: 4, minReplicas: 4, maxLayers: 1, layers }));
    const { status } = await net.condition('Service', 's', 'Ready', 'Unplaceable');
    expect(conditionOf(status, 'Ready')).toMatchObject({
      message: 'layers 1..2 are to be on at least 4 devices, and can be on a, b, c: 1 too few',
    });
    expect(conditionOf(status, 'Replicated')).toMatchObject({ status: 'Unknown', reason: 'Unplaceable' });
    const network = networkOf((await net.objects.list()).objects);
    const faults = validate({
      apiVersion: 'intransit.dev/v1alpha1',
      kind: 'Service',
      metadata: { name: 's' },
      spec: { ...network.services.get('s')!.spec, policy: { replicas: 2, minReplicas: 3 } },
    });
    expect(JSON.stringify(faults)).toContain('expected at most replicas');
    await net.apply(serviceWith({}));
    await net.until('Placement', 's', ({ spec }) => spec.segments.length === 2);
    expect((await net.spec('Placement', 's')).segments.map((s) => s.node)).toEqual(['in', 'a']);
    await net.until('Service', 's', (s) => conditionOf(s.status, 'Replicated') === undefined);
  }, 60_000);

  test('raw input stays in its zone, also when who computes it there is lost: then it is dropped', async () => {
    const { net, first, isSpreadOver } = await scene({ replicas: 2, rawInputZones: ['default'] });
    await isSpreadOver('a', 'b');
    const dropped = () =>
      first.device.applied.filter(
        ({ entity: { tableEntry: e } }) => e?.tableId === steer.id && e.action?.action?.actionId === drop.id,
      );
    expect(dropped()).toEqual([]);
    const { control } = await net.spec('Worker', 'w');
    await net.apply(['Worker', 'w', { control, zone: 'elsewhere' }]);
    // What the first device sheds would go to the worker.
    await expect.poll(() => dropped().length, { timeout: 20_000 }).toBe(1);
    await net.apply(serviceWith({ rawInputZones: ['moon'] }));
    const { status } = await net.condition('Service', 's', 'Ready', 'Unplaceable');
    expect(conditionOf(status, 'Ready')).toMatchObject({
      message: expect.stringContaining('the raw input must stay in zone moon, and in is in zone default'),
    });
  }, 120_000);

  test('what another service must have goes before what one has more than once', async () => {
    const { net, isSpreadOver } = await scene({ replicas: 3 });
    await isSpreadOver('a', 'b', 'c');
    const [, , spec] = serviceWith({ layers: [{ layers: '0..2', nodes: ['b'] }] });
    await net.apply(['Model', 'other', { id: 8 }], await net.version('other', 1, files[2]!), [
      'Service',
      'needy',
      { ...spec, model: 'other' },
    ]);
    await net.until('Placement', 's', ({ spec: s }) => s.segments.every(({ node }) => node !== 'b'));
    await isSpreadOver('a', 'c');
    const { status } = await net.condition('Service', 's', 'Replicated', 'TooFew');
    expect(conditionOf(status, 'Replicated')).toMatchObject({
      message: expect.stringContaining('b computes for Service/needy'),
    });
    expect((await net.spec('Placement', 'needy')).segments.map((s) => s.node)).toEqual(['b']);
  }, 60_000);
});
